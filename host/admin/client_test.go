package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/supervisor"
	"github.com/etcd-modules/modhost/sdk/wire"
)

const token = "0123456789abcdef"

func tokenFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestReadToken(t *testing.T) {
	for _, text := range []string{token, token + "\n", "\r\n " + token + "\r\n"} {
		if got, err := ReadToken(tokenFile(t, text)); got != token || err != nil {
			t.Errorf("ReadToken of %q = %q, %v", text, got, err)
		}
	}
	for _, c := range []struct{ file, want string }{
		{"/nowhere/token", "no such file or directory; name a file that can be read"},
		{t.TempDir(), "is a directory; name a file that can be read"},
		{tokenFile(t, ""), "holds 0 characters; write at least 16 random ones into it"},
		{tokenFile(t, " "+token[1:]+" "), "holds 15 characters; write at least 16 random ones into it"},
	} {
		_, err := ReadToken(c.file)
		if want := fmt.Sprintf("admin.token_file %q: %s", c.file, c.want); err == nil || err.Error() != want {
			t.Errorf("ReadToken:\n%v, want:\n%s", err, want)
		}
	}
}

// serve answers on a socket with h and returns a client of it.
func serve(t *testing.T, h http.Handler) *Client {
	t.Helper()
	path := filepath.Join(short(t), "s")
	l := mustListen(t, path)
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	c, err := NewClient(config.Admin{Listen: "unix:" + path})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fake is a backend of which a test has what it needs.
type fake struct {
	Backend
	modules  []supervisor.Status
	ends     []supervisor.End
	report   *Report
	reload   error
	level    string
	lines    []supervisor.LogLine
	followed chan struct{} // closed when a follower has left
}

func (f *fake) Modules() []supervisor.Status { return f.modules }

func (f *fake) Module(name string) (Module, bool) {
	for _, m := range f.modules {
		if m.Name == name {
			return NewModule(m, supervisor.Spec{Path: "bin/x", DrainTimeout: time.Second}, 3, f.ends), true
		}
	}
	return Module{}, false
}

func (f *fake) Reload(_ context.Context, dryRun bool) (*Report, error) {
	if f.report != nil {
		f.report.DryRun = dryRun
	}
	return f.report, f.reload
}

func (f *fake) LogLevel() string { return f.level }

func (f *fake) SetLogLevel(_ context.Context, level string) error {
	f.level = level
	return nil
}

func (f *fake) Follow(ctx context.Context, name string, more bool, do func([]supervisor.LogLine) error) error {
	if _, ok := f.Module(name); !ok {
		return NoSuchModule(name, f.modules)
	}
	if err := do(f.lines); err != nil || !more {
		return err
	}
	<-ctx.Done()
	close(f.followed)
	return nil
}

var listing = []supervisor.Status{
	{Name: "hello", State: supervisor.Ready, Mounts: []string{"/mod/hello"}, Version: "v1", PID: 7, Since: time.Unix(1e9, 0).UTC(), Enabled: true},
	{Name: "lock", State: supervisor.Failed, Mounts: []string{}, Reason: "two\nlines", Since: time.Unix(1e9, 1).UTC(), Overridden: true},
}

func TestClient_GetsWhatTheBackendSays(t *testing.T) {
	f := &fake{modules: listing, level: "info", report: &Report{Applied: true, Complaints: []config.Complaint{}, Changes: []Change{
		{Module: "hello", Kind: "changed", Settings: []string{"limits"}, Process: Keep, State: supervisor.Ready, PID: 7},
	}}}
	c := serve(t, Handler(f, "", hclog.NewNullLogger()))
	ctx := t.Context()
	if got, err := c.Modules(ctx); err != nil || !reflect.DeepEqual(got, listing) {
		t.Errorf("Modules = %+v, %v; want %+v", got, err, listing)
	}
	want, _ := f.Module("lock")
	if got, err := c.Module(ctx, "lock"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Module = %+v, %v; want %+v", got, err, want)
	}
	if err := c.SetLogLevel(ctx, "debug"); err != nil {
		t.Error(err)
	}
	if got, err := c.LogLevel(ctx); err != nil || got != "debug" {
		t.Errorf("LogLevel = %q, %v; want debug", got, err)
	}
	for _, dry := range []bool{true, false} {
		if got, err := c.Reload(ctx, dry); err != nil || !reflect.DeepEqual(got, f.report) || got.DryRun != dry {
			t.Errorf("Reload = %+v, %v; want %+v", got, err, f.report)
		}
	}
}

// Whatever stands in a complaint, it comes back as it was.
func TestClient_RefusalRoundTrip(t *testing.T) {
	complaints := []config.Complaint{
		{File: "a.hcl", Line: 7, Column: 3, What: `module "x": size`, Why: "is \"<b>\";\nwrite ö"},
		{What: `config "conf"`, Why: "the folder holds no *.hcl file"},
	}
	c := serve(t, Handler(&fake{report: &Report{Changes: []Change{}, Complaints: complaints}}, "", hclog.NewNullLogger()))
	for _, dry := range []bool{true, false} {
		got, err := c.Reload(t.Context(), dry)
		if err != nil || got.Applied || got.DryRun != dry || got.Changes == nil || len(got.Changes) > 0 || !reflect.DeepEqual(got.Complaints, complaints) {
			t.Errorf("Reload = %+v, %v; want %+v", got, err, complaints)
		}
	}
}

func TestClient_AnswersThatAreErrors(t *testing.T) {
	f := &fake{modules: listing}
	c := serve(t, Handler(f, "", hclog.NewNullLogger()))
	var answer *wire.Error
	_, err := c.Module(t.Context(), "helo")
	if !errors.As(err, &answer) || answer.Code != wire.CodeNoSuchModule || answer.HTTPStatus() != 404 || answer.Cause != `no module "helo" in the config; did you mean "hello"?` {
		t.Errorf("Module = %#v", err)
	}
	err = c.Logs(t.Context(), "helo", true, func(supervisor.LogLine) error { t.Error("a line"); return nil })
	if !errors.As(err, &answer) || answer.Code != wire.CodeNoSuchModule {
		t.Errorf("Logs = %#v", err)
	}
	for _, name := range []string{"hello/logs", "../log-level", "hello%2Flogs", "."} {
		if _, err := c.Module(t.Context(), name); !errors.As(err, &answer) || answer.Code != wire.CodeNoSuchModule {
			t.Errorf("Module(%q) = %v", name, err)
		}
	}
	f.reload = errors.New("the disk is gone")
	if _, err := c.Reload(t.Context(), false); !errors.As(err, &answer) || answer.Code != wire.CodeInternal || answer.Cause != "the disk is gone" {
		t.Errorf("Reload = %#v", err)
	}
}

func TestClient_Logs(t *testing.T) {
	f := &fake{modules: listing, followed: make(chan struct{}), lines: []supervisor.LogLine{
		{Time: time.Unix(1e9, 0).UTC(), Level: "info", Text: "one"}, {Time: time.Unix(1e9, 1).UTC(), Level: "warn", Text: `"<two>"`},
	}}
	c := serve(t, Handler(f, "", hclog.NewNullLogger()))
	var got []supervisor.LogLine
	keep := func(l supervisor.LogLine) error { got = append(got, l); return nil }
	if err := c.Logs(t.Context(), "hello", false, keep); err != nil || !reflect.DeepEqual(got, f.lines) {
		t.Errorf("Logs = %v with %+v", err, got)
	}

	// Lines are there at once, and the host sees the follower go.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got = nil
	err := c.Logs(ctx, "hello", true, func(l supervisor.LogLine) error {
		if keep(l); len(got) == 2 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Logs = %v, want %v", err, context.Canceled)
	}
	<-f.followed

	full := errors.New("the disk is full")
	if err := c.Logs(t.Context(), "hello", false, func(supervisor.LogLine) error { return full }); err != full {
		t.Errorf("Logs = %v, want %v", err, full)
	}

	f.lines = nil
	if err := c.Logs(t.Context(), "hello", false, func(supervisor.LogLine) error { t.Error("a line"); return nil }); err != nil {
		t.Errorf("Logs of an empty log = %v", err)
	}
}

// What does not answer as a host does is not reachable, and why is said.
func TestClient_NotReachable(t *testing.T) {
	dir := short(t)
	stale := filepath.Join(dir, "stale")
	leave(t, stale)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	closed.Close()
	hangsUp := func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
	halfway := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, `[{"name":`) //nolint:errcheck // the test sees it
		panic(http.ErrAbortHandler)
	}
	modules := func(w http.ResponseWriter, _ *http.Request) {
		wire.WriteError(w, wire.NewError(wire.CodeNoSuchRoute, "nothing is mounted"))
	}
	other := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "what?", http.StatusTeapot) }
	for _, c := range []struct {
		name   string
		client *Client
		want   string
	}{
		{"no socket", clientOf(t, config.Admin{Listen: "unix:" + dir + "/gone"}), "there is no such socket; start the host, or run this in its working directory and with its --config"},
		{"left behind", clientOf(t, config.Admin{Listen: "unix:" + stale}), "nobody listens there; start the host"},
		{"no listener", clientOf(t, config.Admin{Listen: nobody, TokenFile: tokenFile(t, token)}), "nobody listens there; start the host"},
		{"hangs up", serve(t, http.HandlerFunc(hangsUp)), "it ended before it had answered; look at its log"},
		{"half an answer", serve(t, http.HandlerFunc(halfway)), "it ended before it had answered; look at its log"},
		{"modules' listener", serve(t, http.HandlerFunc(modules)), "that is where modules are served, and orders are taken elsewhere; look whether it is the right address"},
		{"another server", serve(t, http.HandlerFunc(other)), "418 I'm a teapot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.client.Modules(t.Context())
			if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Modules = %v, want %v: … %s", err, ErrUnreachable, c.want)
			}
		})
	}
}

