package browser

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/etcd-modules/modhost/integration/browser/tab"
)

// looks is an expression for how the parts of a page are laid out, by what they
// are.
const looks = `(() => {
	const all = {};
	for (const e of document.querySelectorAll("main *")) {
		if (e.closest("svg, .plot, .banners")) continue;
		const s = getComputedStyle(e);
		all[[e.parentElement.tagName, e.parentElement.className, e.tagName, e.className].join(" ")] ??=
			["display", "marginTop", "marginBottom", "paddingLeft", "paddingTop", "maxWidth", "gap", "fontSize", "fontWeight", "whiteSpace", "overflowX", "gridTemplateAreas"].map((p) => s[p]).join("|");
	}
	return JSON.stringify(all);
})()`

// A page looks the same whichever pages were open before it: their style sheets
// use the same names.
func TestFrame_PagesDressAlone(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	populate(t, h, 3)
	tb := open(t, h, "")
	look := func() (all map[string]string) {
		tb.Wait(`document.querySelector("h1").textContent === document.querySelector("nav [aria-current]").textContent && !document.querySelector("[aria-busy=true]")`)
		if err := json.Unmarshal([]byte(tab.Eval[string](tb, looks)), &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	addresses := map[string]string{"": "", "keys": at("/app/hosts"), "locks": "locks?open=lock:deploy-0", "leaders": "leaders", "members": "members", "modules": "modules"}
	alone := make(map[string]map[string]string)
	for _, p := range pages {
		tb.Go(h.URL + "/mod/dashboard/" + addresses[p])
		alone[p] = look()
	}
	for range 2 {
		for _, p := range pages {
			tab.Eval[int](tb, fmt.Sprintf(`(() => { const a = document.createElement("a"); a.href = "/mod/dashboard/%s"; document.querySelector("header").append(a); a.click(); a.remove(); return 0; })()`, addresses[p]))
			for what, style := range look() {
				if want, ok := alone[p][what]; ok && style != want {
					t.Errorf("page %q after others: %q is\n%s, alone it is\n%s", p, what, style, want)
				}
			}
		}
	}
}
