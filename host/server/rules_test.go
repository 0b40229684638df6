package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/etcd-modules/modhost/sdk/wire"
)

// guarded is a server with a module with privileges at /mod/p and one without
// at /mod/m.
func guarded(t *testing.T, r Rules) *Server {
	return newServer(t, Options{Rules: r, Mounts: []Mount{
		{Path: "/mod/m", Module: "m", Handler: echo("m")},
		{Path: "/mod/p", Module: "p", Handler: echo("p"), Privileged: true},
	}})
}

// ask sends a request with headers to a server; Host may be among them.
func ask(s http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:4001"
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if r.Header.Add(name, value); name == "Host" {
			r.Host = value
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// refused expects an error answer.
func refused(t *testing.T, w *httptest.ResponseRecorder, status int, code wire.Code, cause string) {
	t.Helper()
	if w.Code != status || errorCode(t, w) != code || !strings.Contains(w.Body.String(), cause) {
		t.Errorf("answer = %d %s, want %d with code %d and %q", w.Code, w.Body, status, code, cause)
	}
}

func TestRules_Host(t *testing.T) {
	s := guarded(t, Rules{Hosts: []string{"modhost.Example.org", ""}})
	for host, ok := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:4001": true, "10.1.2.3:80": true, "[::1]": true, "[::1]:4001": true, "[fe80::1%25eth0]:1": true,
		"localhost": true, "localhost:4001": true, "LOCALHOST": true, "": true,
		"modhost.example.org": true, "MODHOST.example.org:8080": true,
		"evil.example": false, "evil.example:4001": false, "localhost.evil.example": false, "x.localhost": false, "localhost.": false,
		"127.0.0.1.nip.io": false, "a.modhost.example.org": false, "example.org": false, "127.0.0.1@evil.example": false, "0x7f000001": false,
	} {
		for _, target := range []string{"/mod/m/a", "/mod/p/a", "/mod/", "/healthz", "/readyz", "/metrics", "/nowhere"} {
			for _, method := range []string{"GET", "POST"} {
				w := ask(s, method, target, "", "Host: "+host)
				if ok == (w.Code == http.StatusMisdirectedRequest) {
					t.Errorf("%s %s of Host %q = %d %s", method, target, host, w.Code, w.Body)
				}
				if !ok {
					refused(t, w, 421, wire.CodeMisdirected, "allowed_hosts")
				}
			}
		}
	}
}

// Each kind of route, of request and of rule.
func TestRules_CrossOrigin(t *testing.T) {
	none, all, listed := Rules{}, Rules{Origins: []string{"*"}}, Rules{Origins: []string{"https://app.example"}}
	for _, c := range []struct {
		name   string
		header []string
		rules  Rules
		m, p   bool // accepted
	}{
		{"no browser", nil, none, true, true},
		{"the host's own page", []string{"Sec-Fetch-Site: same-origin", "Origin: http://127.0.0.1:4001"}, none, true, true},
		{"typed in", []string{"Sec-Fetch-Site: none"}, none, true, true},
		{"own page, old browser", []string{"Origin: http://127.0.0.1:4001"}, none, true, true},
		{"own page, through a proxy with TLS", []string{"Sec-Fetch-Site: same-origin", "Origin: https://modhost.example"}, none, true, true},
		{"foreign page", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, none, false, false},
		{"foreign page, old browser", []string{"Origin: https://evil.example"}, none, false, false},
		{"other port", []string{"Origin: http://127.0.0.1:3000"}, none, false, false},
		{"sandboxed page", []string{"Origin: null"}, none, false, false},
		{"same site", []string{"Sec-Fetch-Site: same-site", "Origin: http://127.0.0.1:3000"}, none, false, false},
		{"no origin told", []string{"Sec-Fetch-Site: cross-site"}, none, false, false},
		{"foreign page, all shared", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, all, true, false},
		{"sandboxed page, all shared", []string{"Origin: null"}, all, true, false},
		{"no origin told, all shared", []string{"Sec-Fetch-Site: cross-site"}, all, true, false},
		{"listed", []string{"Sec-Fetch-Site: cross-site", "Origin: https://app.example"}, listed, true, false},
		{"listed, old browser", []string{"Origin: https://app.example"}, listed, true, false},
		{"not listed", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, listed, false, false},
		{"almost listed", []string{"Origin: http://app.example"}, listed, false, false},
		{"almost listed, port", []string{"Origin: https://app.example:8443"}, listed, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := guarded(t, c.rules)
			for target, ok := range map[string]bool{"/mod/m/a": c.m, "/mod/p/a": c.p} {
				for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "BREW"} {
					w := ask(s, method, target, "", c.header...)
					if ok && w.Code != 200 {
						t.Errorf("%s %s = %d %s, want 200", method, target, w.Code, w.Body)
					} else if !ok {
						refused(t, w, 403, wire.CodeCrossOrigin, "page of")
					}
				}
				for _, method := range []string{"GET", "HEAD"} {
					if w := ask(s, method, target, "", c.header...); w.Code != 200 {
						t.Errorf("%s %s = %d %s, want 200", method, target, w.Code, w.Body)
					}
				}
			}
			for _, target := range []string{"/mod/", "/healthz", "/readyz", "/metrics", "/nowhere"} {
				w := ask(s, "POST", target, "", c.header...)
				if foreign := !guardedOwn(c.header); foreign != (w.Code == 403) {
					t.Errorf("POST %s = %d %s", target, w.Code, w.Body)
				}
			}
		})
	}
}

