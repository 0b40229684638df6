package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/etcd"
	"github.com/hashicorp/go-hclog"
)

// limit is far more than any of this takes on a slow machine.
const limit = 60 * time.Second

// load returns the config of the text, with free ports and a folder of its
// own where the text has none.
func load(t *testing.T, text string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	given := text
	for _, add := range []struct{ name, line string }{
		{"listen", `listen = "127.0.0.1:0"`},
		{"data_dir", fmt.Sprintf("data_dir = %q", filepath.Join(dir, "data"))},
		{"etcd {", `etcd {` + "\n" + `embedded { listen = "127.0.0.1:0" }` + "\n}"},
	} {
		if !strings.Contains(given, add.name) {
			text += "\n" + add.line + "\n"
		}
	}
	path := filepath.Join(dir, "modhost.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, diags := config.Load(path)
	for _, d := range diags {
		t.Error(config.Describe(d))
	}
	if cfg == nil {
		t.FailNow()
	}
	return cfg
}

// running is a host under test.
type running struct {
	*Host
	url   string
	ready chan []Ready
	log   *buffer
	stop  context.CancelFunc
	ended chan error
}

// run starts a host that ends with the test.
func run(t *testing.T, cfg *config.Config, change ...func(*Host)) *running {
	t.Helper()
	r := &running{ready: make(chan []Ready, 1), log: new(buffer), ended: make(chan error, 1)}
	logger := hclog.New(&hclog.LoggerOptions{Output: r.log, Level: hclog.Debug})
	h, err := New(cfg, logger, Version("test"), OnReady(func(m []Ready) { r.ready <- m }))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(h)
	}
	r.Host, r.url = h, strings.TrimSuffix(h.url("/"), "/")
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.ended <- h.Run(ctx)
	}()
	t.Cleanup(func() {
		r.stop()
		select {
		case <-done:
		case <-time.After(limit):
			t.Error("Run does not end")
		}
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	return r
}

// end waits for Run.
func (r *running) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(limit):
		t.Fatal("Run does not end")
		return nil
	}
}

// awaitReady waits for OnReady.
func (r *running) awaitReady(t *testing.T) []Ready {
	t.Helper()
	select {
	case m := <-r.ready:
		return m
	case err := <-r.ended:
		t.Fatalf("Run = %v before it was ready", err)
	case <-time.After(limit):
		t.Fatal("never ready")
	}
	return nil
}

// get returns status and body.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: limit}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func wantGet(t *testing.T, url string, status int, parts ...string) {
	t.Helper()
	got, body := get(t, url)
	if got != status {
		t.Errorf("GET %s = %d %s, want %d", url, got, body, status)
	}
	for _, p := range parts {
		if !strings.Contains(body, p) {
			t.Errorf("GET %s = %s, want %q in it", url, body, p)
		}
	}
}

func TestHost_StartsAnswersAndEnds(t *testing.T) {
	cfg := load(t, "")
	for range 2 { // on the same data
		r := run(t, cfg)
		if m := r.awaitReady(t); len(m) > 0 {
			t.Errorf("ready: %v, want none", m)
		}
		wantGet(t, r.url+"/healthz", 200)
		wantGet(t, r.url+"/readyz", 200)
		wantGet(t, r.url+"/mod/", 200, "[]")
		r.stop()
		if err := r.end(t); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if c, err := net.Dial("tcp", r.Addr().String()); err == nil {
			c.Close()
			t.Error("still listening after Run")
		}
	}
}

