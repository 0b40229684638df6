package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/etcd-modules/modhost/integration/browser/tab"
)

// A violation is what axe found.
type violation struct {
	ID    string
	Help  string
	Nodes []struct {
		HTML           string
		FailureSummary string
	}
}

// axe judges what the tab shows, by WCAG 2.2 A and AA and the best practices,
// contrast included.
func axe(t *testing.T, tb *tab.Tab) []violation {
	t.Helper()
	source, err := os.ReadFile("testdata/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	if !tab.Eval[bool](tb, `"axe" in window`) {
		tab.Eval[bool](tb, string(source)+"; true")
	}
	text := tab.Eval[string](tb, `axe.run(document, {
		runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
		resultTypes: ["violations"],
	}).then((r) => JSON.stringify(r.violations))`)
	var list []violation
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// accessible fails the test for each thing that axe finds wrong.
func accessible(t *testing.T, tb *tab.Tab, what string) {
	t.Helper()
	for _, v := range axe(t, tb) {
		var where []string
		for _, n := range v.Nodes {
			where = append(where, fmt.Sprintf("%.300s\n    %s", n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", " ")))
		}
		t.Errorf("%s: %s (%s), at:\n  %s", what, v.Help, v.ID, strings.Join(where, "\n  "))
	}
}

// A screen is a theme and a width.
type screen struct {
	scheme string
	width  int64
}

var screens = []screen{{"light", 1200}, {"dark", 1200}, {"light", 390}, {"dark", 390}}

func (s screen) String() string { return fmt.Sprintf("%s at %d px", s.scheme, s.width) }

// show puts the tab on the screen.
func (s screen) show(tb *tab.Tab) {
	tb.Scheme(s.scheme)
	tb.Size(s.width, 800)
}

// Every page, with and without rows, in both themes and widths: nothing that axe
// finds, nothing that has to be scrolled sideways.
func TestAxe_EveryPage(t *testing.T) {
	t.Parallel()
	for name, furnish := range map[string]func(*testing.T, string){"empty": func(*testing.T, string) {}, "furnished": furnish} {
		t.Run(name, func(t *testing.T) {
			h := start(t, "")
			furnish(t, h.URL)
			tb := open(t, h, "")
			for _, page := range pages {
				tb.Go(h.URL + "/mod/dashboard/" + page)
				tb.WaitSee("h1")
				tb.WaitSee("[role=status]|live")
				for _, s := range screens {
					s.show(tb)
					accessible(t, tb, fmt.Sprintf("page %q, %s", page, s))
					if over := tab.Eval[int](tb, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
						t.Errorf("page %q, %s: %d px wider than the view", page, s, over)
					}
				}
			}
			screens[0].show(tb)
			tb.Click("button|Keyboard")
			tb.WaitSee("dialog[open]")
			accessible(t, tb, "the dialog of shortcuts")
		})
	}
}

// Axe's eyes are open.
func TestAxe_NegativeControl(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	tb := open(t, h, "")
	tb.WaitSee("h1")
	tab.Eval[int](tb, `(() => {
		const main = document.querySelector("main");
		const pale = document.createElement("p"); pale.textContent = "pale"; pale.style.color = "#888"; pale.style.background = "#999";
		const image = document.createElement("img"); const field = document.createElement("input");
		main.append(pale, image, field);
		return 0;
	})()`)
	found := make(map[string]bool)
	for _, v := range axe(t, tb) {
		found[v.ID] = true
	}
	for _, want := range []string{"color-contrast", "image-alt", "label"} {
		if !found[want] {
			t.Errorf("axe has not found %s, only %v", want, found)
		}
	}
}
