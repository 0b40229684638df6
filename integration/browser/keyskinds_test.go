package browser

import (
	"testing"

	"github.com/etcd-modules/modhost/integration/browser/tab"
)

// JSON, YAML and XML are highlighted in either theme, laid out on demand without
// a change of what they say, and mistakes are marked.
func TestKeysKinds(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	for _, c := range []struct{ kind, value, formatted, broken, mistake string }{
		{"JSON", `{"n":12345678901234567890,"e":1.50,"list":[1,{"a":null}],"d":"x","d":{}}`,
			"{\n  \"n\": 12345678901234567890,\n  \"e\": 1.50,\n  \"list\": [\n    1,\n    {\n      \"a\": null\n    }\n  ],\n  \"d\": \"x\",\n  \"d\": {}\n}",
			"{\n  \"a\": 1,\n}", "Line 3, column 1: a comma before the end"},
		{"YAML", "# note\na:\n    b: 1   \n    c:\n    -   x: 'y'\n        z: |\n            text\n              more\n",
			"# note\na:\n  b: 1\n  c:\n  - x: 'y'\n    z: |\n      text\n        more\n",
			"a: 1\nb: [1, 2\nc: 3\n", "Line "},
		{"XML", `<?xml version="1.0"?><a x="1"><b>some <i>text</i></b><!-- note --><c/></a>`,
			"<?xml version=\"1.0\"?>\n<a x=\"1\">\n  <b>some <i>text</i></b>\n  <!-- note -->\n  <c/>\n</a>",
			"<a>\n<b></a>", "Line 2, column 4: </b> is expected"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			path := "/" + c.kind
			e.put(path, c.value)
			tb := open(t, h, at(path))
			tb.WaitSee(".facts|" + c.kind)
			value(tb, c.value)
			for _, s := range screens {
				s.show(tb)
				tb.Wait(`new Set([...` + editor + `.querySelectorAll("span")].map((s) => getComputedStyle(s).color)).size >= 3`)
				accessible(t, tb, c.kind+", "+s.String())
			}
			screens[0].show(tb)
			if tb.Sees(".mistake") {
				t.Error("a mistake is told of a value that has none")
			}
			tb.Click("button|Format")
			value(tb, c.formatted)
			save(tb)
			e.want(path, c.formatted)
			e.put(path, c.broken)
			tb.WaitSee(".mistake|" + c.mistake)
			tb.Wait(`document.querySelector(".tab .editor").shadowRoot.querySelector(".cm-mistake-line")`)
			tb.Click("button|Format") // leaves it alone
			value(tb, c.broken)
		})
	}
	e.put("/plain", "just: text")
	tb := open(t, h, at("/plain"))
	tb.WaitSee(".facts|Text")
	if tb.Sees("button|Format") {
		t.Error("plain text can be laid out")
	}
}

// What a key was is shown since the dashboard began, so labelled, and an old
// value can be written again.
func TestKeysKinds_History(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	tb := open(t, h, "keys")
	e.put("/a", "first\nline")
	tb.WaitSee(item("a"))
	e.put("/a", "second\nline")
	e.delete("/a")
	tb.WaitGone(item("a"))
	e.put("/a", "third\nline")
	tb.Click(item("a"))
	tb.Click("[role=tab]|History")
	tb.WaitSee("[role=tabpanel]|seen since")
	tb.WaitSee("[role=tabpanel]|v2 API keeps no history")
	for _, s := range screens {
		s.show(tb)
		accessible(t, tb, "history, "+s.String())
	}
	screens[0].show(tb)
	tb.Wait(`document.querySelectorAll(".versions li").length === 4`)
	if got := tab.Eval[string](tb, `[...document.querySelectorAll(".versions li strong")].map((e) => e.textContent).join(" ")`); got != "written deleted written written" {
		t.Errorf("the versions are %q", got)
	}
	tb.Click(".versions li:nth-child(3) button")
	tb.Wait(`document.querySelector(".version .editor").shadowRoot.querySelector(".cm-deletedChunk")?.innerText.includes("first")`)
	tb.Click("button|Restore")
	tb.WaitSee("dialog|only if still at index")
	tb.Click("dialog button|Write")
	tb.WaitGone("dialog[open]")
	value(tb, "second\nline")
	e.want("/a", "second\nline")
}