func TestHost_ModuleWithoutExecutable(t *testing.T) {
	cfg := load(t, `
plugin_dir = "/nowhere"
module "gone" {
}
module "off" {
  enabled = false
}`)
	r := run(t, cfg)
	if m := r.awaitReady(t); len(m) > 0 {
		t.Errorf("ready: %v, want none", m)
	}
	remedy := `no executable \"modhost-gone\" in \"/nowhere\"; run \"make build\" or set plugin_dir`
	wantGet(t, r.url+"/healthz", 200)
	wantGet(t, r.url+"/readyz", 503, `module \"gone\" is failed`, remedy)
	wantGet(t, r.url+"/mod/gone", 503, remedy)
	wantGet(t, r.url+"/mod/off", 404, "is disabled")
	if log := r.log.String(); !strings.Contains(log, "modhost-gone") {
		t.Errorf("the log does not say what is missing:\n%s", log)
	}
}

func TestHost_EtcdUnreachable(t *testing.T) {
	cfg := load(t, `etcd {
  endpoints = ["http://127.0.0.1:1", "http://127.0.0.1:2"]
}`)
	r := run(t, cfg)
	r.awaitReady(t)
	wantGet(t, r.url+"/healthz", 200)
	wantGet(t, r.url+"/readyz", 503, "http://127.0.0.1:1", "http://127.0.0.1:2", "connection refused")
	for deadline := time.Now().Add(limit); ; {
		if log := r.log.String(); strings.Contains(log, "etcd does not answer") && strings.Contains(log, "http://127.0.0.1:2") {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the log does not say that etcd is missing:\n%s", log)
		}
	}
	r.stop()
	if err := r.end(t); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

// fakeEtcd is an embedded etcd that fails when it is told to.
type fakeEtcd struct {
	failed chan struct{}
	closed chan struct{}
}

var errFake = errors.New("the disk is gone")

func newFake() *fakeEtcd {
	return &fakeEtcd{make(chan struct{}), make(chan struct{})}
}

func (f *fakeEtcd) Endpoints() []string         { return []string{"http://127.0.0.1:1"} }
func (f *fakeEtcd) Failed() <-chan struct{}     { return f.failed }
func (f *fakeEtcd) Err() error                  { return errFake }
func (f *fakeEtcd) Close(context.Context) error { close(f.closed); return nil }

func TestHost_EtcdsEndIsItsOwn(t *testing.T) {
	fake := newFake()
	r := run(t, load(t, ""), func(h *Host) {
		h.startEtcd = func(context.Context, etcd.Options) (embedded, error) { return fake, nil }
	})
	r.awaitReady(t)
	close(fake.failed)
	if err := r.end(t); !errors.Is(err, errFake) {
		t.Errorf("Run = %v, want %v", err, errFake)
	}
	select {
	case <-fake.closed:
	default:
		t.Error("etcd was not closed")
	}
}

func TestHost_EtcdDoesNotStart(t *testing.T) {
	r := run(t, load(t, ""), func(h *Host) {
		h.startEtcd = func(context.Context, etcd.Options) (embedded, error) { return nil, errFake }
	})
	if err := r.end(t); !errors.Is(err, errFake) {
		t.Errorf("Run = %v, want %v", err, errFake)
	}
	if c, err := net.Dial("tcp", r.Addr().String()); err == nil {
		c.Close()
		t.Error("still listening after Run")
	}
}

func TestHost_EndsWhileEtcdStarts(t *testing.T) {
	starting := make(chan struct{})
	r := run(t, load(t, ""), func(h *Host) {
		h.startEtcd = func(ctx context.Context, _ etcd.Options) (embedded, error) {
			close(starting)
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	<-starting
	r.stop()
	if err := r.end(t); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestNew_Complaints(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	endpoints := `etcd { 
  endpoints = ["https://127.0.0.1:1"]
  %s
}`
	for _, test := range []struct{ name, config, want string }{
		{"port busy", fmt.Sprintf("listen = %q", busy.Addr()),
			fmt.Sprintf("listen %q: the port is in use by another process; stop that one, or set another port or port 0", busy.Addr())},
		{"foreign address", `listen = "192.0.2.1:80"`,
			`listen "192.0.2.1:80": not an address of this machine; set another address, for example "127.0.0.1:4001"`},
		{"no password file", fmt.Sprintf(endpoints, "username = \"u\"\npassword_file = \"/nowhere/pw\""),
			`etcd.password_file "/nowhere/pw": no such file; check the path`},
		{"empty password file", fmt.Sprintf(endpoints, fmt.Sprintf("username = \"u\"\npassword_file = %q", empty)),
			fmt.Sprintf("etcd.password_file %q: is empty; write the password into it", empty)},
		{"no CA", fmt.Sprintf(endpoints, "tls {\nca_file = \"/nowhere/ca\"\n}"),
			`etcd.tls.ca_file "/nowhere/ca": no such file; check the path`},
		{"CA without certificate", fmt.Sprintf(endpoints, fmt.Sprintf("tls {\nca_file = %q\n}", empty)),
			fmt.Sprintf("etcd.tls.ca_file %q: holds no certificate; name a PEM file with at least one", empty)},
		{"no certificate", fmt.Sprintf(endpoints, fmt.Sprintf("tls {\ncert_file = %q\nkey_file = %q\n}", empty, empty)),
			fmt.Sprintf("etcd.tls.cert_file %q: not usable with key_file %q: tls: failed to find any PEM data in certificate input; name PEM files that belong together", empty, empty)},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, err := New(load(t, test.config), hclog.NewNullLogger())
			if err == nil {
				h.listener.Close()
				t.Fatal("New succeeded, want an error")
			}
			if err.Error() != test.want {
				t.Errorf("New:\n%s, want:\n%s", err, test.want)
			}
		})
	}
}

func TestSpecs(t *testing.T) {
	t.Setenv("MODHOST_TEST_SET", "value")
	password := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(password, []byte("secret\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := load(t, fmt.Sprintf(`
plugin_dir = "/plugins"
etcd {
  endpoints     = ["http://127.0.0.1:1"]
  prefix        = "/a/b"
  username      = "u"
  password_file = %q
}
module "lock" {
  env = ["MODHOST_TEST_SET", "MODHOST_TEST_UNSET"]
  config { a = 1 }
}
module "x" {
  command = "other"
}
module "y" {
  command = "./y"
}`, password))
	list, err := specs(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var paths, prefixes []string
	for _, s := range list {
		paths, prefixes = append(paths, s.Path), append(prefixes, s.Store.Prefix)
	}
	if want := []string{"/plugins/modhost-lock", "/plugins/other", "./y"}; !slices.Equal(paths, want) {
		t.Errorf("paths %q, want %q", paths, want)
	}
	if want := []string{"/a/b/lock", "/a/b/x", "/a/b/y"}; !slices.Equal(prefixes, want) {
		t.Errorf("prefixes %q, want %q", prefixes, want)
	}
	lock := list[0]
	if want := []string{"MODHOST_TEST_SET=value"}; !slices.Equal(lock.Env, want) {
		t.Errorf("Env %q, want %q", lock.Env, want)
	}
	if s := lock.Store; s.Api != "v2" || s.Username != "u" || s.Password != "secret" {
		t.Errorf("Store %v", s)
	}
	if c := lock.Config; string(c.Source) != " a = 1 " || string(c.Json) != `{"a":1}` || c.Line == 0 || c.Column == 0 || c.Byte == 0 {
		t.Errorf("Config %v", c)
	}
}

func TestReachable(t *testing.T) {
	for _, test := range []struct{ addr, want string }{
		{"127.0.0.1:80", "127.0.0.1:80"}, {"0.0.0.0:80", "127.0.0.1:80"}, {"[::]:80", "127.0.0.1:80"}, {"[::1]:80", "[::1]:80"},
	} {
		a, err := net.ResolveTCPAddr("tcp", test.addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := reachable(a); got != test.want {
			t.Errorf("reachable(%s) = %s, want %s", test.addr, got, test.want)
		}
	}
}

// buffer is a log that can be read while it is written.
type buffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