func clientOf(t *testing.T, a config.Admin) *Client {
	t.Helper()
	c, err := NewClient(a)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClient_PresentsTheToken(t *testing.T) {
	s := httptest.NewServer(Handler(&fake{modules: listing}, token, hclog.NewNullLogger()))
	defer s.Close()
	address := s.Listener.Addr().String()
	if got, err := clientOf(t, config.Admin{Listen: address, TokenFile: tokenFile(t, token)}).Modules(t.Context()); err != nil || len(got) != 2 {
		t.Errorf("Modules = %+v, %v", got, err)
	}
	_, err := clientOf(t, config.Admin{Listen: address, TokenFile: tokenFile(t, token+"x")}).Modules(t.Context())
	var answer *wire.Error
	if !errors.As(err, &answer) || answer.Code != wire.CodeUnauthorized || answer.HTTPStatus() != 401 {
		t.Errorf("Modules with a wrong token = %v", err)
	}
	if _, err := NewClient(config.Admin{Listen: address, TokenFile: "/nowhere"}); err == nil {
		t.Error("a client without its token")
	}
}

// Every request without the token is refused alike, whatever it asks for.
func TestHandler_Token(t *testing.T) {
	h := Handler(&fake{modules: listing}, token, hclog.NewNullLogger())
	for _, given := range []string{"", "Bearer ", "Bearer " + token[1:], "Bearer " + token + "0", "bearer" + token, "Basic " + token, token} {
		for _, path := range []string{"/v1/modules", "/v1/nowhere"} {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", path, nil)
			if given != "" {
				r.Header.Set("Authorization", given)
			}
			h.ServeHTTP(w, r)
			if w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Bearer" || w.Header().Get("X-Request-Id") == "" || strings.Contains(w.Body.String(), "hello") {
				t.Errorf("%s with %q = %d %v %s", path, given, w.Code, w.Header(), w.Body)
			}
		}
	}
}

