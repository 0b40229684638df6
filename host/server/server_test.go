package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/host/supervisor"
	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/hashicorp/go-hclog"
)

// echo says what a module gets.
func echo(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", name, r.Method, r.RequestURI)
	})
}

func mounts(m map[string]string) []Mount {
	var list []Mount
	for path, name := range m {
		list = append(list, Mount{Path: path, Module: name, Handler: echo(name)})
	}
	return list
}

func newServer(t *testing.T, o Options) *Server {
	t.Helper()
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.Modules == nil {
		o.Modules = func() []supervisor.Status { return []supervisor.Status{} }
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// get asks s; target is the request URI as it stands on the wire.
func get(s http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + strings.Join(header, "\r\n") + "\r\n\r\n")))
	if err != nil {
		panic(err)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func errorCode(t *testing.T, w *httptest.ResponseRecorder) wire.Code {
	t.Helper()
	var e wire.Error
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("no error in etcd's shape: %v %s", w.Header(), w.Body)
	}
	return e.Code
}

func TestServer_RoutesByMount(t *testing.T) {
	s := newServer(t, Options{Mounts: mounts(map[string]string{
		"/mod/lock": "lock", "/mod/v2/lock": "lock", "/mod/lockx": "lockx", "/mod/leader": "leader", "/mod/v2/leader": "leader", "/mod/l": "l",
	})})
	for _, c := range []struct{ method, target, want string }{
		{"GET", "/mod/lock", "lock"},
		{"GET", "/mod/lock/", "lock"},
		{"POST", "/mod/lock/a?ttl=60", "lock"},
		{"DELETE", "/mod/v2/lock/a/b//c/", "lock"},
		{"GET", "/mod/lock/../leader/%2e%2e", "lock"},
		{"PUT", "/mod/lock/a%2Fb%20%25/:x/*y", "lock"},
		{"OPTIONS", "/mod/lock/a", "lock"},
		{"BREW", "/mod/lock/a", "lock"},
		{"GET", "/mod/lockx", "lockx"},
		{"GET", "/mod/lockx/lock", "lockx"},
		{"GET", "/mod/v2/leader/x", "leader"},
		{"GET", "/mod/l/x", "l"},
		{"GET", "/mod/lockxy", ""},
		{"GET", "/mod/loc", ""},
		{"GET", "/mod/v2", ""},
		{"GET", "/mod/v2/", ""},
		{"GET", "/mod/v2/loc", ""},
		{"GET", "/mod/nobody/x", ""},
		{"GET", "/mod//lock", ""},
		{"GET", "/mod%2Flock", ""},
		{"GET", "//mod/lock", ""},
		{"GET", "/", ""},
		{"GET", "/x", ""},
		{"OPTIONS", "*", ""},
	} {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			w := get(s, c.method, c.target)
			if w.Header().Get("X-Request-Id") == "" {
				t.Errorf("no X-Request-Id")
			}
			if c.want == "" {
				if w.Code != 404 || errorCode(t, w) != wire.CodeNoSuchRoute {
					t.Errorf("answer = %d %s, want 404", w.Code, w.Body)
				}
				return
			}
			if want := c.want + " " + c.method + " " + c.target; w.Code != 200 || w.Body.String() != want {
				t.Errorf("answer = %d %s, want %s", w.Code, w.Body, want)
			}
		})
	}
}

func TestServer_SetMountsSwapsAll(t *testing.T) {
	s := newServer(t, Options{Mounts: mounts(map[string]string{"/mod/a": "a", "/mod/b": "b"})})
	if err := s.SetMounts(mounts(map[string]string{"/mod/b": "new", "/mod/c": "c"})); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]int{"/mod/a": 404, "/mod/b": 200, "/mod/c": 200} {
		if w := get(s, "GET", target); w.Code != want {
			t.Errorf("GET %s = %d, want %d", target, w.Code, want)
		}
	}
	for _, bad := range []map[string]string{
		{"/mod/a": "", "/mod/a/b": ""}, {"/mod/a/": ""}, {"mod": ""}, {"/mod/:x": ""}, {"/mod/*x": ""}, {"": ""}, {"/": ""},
	} {
		if err := s.SetMounts(mounts(bad)); err == nil {
			t.Errorf("SetMounts(%v) = nil, want an error", bad)
		}
	}
	if w := get(s, "GET", "/mod/c"); w.Code != 200 {
		t.Errorf("a refused table has replaced the good one")
	}
}

