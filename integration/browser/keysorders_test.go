package browser

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/etcd-modules/modhost/integration/browser/tab"
)

// A key and a directory are made with a TTL, changed, looked at and deleted.
func TestKeys_CreateChangeDelete(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	tb := open(t, h, "keys")
	tb.Expect("409") // when a key is made that there is
	tb.WaitSee(".empty|no keys yet")
	tb.WaitSee(".empty code|keys/create")

	tb.Click("main button|New…")
	tb.Type("dialog [name=path]", "/app/name")
	tb.Type("dialog [name=value]", "first")
	tb.Type("dialog [name=ttl]", "300")
	accessible(t, tb, "the dialog of a new key")
	tb.Click("dialog button|Create")
	value(tb, "first")
	tb.WaitSee(item("name"))
	if n := e.want("/app/name", "first"); n.TTL < 290 || n.TTL > 300 {
		t.Errorf("the TTL is %d, want 300", n.TTL)
	}

	tb.Click("main button|New…")
	tb.Type("dialog [name=path]", "/app/name")
	tb.Click("dialog button|Create")
	tb.WaitSee("dialog [role=alert]|already")
	tb.Click("dialog label|Directory")
	tb.Type("dialog [name=path]", "/app/tmp")
	tb.Type("dialog [name=ttl]", "200")
	tb.Click("dialog button|Create")
	tb.WaitSee(".empty|Nothing is in this directory")
	if n, ok := e.get("/app/tmp"); !ok || !n.Dir || n.TTL < 190 || n.TTL > 200 {
		t.Errorf("etcd has %+v, want a directory with a TTL of 200", n)
	}

	tb.Click(item("name"))
	value(tb, "first")
	write(tb, "second")
	tb.Click("button|Save…")
	tb.WaitSee("dialog|Will write only if still at index")
	accessible(t, tb, "the dialog of a save")
	tb.Click("dialog button|Write")
	tb.WaitGone("dialog[open]")
	n := e.want("/app/name", "second")
	if n.TTL < 200 {
		t.Errorf("the TTL is %d, want it kept", n.TTL)
	}

	tb.Click("button|Change…")
	tb.Type("dialog [name=ttl]", "50")
	tb.Click("dialog button|Write")
	tb.WaitGone("dialog[open]")
	tb.WaitSee(".facts|s")
	if n = e.want("/app/name", "second"); n.TTL < 40 || n.TTL > 50 {
		t.Errorf("the TTL is %d, want 50", n.TTL)
	}
	tb.Click("button|Change…")
	tb.Click("dialog label|None")
	tb.Click("dialog button|Write")
	tb.WaitSee(".facts|never")
	if n = e.want("/app/name", "second"); n.TTL != 0 {
		t.Errorf("the TTL is %d, want none", n.TTL)
	}

	tb.Click("[role=tab]|Raw")
	tb.WaitSee(".hex|73 65 63 6f 6e 64")
	tb.WaitSee("dd|/app/name")

	tb.Click("[role=tab]|Value")
	tb.Click(".open button|Delete…")
	tb.WaitSee("dialog|/app/name")
	tb.WaitSee("dialog|second")
	tb.Wait(`document.activeElement.textContent === "Cancel"`)
	tb.Click("dialog footer button|Delete")
	tb.WaitSee(".empty|/app/name was deleted")
	e.gone("/app/name")
	tb.Click("button|Undo")
	value(tb, "second")
	e.want("/app/name", "second")
}

