package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/etcd-modules/modhost/sdk/wire"
)

const secret = "the secret of the house"

// seen is what a module is given.
type seen struct {
	Access        wire.Access
	Authorization []string
	Cookie        []string
	Body          string
}

// witness answers with what it is given.
func witness() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		json.NewEncoder(w).Encode(seen{ //nolint:errcheck
			w.(*response).arrival.Access, r.Header.Values("Authorization"), r.Header.Values("Cookie"), string(body),
		})
	})
}

// secured is guarded with modules that tell what they are given.
func secured(t *testing.T, r Rules, logger hclog.Logger) *Server {
	return newServer(t, Options{Rules: r, Logger: logger, Mounts: []Mount{
		{Path: "/mod/m", Module: "m", Handler: witness()},
		{Path: "/mod/p", Module: "p", Handler: witness(), Privileged: true},
	}})
}

func given(t *testing.T, w *httptest.ResponseRecorder) seen {
	t.Helper()
	var got seen
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
		t.Errorf("answer = %d %s, %v", w.Code, w.Body, err)
	}
	return got
}

func basic(user, password string) string {
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth(user, password)
	return "Authorization: " + r.Header.Get("Authorization")
}

const (
	browser  = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
	formType = "Content-Type: application/x-www-form-urlencoded"
)

func TestAccess_ReadOnly(t *testing.T) {
	const why = "why; remedy"
	s := secured(t, Rules{ReadOnly: why}, nil)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "BREW"} {
		refused(t, ask(s, method, "/mod/p/a", ""), 403, wire.CodeReadOnly, why)
		refused(t, ask(s, method, "/mod/p", "modhost_token=x", formType), 403, wire.CodeReadOnly, why)
		if got := given(t, ask(s, method, "/mod/m/a", "")); got.Access != (wire.Access{}) {
			t.Errorf("a module without privileges is told %+v", got)
		}
	}
	for _, method := range []string{"GET", "OPTIONS"} {
		if got := given(t, ask(s, method, "/mod/p/a", "", "Authorization: x")); got.Access != (wire.Access{ReadOnly: why}) || len(got.Authorization) != 1 {
			t.Errorf("%s: the module is told %+v", method, got)
		}
	}
	if got := given(t, ask(secured(t, Rules{}, nil), "POST", "/mod/p/a", "")); got.Access != (wire.Access{}) {
		t.Errorf("unguarded: the module is told %+v", got)
	}
}

func TestAccess_Token(t *testing.T) {
	s := secured(t, Rules{Token: secret, ReadOnly: "does not count"}, nil)
	for _, c := range []struct {
		name, header, user string
		ok                 bool
	}{
		{"bearer", "Authorization: Bearer " + secret, "", true},
		{"bearer, other case", "Authorization: bearer " + secret, "", true},
		{"basic", basic("ada", secret), "ada", true},
		{"basic, nobody", basic("", secret), "", true},
		{"basic, a name to tidy", basic(" Ren\xe9\n\x00"+strings.Repeat("é", 60), secret), "Ren" + strings.Repeat("é", 48), true},
		{"wrong", "Authorization: Bearer wrong", "", false},
		{"one more letter", "Authorization: Bearer " + secret + "x", "", false},
		{"one less", "Authorization: Bearer " + secret[1:], "", false},
		{"empty", "Authorization: Bearer ", "", false},
		{"as the user", basic(secret, ""), "", false},
		{"another scheme", "Authorization: Digest " + secret, "", false},
		{"bare", "Authorization: " + secret, "", false},
		{"none", "X: y", "", false},
		{"a cookie that is none", "Cookie: modhost_session=" + secret, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, method := range []string{"GET", "POST", "DELETE", "OPTIONS"} {
				w := ask(s, method, "/mod/p/a", "", c.header, "Cookie: a=b")
				if !c.ok {
					refused(t, w, 401, wire.CodeUnauthorized, "access.token_file")
					if got := w.Header().Get("WWW-Authenticate"); got != `Bearer realm="modhost"` {
						t.Errorf("WWW-Authenticate is %q", got)
					}
					continue
				}
				if got := given(t, w); got.Access != (wire.Access{User: c.user}) || got.Authorization != nil || fmt.Sprint(got.Cookie) != "[a=b]" {
					t.Errorf("the module is told %+v, want user %q and no token", got, c.user)
				}
			}
		})
	}
	// For others the token is nothing, and it is not told to them.
	for header, want := range map[string]int{"Authorization: Bearer " + secret: 0, basic("ada", secret): 0, basic("ada", "own"): 1, "Authorization: Bearer own": 1} {
		if got := given(t, ask(s, "POST", "/mod/m/a", "", header)); len(got.Authorization) != want || got.Access != (wire.Access{}) {
			t.Errorf("%s: a module without privileges is told %+v", header, got)
		}
	}
	if w := ask(s, "GET", "/mod/", ""); w.Code != 200 {
		t.Errorf("the listing = %d", w.Code)
	}
}