// guardedOwn says whether the request is none of a foreign page: the host's own
// routes are shared with nobody.
func guardedOwn(header []string) bool {
	h := strings.Join(header, "\n")
	return h == "" || strings.Contains(h, "same-origin") || strings.Contains(h, ": none") || h == "Origin: http://127.0.0.1:4001"
}

func TestRules_CORS(t *testing.T) {
	const app, evil = "Origin: https://app.example", "Origin: https://evil.example"
	preflight := []string{"Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: content-type, x-own"}
	for _, c := range []struct {
		name    string
		origins []string
		method  string
		target  string
		header  []string
		want    string // status, Allow-Origin, Vary, Expose-Headers, Allow-Methods, Allow-Headers
	}{
		{"off", nil, "GET", "/mod/m", []string{app}, "200 | | | | | "},
		{"off, asked before", nil, "OPTIONS", "/mod/m", append(preflight, app), "200 | | | | | "},
		{"all", []string{"*"}, "GET", "/mod/m", []string{evil}, "200 | * | | * | | "},
		{"all, no page", []string{"*"}, "GET", "/mod/m", nil, "200 | * | | * | | "},
		{"all, asked before", []string{"*"}, "OPTIONS", "/mod/m", append(preflight, evil),
			"204 | * | Access-Control-Request-Headers | * | GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS | content-type, x-own"},
		{"OPTIONS for the module", []string{"*"}, "OPTIONS", "/mod/m", []string{evil}, "200 | * | | * | | "},
		{"listed", []string{"https://app.example"}, "GET", "/mod/m", []string{app}, "200 | https://app.example | Origin | * | | "},
		{"listed, asked before", []string{"https://app.example"}, "OPTIONS", "/mod/m", append(preflight, app),
			"204 | https://app.example | Access-Control-Request-Headers, Origin | * | GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS | content-type, x-own"},
		{"not listed", []string{"https://app.example"}, "GET", "/mod/m", []string{evil}, "200 | | Origin | | | "},
		{"not listed, asked before", []string{"https://app.example"}, "OPTIONS", "/mod/m", append(preflight, evil), "200 | | Origin | | | "},
		{"with privileges, all", []string{"*"}, "GET", "/mod/p", []string{app}, "200 | | | | | "},
		{"with privileges, listed", []string{"https://app.example"}, "GET", "/mod/p", []string{app}, "200 | | | | | "},
		{"with privileges, asked before", []string{"*"}, "OPTIONS", "/mod/p", append(preflight, app), "200 | | | | | "},
		{"listing", []string{"*"}, "GET", "/healthz", []string{app}, "200 | | | | | "},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ask(guarded(t, Rules{Origins: c.origins}), c.method, c.target, "", c.header...)
			h := w.Header()
			got := fmt.Sprint(w.Code)
			for _, name := range []string{"Allow-Origin", "Vary", "Expose-Headers", "Allow-Methods", "Allow-Headers"} {
				if name != "Vary" {
					name = "Access-Control-" + name
				}
				got += " | " + strings.Join(h.Values(name), ", ")
			}
			if got = strings.Join(strings.Fields(got), " "); got != strings.TrimSpace(c.want) {
				t.Errorf("answer = %s, want %s", got, c.want)
			}
			if w.Code == 204 && w.Body.Len() > 0 {
				t.Errorf("the module was asked: %s", w.Body)
			}
			if h.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("credentials are allowed")
			}
		})
	}
	// An error tells the page, too.
	s := newServer(t, Options{Rules: Rules{Origins: []string{"*"}}, Mounts: []Mount{{Path: "/mod/m", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://own.example")
		wire.WriteError(w, wire.NewError(wire.CodeModuleFailed, "why"))
	})}}})
	if w := ask(s, "GET", "/mod/m", "", evil); w.Code != 503 || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("error = %d %v", w.Code, w.Header())
	}
}