func TestServer_ListsModules(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := newServer(t, Options{Modules: func() []supervisor.Status {
		return []supervisor.Status{{Name: "lock", State: supervisor.Failed, Mounts: []string{"/mod/lock"}, Since: since, Reason: "<script>alert(1)</script>", Enabled: true}}
	}})
	want := `[{"name":"lock","state":"failed","mounts":["/mod/lock"],"version":"","pid":0,"restarts":0,"since":"2026-01-02T03:04:05Z","reason":"\u003cscript\u003ealert(1)\u003c/script\u003e","enabled":true,"overridden":false}]` + "\n"
	for _, c := range []struct {
		accept string
		html   bool
	}{
		{"", false}, {"*/*", false}, {"application/json", false}, {"application/json, text/html;q=0.5", false}, {"text/html;q=0", false}, {"nonsense;;", false},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true}, {"text/html", true},
	} {
		w := get(s, "GET", "/mod/", "Accept: "+c.accept)
		if w.Code != 200 || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("Accept %q: %d %v", c.accept, w.Code, w.Header())
		}
		if !c.html && (w.Body.String() != want || w.Header().Get("Content-Type") != "application/json") {
			t.Errorf("Accept %q: %s, want %s", c.accept, w.Body, want)
		}
		page := w.Body.String()
		if c.html && (!strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || strings.Contains(page, "<script>") || !strings.Contains(page, "&lt;script&gt;")) {
			t.Errorf("Accept %q: %v %s", c.accept, w.Header(), page)
		}
	}
	if w := get(newServer(t, Options{}), "GET", "/mod"); w.Body.String() != "[]\n" {
		t.Errorf("no modules: %s", w.Body)
	}
}

func TestServer_OwnRoutesAreReadOnly(t *testing.T) {
	s := newServer(t, Options{})
	for _, path := range []string{"/mod", "/mod/", "/healthz", "/readyz"} {
		for _, method := range []string{"GET", "HEAD"} {
			if w := get(s, method, path); w.Code != 200 {
				t.Errorf("%s %s = %d", method, path, w.Code)
			}
		}
		for _, method := range []string{"POST", "DELETE", "OPTIONS"} {
			w := get(s, method, path)
			if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" || errorCode(t, w) != wire.CodeMethodNotAllowed {
				t.Errorf("%s %s = %d %v", method, path, w.Code, w.Header())
			}
		}
	}
}

func TestServer_ReadyzSaysWhyNot(t *testing.T) {
	var modules []supervisor.Status
	var ready error
	s := newServer(t, Options{
		Modules: func() []supervisor.Status { return modules },
		Ready:   func(context.Context) error { return ready },
	})
	for _, c := range []struct {
		name   string
		ready  error
		module supervisor.Status
		code   wire.Code
		cause  string
	}{
		{"all is well", nil, supervisor.Status{Enabled: true, State: supervisor.Ready}, 0, ""},
		{"disabled modules do not count", nil, supervisor.Status{State: supervisor.Disabled}, 0, ""},
		{"etcd", errors.New("etcd is silent"), supervisor.Status{}, wire.CodeStoreUnavailable, "etcd is silent"},
		{"starting", nil, supervisor.Status{Name: "m", Enabled: true, State: supervisor.Starting}, wire.CodeModuleStarting, `module "m" is starting`},
		{"failed", nil, supervisor.Status{Name: "m", Enabled: true, State: supervisor.Failed, Reason: "no file"}, wire.CodeModuleFailed, `module "m" is failed: no file`},
	} {
		t.Run(c.name, func(t *testing.T) {
			ready, modules = c.ready, []supervisor.Status{c.module}
			w := get(s, "GET", "/readyz")
			if c.code == 0 {
				if w.Code != 200 || w.Body.String() != `{"status":"ready"}`+"\n" {
					t.Errorf("answer = %d %s", w.Code, w.Body)
				}
				return
			}
			var e wire.Error
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != 503 || e.Code != c.code || e.Cause != c.cause {
				t.Errorf("answer = %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestServer_RequestIDIsTheHosts(t *testing.T) {
	s := newServer(t, Options{Mounts: []Mount{{Path: "/mod/m", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "forged")
		w.WriteHeader(204)
	})}}})
	seen := map[string]bool{}
	for range 10 {
		id := get(s, "GET", "/mod/m", "X-Request-Id: mine").Header().Get("X-Request-Id")
		if len(id) < 20 || seen[id] {
			t.Errorf("X-Request-Id = %q", id)
		}
		seen[id] = true
	}
}

func TestServer_PanicIsAnsweredAndLogged(t *testing.T) {
	var log strings.Builder
	s := newServer(t, Options{
		Logger: hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Debug, JSONFormat: true}),
		Mounts: []Mount{{Path: "/mod/m", Module: "m", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "late" {
				io.WriteString(w, "half") //nolint:errcheck
			}
			if r.URL.RawQuery == "abort" {
				panic(http.ErrAbortHandler)
			}
			panic("oh no")
		})}},
	})
	w := get(s, "GET", "/mod/m")
	if w.Code != 500 || errorCode(t, w) != wire.CodeInternal || strings.Contains(w.Body.String(), "oh no") {
		t.Errorf("answer = %d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), `"error":"oh no"`) {
		t.Errorf("log: %s", log.String())
	}
	for _, query := range []string{"late", "abort"} {
		func() {
			defer func() {
				if e := recover(); e != http.ErrAbortHandler {
					t.Errorf("%s: panic with %v, want http.ErrAbortHandler", query, e)
				}
			}()
			get(s, "GET", "/mod/m?"+query)
		}()
	}
	if n := strings.Count(log.String(), `"error":"oh no"`); n != 2 {
		t.Errorf("%d panics in the log, want 2", n)
	}
	var line map[string]any
	last := log.String()[strings.LastIndex(strings.TrimSpace(log.String()), "\n")+1:]
	if err := json.Unmarshal([]byte(last), &line); err != nil || line["path"] != "/mod/m" || line["module"] != "m" || line["aborted"] != true || line["request_id"] == "" {
		t.Errorf("access log: %s", last)
	}
}

