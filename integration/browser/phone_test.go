package browser

import (
	"fmt"
	"testing"

	"github.com/etcd-modules/modhost/integration/browser/tab"
)

// On a telephone an empty store says how to make a key, what was picked among
// the results can be acted upon, and the orders of a long conflict are in reach.
func TestKeys_OnATelephone(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	tb := open(t, h, "keys")
	screen{"light", 390}.show(tb)
	tb.WaitSee(".side .empty code|curl")
	accessible(t, tb, "an empty store on a telephone")

	e.put("/app/one", "1")
	e.put("/app/two", "2")
	tb.WaitGone(".side .empty")
	tb.Type("[data-search]", "/app/")
	tb.Click("button|Select 2")
	tb.WaitSee(".selection|2 selected")
	tb.Click(".selection button|Delete…")
	tb.WaitSee("dialog[open]|Delete all of these?")
	tb.Click("dialog button|Cancel")
	tb.Click(".selection button|Clear")
	tb.WaitGone(".selection")

	text := ""
	for i := range 12 {
		text += fmt.Sprintf("line %d\n", i)
	}
	e.put("/app/long", text)
	tb.Go(h.URL + "/mod/dashboard/" + at("/app/long"))
	value(tb, text)
	write(tb, text+"mine")
	e.put("/app/long", "theirs\n"+text)
	tb.Click("[role=alert] button|Compare")
	tb.WaitSee(".conflict button|Save the result")
	for _, top := range []string{"0", "1e6"} {
		tb.Wait(fmt.Sprintf(`(document.querySelector("section.open").scrollTop = %s, window.scrollTo(0, %[1]s),
			(b => b.top >= 0 && b.bottom <= innerHeight)([...document.querySelectorAll(".conflict button")].find((b) => b.textContent.startsWith("Save the result")).getBoundingClientRect()))`, top))
	}
	accessible(t, tb, "a conflict on a telephone")
	if over := tab.Eval[int](tb, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		t.Errorf("%d px wider than the view", over)
	}
}

// Between a telephone and a desk nothing has to be scrolled sideways either.
func TestPhone_WidthsBetween(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	populate(t, h, 3)
	tb := open(t, h, "")
	for _, page := range []string{"", "keys?at=/app/web/config.json", "keys?at=/app", "locks?open=lock:deploy-0", "leaders?open=leader:nightly-0", "members", "modules?name=lock"} {
		tb.Go(h.URL + "/mod/dashboard/" + page)
		tb.WaitSee("[role=status]|live")
		tb.Wait(`document.querySelectorAll("[aria-busy=true]").length === 0 && document.querySelector("main").innerText.length > 100`)
		for _, width := range []int64{320, 641, 768, 960, 981, 1024, 1161} {
			tb.Size(width, 800)
			if over := tab.Eval[int](tb, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
				t.Errorf("page %q is %d px wider than a view of %d px", page, over, width)
			}
		}
	}
}
