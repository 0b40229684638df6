package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// limit is far more than any of this takes on a slow machine.
const limit = 60 * time.Second

// start returns a running etcd on dir that ends with the test.
func start(t *testing.T, dir, listen string) *Server {
	t.Helper()
	s, err := Start(testContext(t), Options{Dir: dir, Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// startError returns the error of a start that must fail.
func startError(t *testing.T, o Options) error {
	t.Helper()
	s, err := Start(testContext(t), o)
	if err == nil {
		stop(t, s)
		t.Fatalf("Start(%+v) succeeded, want an error", o)
	}
	return err
}

func wantStartError(t *testing.T, err error, want string) {
	t.Helper()
	var c *StartError
	if !errors.As(err, &c) {
		t.Fatalf("error %v (%T), want a StartError", err, err)
	}
	if err.Error() != want {
		t.Errorf("error:\n%s, want:\n%s", err, want)
	}
}

// key reads or, with a value, writes a key by the v2 API.
func key(t *testing.T, s *Server, name, value string) string {
	t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if value != "" {
		method, body = http.MethodPut, strings.NewReader(url.Values{"value": {value}}.Encode())
	}
	req, err := http.NewRequestWithContext(testContext(t), method, s.Endpoints()[0]+"/v2/keys/"+name, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s %v", method, name, resp.Status, text, err)
	}
	return string(text)
}

func TestServer_PicksAPortAndServesV2(t *testing.T) {
	s := start(t, t.TempDir(), "127.0.0.1:0")
	if u, err := url.Parse(s.Endpoints()[0]); err != nil || u.Port() == "0" || u.Port() == "" {
		t.Errorf("Endpoints() = %q, want a real port", s.Endpoints())
	}
	key(t, s, "a", "1")
	if got := key(t, s, "a", ""); !strings.Contains(got, `"value":"1"`) {
		t.Errorf("read back %s", got)
	}
	if err := Health(testContext(t), http.DefaultClient, s.Endpoints()); err != nil {
		t.Errorf("Health = %v", err)
	}
}

// The v3 API's JSON gateway tells what the v2 API has no word for.
func TestServer_ServesTheGateway(t *testing.T) {
	s := start(t, t.TempDir(), "127.0.0.1:0")
	resp, err := http.Post(s.Endpoints()[0]+"/v3/maintenance/status", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(text), `"raftAppliedIndex"`) {
		t.Errorf("status %d: %s, %v", resp.StatusCode, text, err)
	}
}

func TestServer_KeepsDataOverRestart(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir, "127.0.0.1:0")
	key(t, s, "a", "kept")
	stop(t, s)
	s = start(t, dir, "127.0.0.1:0") // on another port most likely
	if got := key(t, s, "a", ""); !strings.Contains(got, `"value":"kept"`) {
		t.Errorf("after a restart: %s", got)
	}
}

func TestServer_DeepFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))
	s := start(t, dir, "127.0.0.1:0")
	key(t, s, "a", "1")
	private := s.sockets
	if private == "" {
		t.Fatal("no private folder for the socket")
	}
	stop(t, s)
	if _, err := os.Stat(private); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket folder %q is still there: %v", private, err)
	}
}

func TestStart_PortBusy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	dir := t.TempDir()
	err = startError(t, Options{Dir: dir, Listen: addr})
	wantStartError(t, err, fmt.Sprintf("etcd.embedded.listen %q: the port is in use by another process; "+
		"set another port or port 0, or set etcd.endpoints to use the etcd that runs there", addr))
	start(t, dir, "127.0.0.1:0") // the folder was given back
}

func TestStart_ForeignAddress(t *testing.T) {
	err := startError(t, Options{Dir: t.TempDir(), Listen: "192.0.2.1:2379"})
	wantStartError(t, err, `etcd.embedded.listen "192.0.2.1:2379": not an address of this machine; set one that is, for example "127.0.0.1:2379"`)
}

func TestStart_FolderTaken(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir, "127.0.0.1:0")
	err := startError(t, Options{Dir: dir, Listen: "127.0.0.1:0"})
	wantStartError(t, err, fmt.Sprintf("data_dir %q: in use by process %d; stop that one or set another data_dir", dir, os.Getpid()))
	stop(t, s)
	start(t, dir, "127.0.0.1:0")
}

