package browser

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/etcd-modules/modhost/integration/browser/tab"
)

// The dashboard works below any prefix that a proxy puts in front, on every
// page, and asks for nothing above it.
func TestPlace_BehindAProxy(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	target, err := url.Parse(h.URL)
	if err != nil {
		t.Fatal(err)
	}
	const prefix = "/x/y"
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, prefix)
		r.Out.URL.RawPath = ""
	}, FlushInterval: -1}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, prefix+"/mod/dashboard") {
			http.NotFound(w, r) // seen as a failed request
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	tb := chromium.Open(t)
	tb.Go(proxy.URL + prefix + "/mod/dashboard")
	for _, page := range pages {
		if page != "" {
			tb.Go(proxy.URL + prefix + "/mod/dashboard/" + page)
		}
		tb.WaitSee("h1")
		tb.WaitSee("[role=status]|live")
	}
	tb.Click("nav a|Overview")
	tb.Wait(`location.pathname === "` + prefix + `/mod/dashboard/"`)
}

// Links, the history, and loading anew lead to the same page.
func TestPlace_LinksBackAndReload(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	tb := open(t, h, "")
	tab.Eval[int](tb, `window.same = 1`)
	tb.Click("nav a|Locks")
	tb.WaitSee("h1|Locks")
	tb.Click("nav a|Members")
	tb.WaitSee("h1|Members")
	if !tab.Eval[bool](tb, `window.same === 1 && location.pathname.endsWith("/mod/dashboard/members")`) {
		t.Error("the page was loaded anew, or its address is another")
	}
	tb.Back()
	tb.WaitSee("h1|Locks")
	tb.Reload()
	tb.WaitSee("h1|Locks")
}

// Back leads to where a page was left, and a link to the top of another.
func TestPlace_BackScrollsToWhereOneWas(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	for i := range 60 {
		grant(t, h.URL, "POST", "/mod/v2/lock/"+strconv.Itoa(i)+"?ttl=600", nil)
	}
	tb := open(t, h, "locks")
	tb.Wait(`document.querySelectorAll("tbody tr").length >= 60`)
	tab.Eval[bool](tb, `(scrollTo(0, 700), true)`)
	tb.Click("nav a|Members")
	tb.WaitSee("h1|Members")
	tb.Wait(`scrollY === 0`)
	tb.Back()
	tb.WaitSee("h1|Locks")
	tb.Wait(`scrollY === 700`)
}

// The theme follows the system, unless somebody has chosen; the choice lasts.
func TestPlace_Theme(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	tb := open(t, h, "")
	ground := func() string {
		return tab.Eval[string](tb, `getComputedStyle(document.documentElement).backgroundColor`)
	}
	const light, dark = "rgb(247, 248, 249)", "rgb(18, 22, 26)"
	for scheme, want := range map[string]string{"light": light, "dark": dark} {
		tb.Scheme(scheme)
		if got := ground(); got != want {
			t.Errorf("the system is %s: the ground is %s, want %s", scheme, got, want)
		}
	}
	tb.Scheme("light")
	tab.Eval[int](tb, `(() => { const s = document.querySelector("header select"); s.value = "dark"; s.dispatchEvent(new Event("change", {bubbles: true})); return 0; })()`)
	if got := ground(); got != dark {
		t.Errorf("dark was chosen: the ground is %s", got)
	}
	tb.Reload()
	tb.WaitSee("h1")
	if got := ground(); got != dark {
		t.Errorf("dark was chosen, then loaded anew: the ground is %s", got)
	}
}

// Pages open by two keys; "?" shows them; Esc gives the focus back; the first
// stop of the tab key leads past the navigation.
func TestPlace_Keyboard(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	tb := open(t, h, "")
	tb.WaitSee("h1|Overview")
	// The second key counts for as long as the first is fresh, which may be over before it is pressed.
	press := func(keys, title string) {
		t.Helper()
		tb.Await(title, func() bool {
			tb.Press(keys)
			return tb.Sees("h1|" + title)
		})
	}
	for keys, title := range map[string]string{"gk": "Keys", "gl": "Locks", "ge": "Leaders", "gm": "Members", "gd": "Modules", "go": "Overview"} {
		press(keys, title)
	}
	// What had the focus goes with its page; the focus is then at the beginning of the next one.
	press("go", "Overview")
	tab.Eval[int](tb, `(() => { const a = document.createElement("a"); a.href = "#"; document.querySelector(".page").append(a); a.focus(); return 0; })()`)
	press("gm", "Members")
	tb.Wait(`document.activeElement.id === "content"`)
	press("go", "Overview")
	tab.Eval[int](tb, `(document.querySelector("nav a").focus(), 0)`)
	tb.Press("?")
	tb.WaitSee("dialog[open]|Keyboard")
	tb.Press("gk") // not while a dialog is open
	tb.Press(kb.Escape)
	tb.WaitGone("dialog[open]")
	tb.Wait(`document.activeElement.matches("nav a")`)
	if !tb.Sees("h1|Overview") {
		t.Error("a shortcut worked in a dialog")
	}
	tb.Reload()
	tb.WaitSee("h1")
	tb.Press(kb.Tab)
	tb.Wait(`document.activeElement.matches(".skip") && getComputedStyle(document.activeElement).outlineStyle !== "none"`)
	tb.Press(kb.Enter)
	tb.Wait(`document.activeElement.id === "content"`)
}
