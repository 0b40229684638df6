package browser

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/etcd-modules/modhost/integration/browser/tab"
	"github.com/etcd-modules/modhost/integration/drive"
)

const token = "the token of a test"

// guarded runs a host whose dashboard is for those who have the token.
func guarded(t *testing.T, token string) *drive.Host {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return programs.Start(t, fmt.Sprintf("access {\n  token_file = %q\n}\n", file)+drive.Embedded+drive.Elections+drive.Dashboard(""))
}

// unauthorized is what a browser says to an answer with 401.
const unauthorized = `status of 401`

// signIn fills the host's page in.
func signIn(tb *tab.Tab, given, user string) {
	tb.Type("input[name=modhost_token]", given)
	tb.Type("input[name=modhost_user]", user)
	tb.Press(kb.Enter)
}

// Who has no session is shown a page, that of the host, and is led to where they
// wanted to go.
func TestSignIn(t *testing.T) {
	t.Parallel()
	h := guarded(t, token)
	tb := chromium.Open(t)
	tb.Expect(unauthorized)
	tb.Go(h.URL + "/mod/dashboard/locks")
	tb.WaitSee("h1|Sign in")
	if tb.Sees("[role=alert]") || tab.Eval[string](tb, `getComputedStyle(document.body).maxWidth`) != "352px" {
		t.Error("the page complains or lacks its style")
	}
	tb.Wait(`document.activeElement.name === "modhost_token"`)
	accessible(t, tb, "the sign-in page")
	signIn(tb, "something else", "")
	tb.WaitSee("[role=alert]|not the token")
	accessible(t, tb, "the sign-in page after a wrong token")
	signIn(tb, token, "Ada")
	tb.WaitSee("h1|Locks")
	tb.WaitSee("[role=status]|live")
	if got := tab.Eval[string](tb, "location.href + document.cookie"); got != h.URL+"/mod/dashboard/locks" {
		t.Errorf("after signing in the address, and the cookies of scripts, are %q", got)
	}
	tb.Reload()
	tb.WaitSee("[role=status]|live")
	tb.Wait(`document.querySelector("form[method=post] button")?.title.includes("Ada")`)
	tb.Click("form[method=post] button")
	tb.WaitSee("h1|Sign in")
}

// Another site can lead to the dashboard without a further sign-in, and do
// nothing else.
func TestSignIn_FromAnotherSite(t *testing.T) {
	t.Parallel()
	h := guarded(t, token)
	tb := chromium.Open(t)
	tb.Expect(unauthorized)
	tb.Go(h.URL + "/mod/dashboard/")
	signIn(tb, token, "")
	tb.WaitSee("[role=status]|live")

	attacker := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!DOCTYPE html><title>another site</title><link rel="icon" href="data:,"><h1>Another site</h1>
<a href="%[1]s/mod/dashboard/leaders">there</a>
<form method="post" action="%[1]s/mod/v2/lock/forged?ttl=60"><button>lock</button></form>
<form method="post" action="%[1]s/mod/dashboard/"><input type="hidden" name="modhost_sign_out" value="1"><button>out</button></form>`, h.URL)
	}))
	// Another site, not just another port: the host is 127.0.0.1.
	var err error
	if attacker.Listener, err = net.Listen("tcp", "127.0.0.2:0"); err != nil {
		t.Fatal(err)
	}
	attacker.Start()
	t.Cleanup(attacker.Close)
	tb.Expect("foreign request")
	tb.Expect("status of 403|favicon")
	visit := func() {
		tb.Go(attacker.URL)
		tb.WaitSee("h1|Another")
	}
	visit()
	tb.Click("button|lock")
	tb.WaitSee("pre|Cross-origin request refused")
	visit()
	tb.Click("button|out")
	tb.WaitSee("pre|Cross-origin request refused")
	visit()
	if got := tab.Eval[string](tb, fmt.Sprintf(`fetch(%q).then(() => "read", () => "refused")`, h.URL+"/mod/v2/lock/forged")); got != "refused" {
		t.Errorf("a page of another site has %s the lock", got)
	}
	tb.Expect("CORS|ERR_FAILED")
	tb.Click("a|there")
	tb.WaitSee("h1|Leaders")
	tb.WaitSee("[role=status]|live")
	if status, body, err := send(t.Context(), h.URL, "GET", "/mod/v2/lock/forged", nil); err != nil || status != 200 || body != "" {
		t.Errorf("the lock is %d %q, %v", status, body, err)
	}
}

// Who was away when the session ended is led to the sign-in page, however long
// that was.
func TestSignIn_AfterAnOutage(t *testing.T) {
	t.Parallel()
	first, second := guarded(t, token), guarded(t, "the token of another host") // which ends all sessions
	var target atomic.Pointer[url.URL]                                          // nil: nobody answers
	var tries atomic.Int32                                                      // of the stream, meanwhile
	lead := func(h *drive.Host) {
		u, err := url.Parse(h.URL)
		if err != nil {
			t.Fatal(err)
		}
		target.Store(u)
	}
	lead(first)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := target.Load()
		if to == nil {
			if strings.HasSuffix(r.URL.Path, "/events") {
				tries.Add(1)
			}
			panic(http.ErrAbortHandler)
		}
		(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, FlushInterval: -1}).ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	tb := chromium.Open(t)
	tb.Expect(unauthorized + "|net::|ERR_")
	tb.Go(proxy.URL + "/mod/dashboard/")
	signIn(tb, token, "")
	tb.WaitSee("[role=status]|live")
	tb.Wait("document.querySelectorAll('.graph canvas').length === 4") // all that the page consists of is there
	target.Store(nil)
	proxy.CloseClientConnections()
	tb.WaitSee(".banner|No connection")
	tb.Await("some tries", func() bool { return tries.Load() >= 4 })
	lead(second)
	tb.WaitSee("h1|Sign in")
}