// secureHeaders are those of every answer.
var secureHeaders = map[string]string{
	"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	"Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY",
}

func TestServer_SecurityHeaders(t *testing.T) {
	own := http.Header{
		"Referrer-Policy": {"no-referrer"}, "Cross-Origin-Resource-Policy": nil,
		"Content-Security-Policy": {"default-src 'none'", "frame-ancestors https://portal.example"},
	}
	s := newServer(t, Options{Mounts: []Mount{
		{Path: "/mod/m", Handler: echo("m")},
		{Path: "/mod/early", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("X-Frame-Options", "SAMEORIGIN")
			w.WriteHeader(204)
		})},
		{Path: "/mod/own", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for name, values := range own {
				w.Header()[name] = values
			}
			http.NewResponseController(w).Flush() //nolint:errcheck
		})},
	}})
	for _, target := range []string{"/mod/m", "/mod/", "/healthz", "/nowhere", "/metrics"} {
		w := ask(s, "GET", target, "")
		for name, want := range secureHeaders {
			if got := w.Header().Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s is %q, want %q", target, name, got, want)
			}
		}
	}
	h := ask(s, "GET", "/mod/own", "").Header()
	for name, want := range map[string]int{"Referrer-Policy": 1, "Cross-Origin-Resource-Policy": 0, "X-Frame-Options": 0, "X-Content-Type-Options": 1} {
		if got := h.Values(name); len(got) != want || want == 1 && name == "Referrer-Policy" && got[0] != "no-referrer" {
			t.Errorf("module's own: %s is %q", name, got)
		}
	}
	if got := ask(s, "GET", "/mod/early", "").Header().Values("X-Frame-Options"); len(got) != 1 || got[0] != "SAMEORIGIN" {
		t.Errorf("after an interim head: X-Frame-Options is %q", got)
	}
	for host, want := range map[string]string{"10.0.0.1": "", "localhost:1": "same-origin", "[::1]:1": "same-origin"} {
		if got := ask(s, "GET", "/mod/m", "", "Host: "+host).Header().Get("Cross-Origin-Opener-Policy"); got != want {
			t.Errorf("Host %q: Cross-Origin-Opener-Policy is %q, want %q", host, got, want)
		}
	}
	if got := ask(s, "GET", "/mod/m", "", "Host: 10.0.0.1", "Sec-Fetch-Site: none").Header().Get("Cross-Origin-Opener-Policy"); got == "" {
		t.Error("no Cross-Origin-Opener-Policy behind a proxy with TLS")
	}
}

func TestServer_SetRules(t *testing.T) {
	s := guarded(t, Rules{})
	s.SetRules(Rules{Hosts: []string{"a.example"}})
	if w := ask(s, "GET", "/healthz", "", "Host: a.example"); w.Code != 200 {
		t.Errorf("after SetRules: %d %s", w.Code, w.Body)
	}
}
