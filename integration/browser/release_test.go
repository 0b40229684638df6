package browser

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/etcd-modules/modhost/integration/browser/tab"
)

// Force release names who is next, and asks. The next one gets its turn, and
// everybody is told that it was forced.
func TestLocks_ForceRelease(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	l, clients, line := fiveInLine(t, h, "report")
	tb := open(t, h, "locks?open=lock:report")
	tb.Wait(is(column("Index"), indexes(line)))
	tb.Click(".act button|Release…")
	tb.Wait(`["Held by client-0", "Next holder client-1", "The holder is not told"].every((s) => ` + dialog + `.replaceAll(/\s+/g, " ").includes(s))`)
	tb.Wait(`document.activeElement.textContent === "Cancel"`)
	tb.Click("button|Cancel")
	tb.WaitGone("dialog[open]")
	if s := l.State(); s.Index != line[0].Index {
		t.Errorf("after Cancel the API says %+v", s)
	}

	// A dialog that has closed opens again at once, before the browser has told
	// that it is closed.
	tb.Click(".act button|Release…")
	tb.Wait(`document.activeElement.textContent === "Cancel"`)
	tab.Eval[bool](tb, `(async () => {
		document.activeElement.click();
		for (let i = 0; i < 20; i++) await null;
		document.querySelector(".act button.order").click();
		return true;
	})()`)
	tb.Click("button.danger|Release")
	tb.WaitGone("dialog[open]")
	if got := clients[1].Output(); got != indexes(line)[1] {
		t.Errorf("the next client was told %q, want %s", got, indexes(line)[1])
	}
	tb.Wait(is(column("Index"), indexes(line[1:])))
	tb.Wait(history(ofOpen, "How it ended") + `[0] === "forced by the dashboard, from 127.0.0.1"`)

	// Who waits is taken out in the same way, and the others notice nothing.
	tb.Click("table.places tr:nth-child(3) button|Remove…")
	tb.Wait(dialog + `.includes("client-3")`)
	tb.Click("button.danger|Remove")
	tb.WaitGone("dialog[open]")
	if got := clients[3].Output(); !strings.Contains(got, "701") {
		t.Errorf("the client that was removed was told %q, want code 701", got)
	}
	tb.Wait(is(column("Owner"), []string{"client-1", "client-2", "client-4"}))
	if clients[2].Ended() || clients[4].Ended() || l.State().Index != line[1].Index {
		t.Errorf("others were disturbed: %+v", l.State())
	}
}

// Whoever has given an order learns what came of it: until then the dialog
// stays.
func TestLocks_DialogStaysUntilItsOrderIsAnswered(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	l, _, line := fiveInLine(t, h, "report")
	tb := open(t, h, "locks")
	tb.Click(".act button|Release…")
	tb.Wait(confirms + ` && !` + confirms + `.disabled`)
	hold(tb, "/api/")
	tb.Click("button.danger|Release")
	tb.Wait(`window.letGo`)
	tb.Wait(`[...document.querySelectorAll("dialog[open] button")].every((b) => b.disabled)`)
	tb.Press(kb.Escape)
	if !tb.Sees("dialog[open]|Working") {
		t.Error("Esc has closed the dialog")
	}
	letGo(tb)
	tb.WaitGone("dialog[open]")
	l.WantHeld(line[1].Index, "client-1", 3)
}

// A lock that changes hands while the dialog is open is not released, and the
// dialog says so: also if the order is on its way already.
func TestLocks_ForceReleaseIsGuardedByTheIndex(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	l, _, line := fiveInLine(t, h, "report")
	tb := open(t, h, "locks")
	tb.Click(".act button|Release…")
	tb.Wait(confirms + ` && !` + confirms + `.disabled`)
	l.Release(line[0].Index)
	tb.Wait(dialog + `.includes("The lock has changed hands: index ` + indexes(line)[0] + ` does not hold it any more, so it is not released.")`)
	tb.Wait(dialog + `.includes("client-1")`)
	tb.Wait(confirms + `.disabled`)
	tb.Click("button|Cancel")
	tb.WaitGone("dialog[open]")

	tb.Expect("404")
	tb.Click(".act button|Release…")
	tb.Wait(confirms + ` && !` + confirms + `.disabled`)
	tab.Eval[bool](tb, fmt.Sprintf(`fetch("/mod/v2/lock/report?index=%d", {method: "DELETE"}).then(() => { %s.click(); return true; })`, line[1].Index, confirms))
	tb.Wait(dialog + `.includes("The lock has changed hands: index ` + indexes(line)[1] + ` ")`)
	tb.Click("button|Cancel")
	l.WantHeld(line[2].Index, "client-2", 2)

	for what, c := range map[string]struct {
		body any
		want int
	}{
		"who is gone":                  {map[string]any{"module": "lock", "name": "report", "index": indexes(line)[0]}, http.StatusNotFound},
		"who waits, as one that holds": {map[string]any{"module": "lock", "name": "report", "index": indexes(line)[3]}, http.StatusConflict},
		"who holds, as one that waits": {map[string]any{"module": "lock", "name": "report", "index": indexes(line)[2], "waiting": true}, http.StatusConflict},
		"another lock":                 {map[string]any{"module": "lock", "name": "reports", "index": indexes(line)[2]}, http.StatusNotFound},
		"a module that is not shown":   {map[string]any{"module": "leader", "name": "report", "index": indexes(line)[2]}, http.StatusBadRequest},
	} {
		if status, answer := order(t, h, "locks/release", c.body); status != c.want {
			t.Errorf("order to release %s = %d %s, want %d", what, status, answer, c.want)
		}
	}
	l.WantHeld(line[2].Index, "client-2", 2)
}