func TestHandler_OtherMethods(t *testing.T) {
	h := Handler(&fake{modules: listing}, "", hclog.NewNullLogger())
	for _, c := range []struct{ method, path, allow, cause string }{
		{"POST", "/v1/modules", "GET", "GET is"},
		{"OPTIONS", "/v1/reload", "POST", "POST is"},
		{"DELETE", "/v1/log-level", "GET, PUT", "GET and PUT are"},
		{"GET", "/v1/modules/hello/enable", "POST", "POST is"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		var e wire.Error
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != 405 || w.Header().Get("Allow") != c.allow || e.Code != wire.CodeMethodNotAllowed || e.Cause != c.cause {
			t.Errorf("%s %s = %d, Allow %q, %s; want Allow %q, %s", c.method, c.path, w.Code, w.Header().Get("Allow"), w.Body, c.allow, c.cause)
		}
	}
}

func TestNoSuchModule(t *testing.T) {
	for _, c := range []struct {
		name    string
		modules []supervisor.Status
		want    string
	}{
		{"helo", listing, `no module "helo" in the config; did you mean "hello"?`},
		{"quite-another", listing, `no module "quite-another" in the config; known are hello, lock`},
		{"x", nil, `no module "x" in the config, which has none; add a module block`},
	} {
		var e *wire.Error
		if err := NoSuchModule(c.name, c.modules); !errors.As(err, &e) || e.Cause != c.want {
			t.Errorf("NoSuchModule(%q) = %v, want %s", c.name, err, c.want)
		}
	}
}
