package browser

import (
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/etcd-modules/modhost/integration/browser/tab"
	"github.com/etcd-modules/modhost/integration/drive"
)

// startKeys runs a host, and returns its etcd for who writes past the dashboard.
func startKeys(t *testing.T) (*drive.Host, etcd) {
	t.Helper()
	h := start(t, "")
	return h, etcd{t, h.Etcd}
}

// at is the address of the page that shows a path.
func at(path string, more ...string) string {
	return "keys?at=" + url.QueryEscape(path) + strings.Join(more, "")
}

// editor is an expression for the text of the editor that is shown, null if
// there is none. Long texts are not whole in it: see value.
const editor = `document.querySelector(".tab .editor")?.shadowRoot?.querySelector(".cm-content")`

// value waits until the editor shows a text.
func value(tb *tab.Tab, text string) {
	tb.Wait(`[...(` + editor + `?.querySelectorAll(".cm-line") ?? [])].map((l) => l.textContent).join("\n") === ` + quote(text))
}

// write replaces what stands in the editor, as pasting does.
func write(tb *tab.Tab, text string) {
	tb.Wait(editor)
	tab.Eval[bool](tb, `(`+editor+`.focus(), true)`)
	tb.Press("a", chromedp.ModifierCtrl)
	tab.Eval[bool](tb, `(() => {
		const data = new DataTransfer();
		data.setData("text/plain", `+quote(text)+`);
		return !`+editor+`.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
	})()`)
}

// quote makes a Go text one of JavaScript.
func quote(text string) string {
	return `decodeURIComponent("` + strings.ReplaceAll(url.QueryEscape(text), "+", "%20") + `")`
}

// item is a row of the tree.
func item(name string) string { return ".tree [role=treeitem]|" + name }

// Three levels that curl has made are walked by clicks: tree, breadcrumb, table;
// each is a place in the history.
func TestKeys_Walk(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/region/site/host", "10.0.0.1", "ttl=535")
	e.put("/region/note", "hello")
	tb := open(t, h, "keys")
	tb.Click(item("region"))
	tb.Click(item("site"))
	tb.Click(item("host"))
	value(tb, "10.0.0.1")
	tb.WaitSee(".facts|8 min")
	if got := tab.Eval[string](tb, `document.title`); !strings.HasPrefix(got, "/region/site/host") {
		t.Errorf("the title is %q", got)
	}
	tb.Click(".crumbs a|region")
	tb.WaitSee(".rows tr|note")
	tb.WaitSee(".rows tr|hello")
	tb.Click(".rows a|note")
	value(tb, "hello")
	tb.Back()
	tb.WaitSee(".rows tr|site/")
	tb.Back()
	value(tb, "10.0.0.1")
	tb.Reload()
	value(tb, "10.0.0.1")
	tb.Wait(`document.querySelector(".tree [aria-selected=true]")?.innerText.includes("host")`)
}

// A path can be written, also one that no listing has.
func TestKeys_GoToAHiddenPath(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/_secret/inner/key", "found")
	tb := open(t, h, "keys")
	tb.Click(".open button|Go to")
	tb.Type(".path input", "_secret//inner/")
	tb.Press(kb.Enter)
	tb.WaitSee(".rows tr|found")
	tb.WaitSee(".open|underscore")
	tb.Click(".rows a|key")
	value(tb, "found")
	tb.Click(".open button|Go to")
	tb.Press(kb.Escape)
	tb.Wait(`document.activeElement.matches(".path button")`)
}

// Names may have any character: they stand in the address, survive loading anew,
// and mean the same key in etcd.
func TestKeys_OddNames(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	tb := open(t, h, "keys")
	for _, name := range []string{"with space", "a?b", "a#b", "100%", "%41", "x@y", "grün/日本", "a+b&c=d", `"quoted" 'name'`, "back\\slash", " lead", "..dots"} {
		path := "/odd/" + name
		e.put(path, "value of "+name)
		tb.Go(h.URL + "/mod/dashboard/" + at("/odd"))
		for segment := range strings.SplitSeq(name, "/") {
			tb.Click(".rows a|" + strings.ReplaceAll(segment, "|", ""))
		}
		value(tb, "value of "+name)
		tb.Reload()
		value(tb, "value of "+name)
		write(tb, "changed")
		tb.Press("s", chromedp.ModifierCtrl)
		tb.Click("dialog button|Write")
		tb.WaitGone("dialog[open]")
		e.want(path, "changed")
		e.delete(path)
	}
}

