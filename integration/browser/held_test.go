package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/etcd-modules/modhost/integration/browser/tab"
)

// hold keeps what the page's next request to a path is for, until letGo(). It
// is sent then: all that matters to a page is when the answer comes.
func hold(tb *tab.Tab, path string) {
	tab.Eval[bool](tb, fmt.Sprintf(`(() => {
		const send = window.fetch;
		window.letGo = null;
		window.fetch = (...order) => {
			if (window.letGo || !String(order[0]).includes(%q)) return send(...order);
			return new Promise((done) => { window.letGo = () => { window.fetch = send; done(send(...order)); }; });
		};
		return true;
	})()`, path))
}

// letGo sends what is held.
func letGo(tb *tab.Tab) { tab.Eval[bool](tb, `(letGo(), true)`) }

// A dialog about a key stays until its order is answered.
func TestKeysHeld_DialogsStay(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/a", "one", "ttl=500")
	tb := open(t, h, at("/a"))
	value(tb, "one")
	stays := func(path, verb string) {
		t.Helper()
		hold(tb, path)
		tb.Click("dialog button.primary|" + verb)
		tb.Wait(`window.letGo`)
		tb.Wait(`[...document.querySelectorAll("dialog[open] :is(header, footer) button")].every((b) => b.disabled)`)
		tb.Press(kb.Escape)
		if !tb.Sees("dialog[open]|Working") {
			t.Errorf("Esc has closed the dialog of %s", path)
		}
		letGo(tb)
		tb.WaitGone("dialog[open]")
	}
	write(tb, "two")
	tb.Click(".open button|Save…")
	stays("keys/save", "Write")
	value(tb, "two")
	tb.Click(".facts button|Change…")
	stays("keys/save", "Write")
	tb.Click("button|New…")
	tb.Type("dialog input[name=path]", "b")
	stays("keys/create", "Create")
	tb.WaitSee(item("b"))
}

// Who leaves the page while a key is made, or a value saved, is not drawn back
// by the answer, and what was written since stays.
func TestKeysHeld_LeftMeanwhile(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/a", "one")
	tb := open(t, h, "members")
	tb.Click("nav a|Keys")
	tb.WaitSee(item("a"))
	tb.Click("button|New…")
	tb.Type("dialog input[name=path]", "/b")
	hold(tb, "keys/create")
	tb.Click("dialog button.primary|Create")
	tb.Wait(`window.letGo`)
	tb.Back()
	tb.WaitSee("h1|Members")
	letGo(tb)
	tb.Await("the key", func() bool { _, ok := e.get("/b"); return ok })
	frames(tb)
	if !tb.Sees("h1|Members") {
		t.Error("the answer has led to another page")
	}
	tb.Click("nav a|Keys")
	tb.WaitSee(item("b"))

	tb.Click(item("a"))
	value(tb, "one")
	write(tb, "two")
	tb.Click(".open button|Save…")
	hold(tb, "keys/save")
	tb.Click("dialog button.primary|Write")
	tb.Wait(`window.letGo`)
	tb.Back()
	tb.WaitGone("dialog[open]")
	tb.Click(item("a"))
	value(tb, "two") // the draft
	write(tb, "three")
	letGo(tb)
	tb.Await("the save", func() bool { n, _ := e.get("/a"); return n.Value == "two" })
	tb.WaitSee(".open button|Save…")
	value(tb, "three")
	tb.WaitGone("[role=alert]|index") // the draft is one of what was saved
	save(tb)
	e.want("/a", "three")
}

// A key that was saved here and is deleted by others stays deleted, also when
// all is told again.
func TestKeysHeld_StaysDeleted(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/a", "one")
	tb := open(t, h, at("/a"))
	tb.Expect("50[023]|net::|ERR_")
	value(tb, "one")
	write(tb, "two")
	save(tb)
	e.delete("/a")
	tb.WaitSee(".open .empty|/a was deleted")
	h.Order("module", "restart", "dashboard")
	// Another process does not know of the key; that is seen when it has told all.
	tb.WaitSee(".open .empty|There is no /a")
	if tb.Sees(".open .facts") {
		t.Error("facts of a key that is gone are shown")
	}
	tb.Click(".open button|Undo")
	tb.WaitSee(".open .facts")
	e.want("/a", "two")
}

// The draft of a key that was deleted can be discarded.
func TestKeysHeld_DiscardsTheDraftOfADeletedKey(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/a", "one")
	tb := open(t, h, at("/a"))
	value(tb, "one")
	write(tb, "two")
	e.delete("/a")
	tb.WaitSee(".conflict|deleted this key")
	tb.Click(".conflict button|Discard")
	tb.WaitSee(".open .empty|/a was deleted")
}

// Of two files that are chosen one after the other it is the second that is
// shown and written, whichever is compared first.
func TestKeysHeld_ImportOfTheLastFile(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	dir := t.TempDir()
	for _, name := range []string{"first", "second"} {
		text := fmt.Sprintf("{\"format\":\"modhost-keys-1\"}\n{\"key\":\"/%s\",\"value\":\"x\"}\n", name)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tb := open(t, h, "keys")
	tb.Click("button|Import…")
	hold(tb, "keys/import/compare")
	choose(tb, filepath.Join(dir, "first"))
	tb.Wait(`window.letGo`)
	choose(tb, filepath.Join(dir, "second"))
	tb.WaitSee("dialog .list|/second")
	letGo(tb)
	// Its answer has come when another question that was asked after it is answered.
	tab.Eval[bool](tb, module("api.js")+`.then(({ post }) => post("keys/import/compare", { entries: [] })).then(() => new Promise((done) => setTimeout(() => done(true), 0)))`)
	if tb.Sees("dialog .list|/first") || !tb.Sees("dialog .list|/second") {
		t.Error("what is shown is the file that was chosen before")
	}
	tb.Click("dialog button.primary|Write")
	tb.WaitSee("dialog [role=status]|1 of 1")
	e.want("/second", "x")
	e.gone("/first")
}