func TestStart_FolderTakenByPlainEtcd(t *testing.T) {
	dir := t.TempDir()
	stop(t, start(t, dir, "127.0.0.1:0"))
	db, err := os.Open(filepath.Join(dir, "etcd", "member", "snap", "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := flock(db); err != nil {
		t.Fatal(err)
	}
	err = startError(t, Options{Dir: dir, Listen: "127.0.0.1:0"})
	wantStartError(t, err, fmt.Sprintf("data_dir %q: in use by another process; stop that one or set another data_dir", dir))
}

func TestStart_FileInPlaceOfFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := startError(t, Options{Dir: dir, Listen: "127.0.0.1:0"})
	wantStartError(t, err, fmt.Sprintf("data_dir %q: there is a file in its place; move that away or set another data_dir", dir))
}

// etcd ends the process when it finds such files; see failures.OnWrite.
func TestStart_DamagedData(t *testing.T) {
	for name, pattern := range map[string]string{
		"log":      "etcd/member/wal/*.wal",
		"database": "etcd/member/snap/db",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := start(t, dir, "127.0.0.1:0")
			key(t, s, "a", "1")
			stop(t, s)
			files, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil || len(files) == 0 {
				t.Fatalf("no %s: %v", pattern, err)
			}
			for _, f := range files {
				if err := os.WriteFile(f, bytes.Repeat([]byte("damaged "), 8192), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err = startError(t, Options{Dir: dir, Listen: "127.0.0.1:0"})
			want := "restore that folder from a copy, or move it away to begin with empty data"
			if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), filepath.Join(dir, "etcd")) {
				t.Errorf("error %v, want the folder and %q", err, want)
			}
		})
	}
}

func TestStart_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	s, err := Start(ctx, Options{Dir: dir, Listen: "127.0.0.1:0"})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Start = %v, %v; want context.Canceled", s, err)
	}
	start(t, dir, "127.0.0.1:0") // the folder was given back
}

func TestServer_ItsEndIsAFailure(t *testing.T) {
	s := start(t, t.TempDir(), "127.0.0.1:0")
	if err := s.Err(); err != nil {
		t.Fatalf("Err() = %v, want nil", err)
	}
	s.etcd.Server.Stop()
	select {
	case <-s.Failed():
	case <-time.After(limit):
		t.Fatal("etcd stopped and nobody was told")
	}
	if err := s.Err(); err == nil || err.Error() != "embedded etcd: etcd stopped by itself" {
		t.Errorf("Err() = %v", err)
	}
}

func TestServer_CloseIsNoFailure(t *testing.T) {
	s := start(t, t.TempDir(), "127.0.0.1:0")
	stop(t, s)
	stop(t, s)
	if err := s.Err(); err != nil {
		t.Errorf("Err() = %v after Close, want nil", err)
	}
}

func TestServer_KeepsWebPagesOut(t *testing.T) {
	s := start(t, t.TempDir(), "127.0.0.1:0")
	req, err := http.NewRequestWithContext(testContext(t), http.MethodGet, s.Endpoints()[0]+"/version", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "http://evil.example")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("Access-Control-Allow-Origin %q, want none", got)
	}
	req.Host = "evil.example"
	if resp, err = http.DefaultClient.Do(req); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a foreign Host got %s, want 421", resp.Status)
	}
}

func TestServer_QuietAtInfo(t *testing.T) {
	var log bytes.Buffer
	logger := hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Info})
	s, err := Start(testContext(t), Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	if log.Len() > 0 {
		t.Errorf("an ordinary start and stop logs:\n%s", log.String())
	}
}

func TestReachable(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:1": "127.0.0.1:1",
		"0.0.0.0:1":   "127.0.0.1:1",
		":1":          "127.0.0.1:1",
		"[::]:1":      "[::1]:1",
		"localhost:1": "localhost:1",
		"10.0.0.1:1":  "10.0.0.1:1",
	} {
		if got := reachable(addr); got != want {
			t.Errorf("reachable(%q) = %q, want %q", addr, got, want)
		}
	}
}