// A directory goes with all in it after its path was written; a neighbour whose
// name begins alike stays, and so does what was changed meanwhile.
func TestKeys_DeleteADirectory(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	for _, key := range []string{"/app/a", "/app/deep/b", "/app/deep/er/c", "/app2/a", "/other"} {
		e.put(key, "x")
	}
	tb := open(t, h, at("/app"))
	tb.Click(".open button|Delete…")
	tb.WaitSee("dialog|Keys: 3. Directories: 3.")
	tb.WaitSee("dialog .sample|/app/deep/er/c")
	accessible(t, tb, "the dialog of a deletion")
	tb.Wait(`document.activeElement.textContent === "Cancel"`)
	disabled := func() bool {
		return tab.Eval[bool](tb, `document.querySelector("dialog[open] button.danger").disabled`)
	}
	if !disabled() {
		t.Error("the button works before anything was written")
	}
	tb.Type("dialog [name=typed]", "/ap")
	if !disabled() {
		t.Error("the button works with half the path")
	}
	e.put("/app/deep/b", "changed meanwhile")
	tb.Press("p")
	tb.Click("dialog footer button|Delete")
	tb.WaitSee("dialog li|/app/deep/b")
	e.want("/app/deep/b", "changed meanwhile")
	e.gone("/app/a")
	e.gone("/app/deep/er")
	e.want("/app2/a", "x")
	tb.Click("dialog footer button|Close")

	tb.Click(".open button|Delete…")
	tb.Type("dialog [name=typed]", "/app")
	tb.Click("dialog footer button|Delete")
	tb.WaitSee("dialog|3 of 3 deleted")
	tb.Click("dialog footer button|Close")
	tb.WaitGone(".tree [aria-posinset=\"1\"]|app/")
	e.gone("/app")
	e.want("/app2/a", "x")
	e.want("/other", "x")
}

// Everything is done without a mouse: made, found, edited, saved, deleted; it is
// always seen where the focus is.
func TestKeys_ByKeyboard(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/zoo/lion", "roars")
	tb := open(t, h, "keys")
	tb.WaitSee(item("zoo"))
	seen := func() {
		t.Helper()
		tb.Wait(`getComputedStyle(document.activeElement).outlineStyle !== "none" && document.activeElement !== document.body`)
	}
	// To the tree by the tab key.
	for range 40 {
		if tab.Eval[bool](tb, `document.activeElement.matches(".tree")`) {
			break
		}
		tb.Press(kb.Tab)
	}
	tb.Wait(`document.activeElement.matches(".tree")`)
	seen()
	tb.Stroke("n")
	tb.WaitSee("dialog [name=path]")
	tb.Wait(`document.activeElement.name === "path"`)
	tb.Press("zoo/bear")
	tb.Press(kb.Tab)
	tb.Press("growls")
	tb.Press(kb.Tab)
	tb.Press(kb.Tab)
	tb.Press(kb.Tab)
	seen()
	tb.Press(kb.Enter)
	value(tb, "growls")
	e.want("/zoo/bear", "growls")
	// The tree has the focus again; the new key is its active row.
	tb.Wait(`document.activeElement.matches(".tree")`)
	active := `document.getElementById(document.querySelector(".tree").getAttribute("aria-activedescendant"))?.innerText.trim()`
	tb.Wait(active + ` === "bear"`)
	tb.Press(kb.ArrowDown)
	tb.Wait(active + ` === "lion"`)
	tb.Press(kb.Enter)
	value(tb, "roars")
	tb.Stroke("e")
	tb.Wait(`document.activeElement.matches(".editor")`)
	seen()
	tb.Press(kb.End)
	tb.Press(" loudly")
	tb.Press("s", chromedp.ModifierCtrl)
	tb.WaitSee("dialog[open]|Save /zoo/lion")
	tb.Wait(`document.activeElement.textContent === "Write"`)
	tb.Press(kb.Enter)
	tb.WaitGone("dialog[open]")
	e.want("/zoo/lion", "roars loudly")
	tb.Wait(`document.activeElement.matches(".editor")`)
	tb.Press(kb.Escape)
	tb.Wait(`document.activeElement.matches(".tree")`)
	tb.Press(kb.Delete)
	tb.WaitSee("dialog|/zoo/lion")
	tb.Wait(`document.activeElement.textContent === "Cancel"`)
	tb.Press(kb.Tab)
	tb.Press(kb.Enter)
	tb.WaitSee(".empty|/zoo/lion was deleted")
	e.gone("/zoo/lion")
	tb.Wait(`document.activeElement.matches(".tree")`)
	tb.Wait(active + ` === "bear"`)
	tb.Press(kb.ArrowLeft)
	tb.Wait(active + ` === "▾zoo" || ` + active + `.endsWith("zoo")`)
	tb.Press(kb.ArrowLeft)
	tb.WaitGone(item("bear"))
	tb.Press(kb.ArrowRight)
	tb.WaitSee(item("bear"))
}
