package browser

import (
	"testing"

	"github.com/etcd-modules/modhost/integration/browser/tab"
)

// pages of the dashboard: addresses below the mount.
var pages = []string{"", "keys", "locks", "leaders", "members", "modules"}

// Each page opens by its address, in the navigation and with its title, and
// has nothing to complain about.
func TestFrame_EveryPageOpens(t *testing.T) {
	h := start(t, "")
	tb := open(t, h, "")
	for _, page := range pages {
		tb.Go(h.URL + "/mod/dashboard/" + page)
		tb.WaitSee("h1")
		tb.WaitSee("[role=status]|live")
		name := tb.Text("nav a[aria-current=page]")
		if h1 := tb.Text("h1"); h1 != name {
			t.Errorf("page %q: its heading is %q, in the navigation it is %q", page, h1, name)
		}
		tb.Wait(`document.title.endsWith("` + name + ` · modhost")`)
	}
}

// What must not run does not, and the tests' own eyes are open: each of these
// is seen as a problem.
func TestFrame_NegativeControls(t *testing.T) {
	h := start(t, "")
	for name, c := range map[string]string{
		"inline script":   `(() => { const s = document.createElement("script"); s.textContent = "window.hit = 1"; document.body.append(s) })()`,
		"inline handler":  `(() => { const b = document.createElement("button"); b.setAttribute("onclick", "window.hit = 1"); document.body.append(b); b.click() })()`,
		"inline style":    `(() => { const p = document.createElement("p"); p.setAttribute("style", "color: red"); document.body.append(p) })()`,
		"style element":   `(() => { const s = document.createElement("style"); s.textContent = "body { color: red }"; document.body.append(s) })()`,
		"markup":          `(() => { try { document.body.innerHTML = "<img src=x onerror='window.hit = 1'>" } catch { console.error("refused") } })()`,
		"foreign request": `fetch("http://192.0.2.1/").catch(() => 0)`,
		"foreign image":   `(() => { const i = new Image(); i.src = "http://example.com/a.png"; document.body.append(i) })()`,
		"console error":   `console.error("oh no")`,
		"exception":       `setTimeout(() => { throw new Error("oh no") })`,
		"missing file":    `fetch("static/nothing.js").catch(() => 0)`,
	} {
		t.Run(name, func(t *testing.T) {
			tb := open(t, h, "")
			tab.Eval[any](tb, c+"; 0")
			tb.Await("a problem", func() bool { return len(tb.Problems()) > 0 })
			if tab.Eval[bool](tb, `"hit" in window`) {
				t.Error("it ran")
			}
			tb.Expect(".")
		})
	}
}

// MaxFirst is what the first page may weigh, compressed.
const maxFirst = 100_000 // bytes

// The first page is light, asks for nothing twice and, once it is there, asks
// for nothing at all.
func TestFrame_FirstPageIsLight(t *testing.T) {
	h := start(t, "")
	tb := open(t, h, "")
	tb.WaitSee("h1")
	tb.Await("requests that end", func() bool {
		for _, r := range tb.Requests() {
			if r.Bytes == 0 {
				return false
			}
		}
		return true
	})
	sum := 0.0
	seen := make(map[string]bool)
	for _, r := range tb.Requests() {
		t.Logf("%6.0f %d %s", r.Bytes, r.Status, r.URL)
		sum += r.Bytes
		if seen[r.URL] && r.Method == "GET" {
			t.Errorf("asked for twice: %s", r.URL)
		}
		seen[r.URL] = true
	}
	if sum > maxFirst {
		t.Errorf("the first page weighs %.0f bytes, more than %d", sum, maxFirst)
	}
	t.Logf("%.0f bytes in %d requests", sum, len(seen))
}
