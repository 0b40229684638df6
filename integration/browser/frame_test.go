package browser

import (
	"encoding/json"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/browser/tab"
	"github.com/etcd-modules/modhost/integration/drive"
)

// pages of the dashboard: addresses below the mount.
var pages = []string{"", "keys", "locks", "leaders", "members", "modules"}

// Each page opens by its address, in the navigation and with its title, and
// has nothing to complain about.
func TestFrame_EveryPageOpens(t *testing.T) {
	t.Parallel()
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

// Who leaves a page and comes back before the next one is there finds all of it
// as it was, and its name in the title.
func TestFrame_LeftAndOpenedAtOnce(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	tb := open(t, h, "")
	leave := func(back, shows string) {
		t.Helper()
		tb.Wait(shows)
		tab.Eval[bool](tb, `(async () => {
			const { pages } = await `+module("pages.js")+`;
			pages.find((p) => p.id === "modules").load = () => new Promise(() => {}); // it never comes
			const frames = async () => { for (let i = 0; i < 10; i++) await new Promise(requestAnimationFrame); };
			document.querySelector("nav a[data-page=modules]").click();
			await frames();
			if (document.querySelector("h1")) throw new Error("the page is still there");
			const link = document.body.appendChild(document.createElement("a"));
			link.href = `+strconv.Quote(back)+`;
			link.click();
			link.remove();
			await frames();
			return true;
		})()`)
		tb.Wait(shows)
	}
	leave("./", figure("Members")+" === '1 of 1 up' && document.querySelectorAll('.graph canvas').length === 4")
	etcd{t, h.Etcd}.put("/left", "value")
	tb.Go(h.URL + "/mod/dashboard/keys?at=/left")
	leave("keys?at=/left", "document.title.startsWith('/left ·') && document.querySelector('.tree')?.innerText.includes('left')")

	// The worst moment is that of one task, here with a topic that tells its changes only.
	if !tab.Eval[bool](tb, `(async () => {
		const { join, leave } = await `+module("live.js")+`;
		const sent = (topic) => new Promise((done) => {
			setTimeout(() => done(false), 10000);
			topic.subscribe(({ data }) => { if (data) done(true); });
		});
		if (!await sent(join("locks"))) return false;
		leave("locks");
		return sent(join("locks"));
	})()`) {
		t.Error("a topic that was left and joined at once is not sent")
	}
}

// What must not run does not, and the tests' own eyes are open: each of these
// is seen as a problem.
func TestFrame_NegativeControls(t *testing.T) {
	t.Parallel()
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
			tab.Eval[int](tb, "(() => { try { "+c+" } catch {} return 0 })()")
			tb.Await("a problem", func() bool { return len(tb.Problems()) > 0 })
			if tab.Eval[bool](tb, `"hit" in window`) {
				t.Error("it ran")
			}
			tb.Expect(".")
		})
	}
}

// Host with every request in its log.
func startLogged(t *testing.T) *drive.Host {
	t.Helper()
	return programs.Start(t, "log_level = \"debug\"\n"+drive.Embedded+drive.Elections+drive.Dashboard(""))
}

// A logged request is a line of the host's log.
type logged struct {
	Message string `json:"@message"`
	Method  string
	Path    string
	Status  int
	Bytes   int // of the body
	Module  string
}

// requests are those to the dashboard that have ended so far, workers' included.
func requests(t *testing.T, h *drive.Host) []logged {
	t.Helper()
	var list []logged
	for _, line := range h.Log() {
		var l logged
		if json.Unmarshal([]byte(line), &l) == nil && l.Message == "request" && l.Module == "dashboard" {
			list = append(list, l)
		}
	}
	return list
}

// maxFirst is what the first page may weigh, compressed.
const maxFirst = 100_000 // bytes of bodies

