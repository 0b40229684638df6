package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/etcd-modules/modhost/integration/browser/tab"
	"github.com/etcd-modules/modhost/integration/drive"
)

// downloads lets the tab put what it downloads into a folder.
func downloads(t *testing.T, tb *tab.Tab) (dir string) {
	dir = t.TempDir()
	tb.Do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
			Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir, BrowserContextID: chromedp.FromContext(tb.Context()).BrowserContextID,
		})
		return err
	}))
	return dir
}

// file waits for a download, and returns its path.
func file(tb *tab.Tab, dir, name string) string {
	path := filepath.Join(dir, name)
	tb.Await("download of "+name, func() bool { _, err := os.Stat(path); return err == nil })
	return path
}

// choose gives the field of the open dialog a file.
func choose(tb *tab.Tab, path string) {
	tb.WaitSee("dialog input[type=file]")
	tb.Do(chromedp.SetUploadFiles(`dialog[open] input[type=file]`, []string{path}))
}

// What was exported, deleted and imported again is as it was, TTLs included. The
// import says first what it would do, and does what was agreed.
func TestKeysBulk_ExportWipeImport(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	for i := range 50 {
		e.put(fmt.Sprintf("/app/set/k%02d", i), fmt.Sprintf("value\n%d \u2028 \"quoted\"", i))
	}
	e.put("/app/ttl", "x", "ttl=500")
	e.call("PUT", "/app/empty", "dir=true")
	e.put("/app2/stays", "x")
	tb := open(t, h, at("/app"))
	dir := downloads(t, tb)
	tb.Click(".open a|Export")
	path := file(tb, dir, "app.ndjson")
	tb.Click(".open button|Delete…")
	tb.Type("dialog [name=typed]", "/app")
	tb.Click("dialog footer button|Delete")
	tb.WaitSee("dialog|deleted.")
	tb.Click("dialog footer button|Close")
	e.gone("/app")

	e.put("/app/set/k01", "another")                     // changed
	e.put("/app/set/k04", "another")                     // changed
	e.put("/app/set/k02", "value\n2 \u2028 \"quoted\"")  // same
	e.put("/app/set/k03/inner", "a directory stands in") // conflict
	tb.Click("button|Import…")
	choose(tb, path)
	tb.WaitSee("dialog button|new 48")
	tb.WaitSee("dialog button|changed 2")
	tb.WaitSee("dialog button|conflict 1")
	tb.Click("dialog button|conflict 1")
	tb.WaitSee("dialog .list|/app/set/k03")
	accessible(t, tb, "an import")
	tb.Click("dialog label|Overwrite")
	e.put("/app/set/k01", "changed since it was shown")
	tb.Click("dialog footer button|Write")
	tb.WaitSee("dialog li|/app/set/k01")
	tb.Click("dialog footer button|Close")
	for i := range 50 {
		switch i {
		case 1:
			e.want("/app/set/k01", "changed since it was shown")
		case 3:
			e.want("/app/set/k03/inner", "a directory stands in")
		default:
			e.want(fmt.Sprintf("/app/set/k%02d", i), fmt.Sprintf("value\n%d \u2028 \"quoted\"", i))
		}
	}
	if n := e.want("/app/ttl", "x"); n.TTL < 300 || n.TTL > 500 {
		t.Errorf("the TTL is %d, want about what was left of 500", n.TTL)
	}
	if n, ok := e.get("/app/empty"); !ok || !n.Dir {
		t.Error("the empty directory is not there again")
	}
	e.want("/app2/stays", "x")

	tb.Click("button|Import…")
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte("{\"a\": 1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	choose(tb, bad)
	tb.WaitSee("dialog [role=alert]|modhost-keys-1")
}

// Several keys, picked in several directories, are exported and deleted at once;
// their number has to be written.
func TestKeysBulk_Selection(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	for i := range 250 {
		e.put(fmt.Sprintf("/a/k%03d", i), "x")
	}
	e.put("/b/one", "1")
	e.put("/b/two", "2")
	tb := open(t, h, at("/b"))
	dir := downloads(t, tb)
	tb.Click(`.rows input[aria-label="Select two"]`)
	tb.Click(item("a"))
	tb.Type(".filter", "^k0")
	tb.WaitSee("[role=status]|100 of 250 match")
	tb.Wait(`location.search.includes("filter=%5Ek0")`)
	tb.Click(`.rows thead input`)
	tb.WaitSee(".selection|101 selected")
	tb.Type(".filter", "k24")
	tb.WaitSee("[role=status]|10 of 250 match")
	tb.Click(`.rows input[aria-label="Select k249"]`)
	tb.WaitSee(".selection|102 selected")
	tb.Click(".selection button|Export")
	text, err := os.ReadFile(file(tb, dir, "keys.ndjson"))
	if err != nil || len(text) < 102*20 {
		t.Errorf("the file has %d bytes, %v", len(text), err)
	}
	tb.Click(".selection button|Delete")
	tb.WaitSee("dialog|Keys: 102.")
	tb.WaitSee("dialog li|and 82 more")
	accessible(t, tb, "a deletion of many")
	tb.Type("dialog [name=typed]", "102")
	tb.Click("dialog footer button|Delete 102")
	tb.WaitSee("dialog|102 of 102 deleted")
	tb.Click("dialog footer button|Close")
	tb.WaitGone(".selection")
	e.gone("/a/k099")
	e.gone("/a/k249")
	e.gone("/b/two")
	e.want("/b/one", "1")
	e.want("/a/k248", "x")
	tb.Type(".filter", "")
	tb.WaitSee("[role=status]|149 entries")
}

// The whole store is searched, also where nothing was looked at yet, by name and
// by value; how much was searched is said.
func TestKeysBulk_Search(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.many(3000)
	e.put("/deep/er/and/deeper/needle-1", "hay")
	e.put("/other/x", "the needle is in here")
	tb := open(t, h, "keys")
	tb.WaitSee("[data-search]")
	tb.Stroke("/")
	tb.Press("needle")
	tb.WaitSee(".results a|/deep/er/and/deeper/needle-1")
	tb.WaitSee(".results [role=status]|1 found. Searched")
	tb.Wait(`/Searched ([\d,]+) of \1/.test(document.querySelector(".results [role=status]").innerText)`)
	if tb.Sees(".results a|/other/x") {
		t.Error("a value was searched, too")
	}
	accessible(t, tb, "a search")
	for _, s := range screens {
		s.show(tb)
		accessible(t, tb, "a search, "+s.String())
	}
	screens[0].show(tb)
	set := func(label, value string) {
		tab.Eval[int](tb, fmt.Sprintf(`(() => { const s = document.querySelector('select[aria-label=%q]'); s.value = %q; s.dispatchEvent(new Event("change", {bubbles: true})); return 0; })()`, label, value))
	}
	set("Where to search", "value")
	tb.WaitSee(".results a|/other/x")
	tb.WaitGone(".results a|needle-1")
	set("Where to search", "name")
	set("How to search", "regex")
	tb.Type("[data-search]", "k00(00|29)9[0-4]$")
	tb.Wait(`document.querySelectorAll(".results a").length === 10`)
	tb.Reload()
	tb.Wait(`document.querySelectorAll(".results a").length === 10`)
	set("How to search", "prefix")
	tb.Type("[data-search]", "/many/k00299")
	tb.Wait(`document.querySelectorAll(".results a").length === 10`)
	tab.Eval[int](tb, `(document.querySelector("[data-search]").focus(), 0)`)
	tb.Press(kb.ArrowDown)
	tb.Wait(`document.activeElement.matches(".results a")`)
	tb.Press(kb.Enter)
	tb.WaitSee(".facts|Text")
	set("How to search", "regex")
	tb.Expect("400")
	tb.Type("[data-search]", "(")
	tb.WaitSee(".results [role=alert]|")
	tb.Type("[data-search]", "")
	tb.WaitSee(".tree")
}

// A deletion that is stopped says how far it came; the focus goes to what can be
// done next.
func TestKeysBulk_StopsDeleting(t *testing.T) {
	t.Parallel()
	c := programs.StartCluster(t, 1)
	h := programs.Start(t, drive.Joined(c.Endpoints()...)+drive.Dashboard(""))
	e := etcd{t, c.Endpoints()[0]}
	for i := range 100 {
		e.put(fmt.Sprintf("/app/k%02d", i), "x")
	}
	tb := open(t, h, at("/app"))
	tb.Click(".open button|Delete…")
	tb.Type("dialog [name=typed]", "/app")
	drive.Signal(t, c.Members[0].PID(), syscall.SIGSTOP)
	t.Cleanup(func() { syscall.Kill(c.Members[0].PID(), syscall.SIGCONT) }) //nolint:errcheck // it may be going on
	tb.Click("dialog footer button|Delete")
	tb.Wait(`document.activeElement.textContent === "Stop"`)
	tb.Click("dialog footer button|Stop")
	tb.WaitSee("dialog [role=status]|Stopped after 0 of 101")
	tb.Wait(`document.activeElement.textContent === "Close"`)
	drive.Signal(t, c.Members[0].PID(), syscall.SIGCONT)
	tb.Click("dialog footer button|Close")
	tb.WaitGone("dialog[open]")
}

// What was not searched yet is not said to be nowhere.
func TestKeysBulk_SearchDoesNotAnswerAhead(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/app/one", "1")
	tb := open(t, h, "keys")
	tb.Type("[data-search]", "zzz")
	tb.WaitSee(".results .empty|Nothing matches zzz")
	tab.Eval[int](tb, `(() => { window.said = []; new MutationObserver(() => { const e = document.querySelector(".results .empty"); if (e && window.said.at(-1) !== e.textContent) window.said.push(e.textContent); })
		.observe(document.body, {subtree: true, childList: true, characterData: true}); return 0; })()`)
	tb.Type("[data-search]", "app")
	tb.WaitSee(".results a|/app/one")
	if said := tab.Eval[[]string](tb, `window.said.filter((s) => s.includes("app"))`); len(said) > 0 {
		t.Errorf("said before it was searched: %q", said)
	}
}