// signedIn signs in and returns the cookie.
func signedIn(t *testing.T, s *Server, user string) *http.Cookie {
	t.Helper()
	w := ask(s, "POST", "/mod/p/", url.Values{"modhost_token": {secret}, "modhost_user": {user}}.Encode(), formType, browser)
	cookies := w.Result().Cookies()
	if w.Code != 303 || len(cookies) != 1 {
		t.Fatalf("sign-in = %d %v %s", w.Code, w.Header(), w.Body)
	}
	return cookies[0]
}

func TestAccess_SignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := secured(t, Rules{Token: secret}, hclog.New(&hclog.LoggerOptions{Output: &log}))
		page := ask(s, "GET", "/mod/p/a?b=c", "", browser)
		if page.Code != 401 || !strings.HasPrefix(page.Header().Get("Content-Type"), "text/html") || !strings.Contains(page.Body.String(), `name="modhost_token"`) ||
			strings.Contains(page.Body.String(), "alert") || page.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("page = %d %v %s", page.Code, page.Header(), page.Body)
		}
		wrong := ask(s, "POST", "/mod/p/a", "modhost_token=wrong", formType, browser)
		if wrong.Code != 401 || !strings.Contains(wrong.Body.String(), "that is not the token") || len(wrong.Result().Cookies()) > 0 {
			t.Errorf("wrong token = %d %v %s", wrong.Code, wrong.Header(), wrong.Body)
		}
		refused(t, ask(s, "POST", "/mod/p/a", "modhost_token=wrong", formType), 401, wire.CodeUnauthorized, "not the token")
		refused(t, ask(s, "POST", "/mod/p/a", "modhost_token="+url.QueryEscape(secret), formType, "Origin: https://evil.example"), 403, wire.CodeCrossOrigin, "")
		refused(t, ask(s, "POST", "/mod/p/a?modhost_token="+url.QueryEscape(secret), "a=b", formType), 401, wire.CodeUnauthorized, "")

		c := signedIn(t, s, "Ada")
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Path != "/" || c.MaxAge != 12*60*60 || strings.Contains(c.Value, secret) {
			t.Errorf("cookie = %+v", c)
		}
		if log := log.String(); !strings.Contains(log, "signed in: module=p user=Ada") || strings.Contains(log, secret) {
			t.Errorf("log: %s", log)
		}
		cookie := "Cookie: x=y; modhost_session=" + c.Value + "; z=\"a b\""
		got := given(t, ask(s, "POST", "/mod/p/a", "a=b", formType, cookie, "Authorization: Basic cHJveHk6b3du"))
		if got.Access != (wire.Access{User: "Ada", SignedIn: true}) || got.Authorization != nil || fmt.Sprint(got.Cookie) != `[x=y; z="a b"]` || got.Body != "a=b" {
			t.Errorf("the module is told %+v", got)
		}
		if got := given(t, ask(s, "POST", "/mod/m/a", "", "Cookie: modhost_session="+c.Value)); got.Cookie != nil || got.Access != (wire.Access{}) {
			t.Errorf("a module without privileges is told %+v", got)
		}
		for _, bad := range []string{c.Value[:len(c.Value)-1], "A" + c.Value[1:], c.Value + "AAAA", "", "x", strings.ToLower(c.Value)} {
			if bad == c.Value {
				continue
			}
			refused(t, ask(s, "GET", "/mod/p/a", "", "Cookie: modhost_session="+bad), 401, wire.CodeUnauthorized, "")
		}
		// Beside one of a host that is gone, on another port.
		given(t, ask(s, "GET", "/mod/p/a", "", "Cookie: modhost_session=old; modhost_session="+c.Value))

		time.Sleep(12*time.Hour - time.Second)
		given(t, ask(s, "GET", "/mod/p/a", "", cookie))
		time.Sleep(time.Second)
		refused(t, ask(s, "GET", "/mod/p/a", "", cookie), 401, wire.CodeUnauthorized, "")

		c = signedIn(t, s, "")
		s.SetRules(Rules{Token: "another"})
		refused(t, ask(s, "GET", "/mod/p/a", "", "Cookie: modhost_session="+c.Value), 401, wire.CodeUnauthorized, "")
	})
}