// The first page is light, asks for nothing twice and, once it is there, asks
// for nothing at all and costs next to nothing.
func TestFrame_FirstPageIsLightAndIdle(t *testing.T) {
	h := startLogged(t)
	tb := open(t, h, "")
	tb.Wait("document.querySelectorAll('.graph canvas').length === 4")
	// What comes after the first paint, too: the page has rested for a second.
	tab.Eval[int](tb, `new Promise((rest) => {
		let last = performance.now();
		new PerformanceObserver((l) => { if (l.getEntries().some((e) => !e.name.includes("/events"))) last = performance.now(); }).observe({type: "resource", buffered: true});
		const look = setInterval(() => { if (performance.now() - last > 1000) { clearInterval(look); rest(0); } }, 100);
	})`)
	sum := 0
	seen := make(map[string]bool)
	list := requests(t, h)
	for _, r := range list {
		t.Logf("%6d %d %s %s", r.Bytes, r.Status, r.Method, r.Path)
		sum += r.Bytes
		if seen[r.Path] {
			t.Errorf("asked for twice: %s", r.Path)
		}
		seen[r.Path] = true
	}
	t.Logf("%d bytes in %d requests", sum, len(list))
	if sum > maxFirst || sum == 0 {
		t.Errorf("the first page weighs %d bytes, want at most %d", sum, maxFirst)
	}
	paint := tab.Eval[float64](tb, `performance.getEntriesByName("first-contentful-paint")[0].startTime`)
	t.Logf("first paint after %.0f ms", paint)

	// Ten seconds in which nothing happens: there is nothing to wait for.
	before, busy := len(requests(t, h)), tb.Busy()
	tab.Eval[int](tb, `new Promise((over) => setTimeout(() => over(0), 10000))`)
	if more := requests(t, h)[before:]; len(more) > 0 {
		t.Errorf("an idle page has asked: %v", more)
	}
	if share := (tb.Busy() - busy).Seconds() / 10; share > 0.1 {
		t.Errorf("an idle page keeps a processor busy for %.1f%% of the time", 100*share)
	} else {
		t.Logf("idle: busy for %.2f%% of the time", 100*share)
	}
}

// Ten tabs of one browser share one stream, and all of them live.
func TestFrame_TenTabsOneStream(t *testing.T) {
	h := start(t, "")
	first := open(t, h, "")
	tabs := []*tab.Tab{first}
	for i := range 9 {
		tb := first.Another(t)
		tb.Go(h.URL + "/mod/dashboard/" + pages[i%len(pages)])
		tabs = append(tabs, tb)
	}
	for i, tb := range tabs {
		tb.WaitSee("[role=status]|live")
		tb.WaitSee("h1")
		t.Logf("tab %d is live", i)
	}
	// What happens reaches each of them.
	h.Disable("lock")
	for i, tb := range tabs {
		tb.WaitSee("nav a.off|Locks")
		t.Logf("tab %d was told", i)
	}
	// The one stream, and nothing else, is under way at the module.
	first.Await("one stream", func() bool { return drive.Metric(t, h.URL, `modhost_http_requests_in_flight{module="dashboard"}`) == 1 })
}

// A host that goes away is told within two seconds, with the age of what is
// shown; when it is back the page goes on by itself.
func TestFrame_HonestWithoutHost(t *testing.T) {
	h := start(t, "")
	tb := open(t, h, "")
	tb.Expect("Failed to load resource|ERR_CONNECTION_REFUSED|net::")
	least := time.Hour
	for range 3 { // what is slow by itself is so each time
		began := time.Now()
		drive.Signal(t, h.PID(), syscall.SIGSTOP)
		tb.WaitSee("header [role=status]|reconnecting")
		least = min(least, time.Since(began))
		t.Logf("told %v after the host fell silent", time.Since(began))
		tb.WaitSee(".banner|No connection")
		drive.Signal(t, h.PID(), syscall.SIGCONT)
		tb.WaitSee("[role=status]|live")
		tb.WaitGone(".banner|No connection")
		if least < 2*time.Second {
			break
		}
	}
	if least > 3*time.Second {
		t.Errorf("told %v after the host fell silent, want two seconds", least)
	}
}

// The plugin is killed: the page says so, asks nobody for another page, and
// goes on with the next process, showing what has happened meanwhile.
func TestFrame_GoesOnAfterThePlugin(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	tb := open(t, h, "locks")
	tab.Eval[int](tb, `window.same = 1`)
	for i := range 3 {
		pid := h.Module("dashboard").PID
		drive.Signal(t, pid, syscall.SIGKILL)
		grant(t, h.URL, "POST", "/mod/v2/lock/meanwhile-"+strconv.Itoa(i)+"?ttl=600", nil)
		tb.Await("another process", func() bool { m := h.Module("dashboard"); return m.State == "ready" && m.PID != pid })
		tb.WaitSee("[role=status]|live")
		tb.WaitSee("td|meanwhile-" + strconv.Itoa(i))
	}
	if !tab.Eval[bool](tb, `window.same === 1`) {
		t.Error("the page was loaded anew")
	}
}