// What is in keys is text, whatever it looks like.
func TestKeys_HostileText(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	payloads := []string{
		`<script>window.hit = 1<`, `<img src=x onerror="window.hit = 1">`, `<b style="position:fixed">`, `javascript:window.hit=1`,
		`"><svg onload=window.hit=1>`, "${window.hit = 1}", "\u202eevil", "__proto__", "constructor",
	}
	for _, p := range payloads {
		name := strings.ReplaceAll(p, "/", "")
		e.put("/hostile/"+name, p)
		e.put("/hostile/dir"+name+"/x", p)
	}
	tb := open(t, h, at("/hostile"))
	tb.Wait(`document.querySelectorAll(".rows tbody tr a").length === 17`) // of __proto__ no listing tells
	tb.Wait(`document.querySelectorAll(".tree [role=treeitem]").length >= 18`)
	for _, p := range payloads {
		tb.Go(h.URL + "/mod/dashboard/" + at("/hostile/"+strings.ReplaceAll(p, "/", "")))
		tb.Wait(editor)
		for _, name := range []string{"Raw", "History"} {
			tb.Click("[role=tab]|" + name)
			tb.Wait(`document.querySelector("[role=tabpanel]")?.innerText.length > 20`)
		}
	}
	if tab.Eval[bool](tb, `"hit" in window || document.querySelector("main script, main img, main b, main svg[onload]") !== null`) {
		t.Error("text became markup")
	}
}

// Without a right to write nothing can be written, and the page says why; what
// is sent all the same is refused.
func TestKeys_ReadOnly(t *testing.T) {
	t.Parallel()
	h := start(t, "read_only = true")
	e := etcd{t, h.Etcd}
	e.put("/a/b", "value")
	tb := open(t, h, at("/a/b"))
	value(tb, "value")
	for _, button := range []string{"New…", "Import…", "Delete…", "Change…"} {
		if !tab.Eval[bool](tb, `[...document.querySelectorAll("main button")].filter((b) => b.textContent === "`+button+`" && b.checkVisibility()).every((b) => b.disabled && b.title.includes("read_only"))`) {
			t.Errorf("%s is not disabled, or does not say why", button)
		}
	}
	write(tb, "changed")
	value(tb, "value")
	// Keys that would open a dialog say why there is none.
	tab.Eval[bool](tb, `(e => { e.focus(); return true; })(document.querySelector(".tree"))`)
	for _, key := range []string{"n", kb.Delete} {
		tb.Press(key)
		tb.Wait(`["Nothing can be changed now", "read_only"].every((s) => document.querySelector("dialog[open]")?.innerText.includes(s)) && !document.querySelector("dialog[open] input")`)
		tb.Press(kb.Escape)
		tb.WaitGone("dialog[open]")
		tb.Wait(`document.activeElement.matches(".tree")`)
	}
	tb.Expect("403")
	for _, order := range []string{
		`keys/save", {key: "/a/b", value: "x", modified: "1", ttl: "keep"}`, `keys/create", {key: "/a/c", value: "x", ttl: 0}`, `keys/mkdir", {key: "/d", ttl: 0}`,
		`keys/delete", {key: "/a/b", modified: "1"}`, `keys/plan", {items: []}`, `keys/delete-plan", {plan: "", typed: ""}`, `keys/import/write", {entries: []}`,
	} {
		if got := tab.Eval[int](tb, module("api.js")+`.then((api) => api.post("`+order+`)).then(() => 200, (e) => e.status)`); got != 403 {
			t.Errorf("%s: %d, want 403", order, got)
		}
	}
	e.want("/a/b", "value")
}