// running serves s on a listener until stop is called, which returns Run's
// error.
func running(t *testing.T, s http.Handler, drain time.Duration) (url string, stop func() <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, l, nil, s, hclog.NewNullLogger(), drain) }()
	t.Cleanup(cancel)
	return "http://" + l.Addr().String(), func() <-chan error { cancel(); return done }
}

func TestRun_StreamsBothWaysAndFlushes(t *testing.T) {
	s := newServer(t, Options{Mounts: []Mount{{Path: "/mod/m", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if err := c.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		w.Header().Set("Link", "</x>")
		w.WriteHeader(http.StatusEarlyHints)
		buf := make([]byte, 100)
		for {
			n, err := r.Body.Read(buf)
			w.Write(buf[:n]) //nolint:errcheck
			if err := c.Flush(); err != nil {
				t.Error(err)
			}
			if err != nil {
				return
			}
		}
	})}}})
	url, _ := running(t, s, time.Second)
	in, out := io.Pipe()
	req, err := http.NewRequest("POST", url+"/mod/m", in)
	if err != nil {
		t.Fatal(err)
	}
	go out.Write([]byte("one")) //nolint:errcheck
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck
	buf := make([]byte, 3)
	for _, part := range []string{"one", "two"} {
		if part != "one" {
			go out.Write([]byte(part)) //nolint:errcheck
		}
		if _, err := io.ReadFull(res.Body, buf); err != nil || string(buf) != part {
			t.Fatalf("read %q, %v, want %q", buf, err, part)
		}
	}
	out.Close() //nolint:errcheck
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) != 0 {
		t.Errorf("rest %q, %v", rest, err)
	}
}

func TestRun_DrainsThenBreaksOff(t *testing.T) {
	entered := make(chan struct{}, 2)
	release := make(chan struct{})
	s := newServer(t, Options{Mounts: []Mount{{Path: "/mod/m", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		if r.URL.RawQuery == "stuck" {
			<-r.Context().Done()
			return
		}
		<-release
	})}}})
	url, stop := running(t, s, 3*time.Second)
	ask := func(query string) <-chan error {
		done := make(chan error, 1)
		go func() {
			res, err := http.Get(url + "/mod/m?" + query)
			if err == nil {
				res.Body.Close() //nolint:errcheck
			}
			done <- err
		}()
		<-entered
		return done
	}
	good, stuck := ask("good"), ask("stuck")
	ended := stop()
	close(release)
	if err := <-good; err != nil {
		t.Errorf("request that finishes in time: %v", err)
	}
	if err := <-stuck; err == nil {
		t.Errorf("request that does not finish: answered")
	}
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
	if _, err := http.Get(url); err == nil {
		t.Errorf("it still listens")
	}
}

func TestRun_TakesAValueOf64KiBInTheQuery(t *testing.T) {
	s := newServer(t, Options{Mounts: mounts(map[string]string{"/mod/m": "m"})})
	url, _ := running(t, s, time.Second)
	target := "/mod/m?value=" + strings.Repeat("%C3", 64<<10)
	res, err := http.Get(url + target)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck
	if body, _ := io.ReadAll(res.Body); res.StatusCode != 200 || string(body) != "m GET "+target {
		t.Errorf("answer = %d with %d bytes", res.StatusCode, len(body))
	}
}