// A stream that was let in ends with what has let it in.
func TestAccess_EndsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		wait := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			ended <- context.Cause(r.Context())
		})
		s := newServer(t, Options{Rules: Rules{Token: secret}, Mounts: []Mount{
			{Path: "/mod/m", Module: "m", Handler: wait},
			{Path: "/mod/p", Module: "p", Handler: wait, Privileged: true},
		}})
		begin := func(target string, headers ...string) (stop func()) {
			ctx, stop := context.WithCancel(t.Context())
			r := httptest.NewRequestWithContext(ctx, "GET", "http://localhost"+target, nil)
			for _, h := range headers {
				name, value, _ := strings.Cut(h, ": ")
				r.Header.Set(name, value)
			}
			go s.ServeHTTP(httptest.NewRecorder(), r)
			synctest.Wait()
			return stop
		}
		under := func(what string, want string) {
			t.Helper()
			synctest.Wait()
			select {
			case err := <-ended:
				if want == "" || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: ended by %v, want %q", what, err, want)
				}
			default:
				if want != "" {
					t.Errorf("%s: is still under way, want %q", what, want)
				}
			}
		}
		c := signedIn(t, s, "Ada")
		begin("/mod/p", "Cookie: modhost_session="+c.Value)
		time.Sleep(12*time.Hour - time.Second)
		under("before the session's end", "")
		time.Sleep(time.Second)
		under("a session", "session is over")

		begin("/mod/p", "Authorization: Bearer "+secret)
		time.Sleep(24 * time.Hour)
		s.SetRules(Rules{Token: secret, Hosts: []string{"a.example"}})
		under("the same token", "")
		s.SetRules(Rules{Token: "another"})
		under("another token", "another token")

		stop := begin("/mod/m")
		s.SetRules(Rules{Token: secret})
		under("a module without privileges", "")
		stop()
		under("its client gone", "canceled")
		s.SetRules(Rules{})
		begin("/mod/p")
		s.SetRules(Rules{Token: secret})
		under("who needed no token", "another token")
	})
}

// Where the browser is led after signing in, seen from its address behind a
// proxy that has put /x/y before the path.
func TestAccess_SignInLeadsBack(t *testing.T) {
	s := secured(t, Rules{Token: secret}, nil)
	for _, target := range []string{
		"/mod/p", "/mod/p/", "/mod/p/keys/a%20b?c=d&e=%2F", "/mod/p?q", "/mod/p/a:b", "/mod/p/a/", "/mod/p/a%2Fb", "/mod/p//", "/mod/p/%5Cevil.example",
	} {
		w := ask(s, "POST", target, "modhost_token="+url.QueryEscape(secret), formType)
		base, err := url.Parse("https://proxy.example/x/y" + target)
		if err != nil {
			t.Fatal(err)
		}
		to, err := base.Parse(w.Header().Get("Location"))
		if err != nil || w.Code != 303 || to.String() != base.String() || strings.HasPrefix(w.Header().Get("Location"), "/") {
			t.Errorf("%s leads to %q (%v), %d %q", target, to, err, w.Code, w.Header().Get("Location"))
		}
	}
}

func TestAccess_SignOut(t *testing.T) {
	s := secured(t, Rules{Token: secret}, nil)
	c := signedIn(t, s, "")
	refused(t, ask(s, "POST", "/mod/p/", "modhost_sign_out=1", formType, "Cookie: modhost_session="+c.Value, "Sec-Fetch-Site: cross-site"), 403, wire.CodeCrossOrigin, "")
	w := ask(s, "POST", "/mod/p/?a", "modhost_sign_out=1", formType, "Cookie: modhost_session="+c.Value)
	cookies := w.Result().Cookies()
	if w.Code != 303 || w.Header().Get("Location") != "./?a" || len(cookies) != 1 || cookies[0].MaxAge >= 0 || cookies[0].Path != "/" {
		t.Errorf("sign-out = %d %v", w.Code, w.Header())
	}
}

func TestAccess_SecureCookie(t *testing.T) {
	s := secured(t, Rules{Token: secret}, nil)
	w := ask(s, "POST", "/mod/p/", "modhost_token="+url.QueryEscape(secret), formType, "X-Forwarded-Proto: https")
	if !w.Result().Cookies()[0].Secure {
		t.Error("behind a proxy with TLS the cookie is not secure")
	}
}

// Forms that are the module's reach it whole.
func TestAccess_FormsOfTheModule(t *testing.T) {
	s := secured(t, Rules{Token: secret}, nil)
	for _, c := range []struct{ method, kind, body string }{
		{"POST", formType, "a=b&c=%zz"},
		{"POST", formType, "name=modhost_token"},
		{"POST", formType, "note=modhost_&a=%zz"},
		{"POST", formType, "a=" + strings.Repeat("x", longestForm) + "&modhost_token=x"},
		{"POST", "Content-Type: text/plain", "modhost_token=x"},
		{"PUT", formType, "modhost_token=x"},
		{"POST", formType, ""},
	} {
		if got := given(t, ask(s, c.method, "/mod/p/a", c.body, c.kind, "Authorization: Bearer "+secret)); got.Body != c.body {
			t.Errorf("%s %s %.40q: the module got %.40q", c.method, c.kind, c.body, got.Body)
		}
	}
	short := httptest.NewRequest("POST", "http://localhost/mod/p/a", io.MultiReader(strings.NewReader("modhost_token=")))
	short.ContentLength = 100
	short.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, short)
	refused(t, w, 400, wire.CodeRequestInvalid, "form")
}

func TestAccess_SignInPage(t *testing.T) {
	s := secured(t, Rules{Token: secret}, nil)
	w := ask(s, "GET", "/mod/p/", "", browser, "Sec-Fetch-Site: cross-site")
	if !strings.Contains(w.Body.String(), `http-equiv="refresh"`) {
		t.Error("a link on another site loses the session")
	}
	w = ask(s, "GET", "/mod/p/", "", browser, "Sec-Fetch-Site: same-origin")
	page := w.Body.String()
	if strings.Contains(page, `http-equiv`) || strings.Contains(page, "<script") {
		t.Errorf("page:\n%s", page)
	}
	// The style that the policy allows is the one in the page.
	_, style, _ := strings.Cut(page, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	csp := w.Header().Get("Content-Security-Policy")
	if style != signInCSS || !strings.Contains(csp, "style-src 'sha256-") || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("policy %s of style\n%s", csp, style)
	}
	for _, header := range []string{"Accept: application/json", "Accept: */*", "X: y"} {
		refused(t, ask(s, "GET", "/mod/p/", "", header), 401, wire.CodeUnauthorized, `module \"p\"`)
	}
}

func TestAccess_Certificate(t *testing.T) {
	for _, c := range []struct {
		rules Rules
		auth  string
		want  wire.Access
	}{
		{Rules{}, "", wire.Access{User: "cn"}},
		{Rules{Token: secret}, "Bearer " + secret, wire.Access{User: "cn"}},
		{Rules{Token: secret}, strings.TrimPrefix(basic("ada", secret), "Authorization: "), wire.Access{User: "ada"}},
	} {
		s := secured(t, c.rules, nil)
		r := httptest.NewRequest("POST", "https://localhost/mod/p/a", nil)
		cert := &x509.Certificate{Subject: pkix.Name{CommonName: "cn"}}
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}
		if c.auth != "" {
			r.Header.Set("Authorization", c.auth)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if got := given(t, w); got.Access != c.want {
			t.Errorf("%+v: the module is told %+v, want %+v", c.rules, got.Access, c.want)
		}
		r.TLS.VerifiedChains = nil
		w = httptest.NewRecorder()
		if s.ServeHTTP(w, r); c.rules.Token == "" && given(t, w).Access.User != "" {
			t.Error("the name of a certificate that was not verified counts")
		}
	}
}

// Refusals are the host's, not the module's, and none of them is in flight.
func TestAccess_RefusalsAreTheHosts(t *testing.T) {
	var counted tally
	s := newServer(t, Options{Rules: Rules{Token: secret}, Meter: &counted, Mounts: []Mount{{Path: "/mod/p", Module: "p", Handler: echo("p"), Privileged: true}}})
	ask(s, "GET", "/mod/p", "")
	ask(s, "POST", "/mod/p", "", "Origin: null")
	if got := fmt.Sprint(counted); got != `[ended "" GET 401 ended "" POST 403]` {
		t.Errorf("counted %s", got)
	}
}
