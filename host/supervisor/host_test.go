//go:build unix

package supervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// built is the program of testdata/plugin.
var built string

func TestMain(m *testing.M) {
	if path := os.Getenv("SUPERVISOR_TEST_PLUGIN"); path != "" {
		beHost(path)
	}
	// What must not reach a plugin.
	os.Setenv("SUPERVISOR_TEST_SECRET", "x") //nolint:errcheck // a plain name
	in, _, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	os.Stdin = in

	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	built = filepath.Join(dir, "modhost-test")
	if out, err := exec.Command("go", "build", "-o", built, "./testdata/plugin").CombinedOutput(); err != nil {
		fmt.Printf("build the test plugin: %v\n%s", err, out)
		os.Exit(1)
	}
	// Two that fire the channel timers of one synctest bubble at a time can
	// crash Go's race detector (golang/go#78156).
	runtime.GOMAXPROCS(1)
	code := m.Run()
	os.RemoveAll(dir) //nolint:errcheck // in the folder for such things
	os.Exit(code)
}

// host is a supervisor of real processes behind a listener.
type host struct {
	*Supervisor
	t      *testing.T
	url    string
	runDir string
	log    *syncBuffer
	closed bool // by the test
}

// newHost starts a host with one module, "mod", that runs the test plugin
// with args. At the end it demands that nothing is left of it.
func newHost(t *testing.T, change func(*Spec)) *host {
	t.Helper()
	t.Parallel()
	runDir, err := os.MkdirTemp("", "r")
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, runDir: runDir, log: &syncBuffer{}}
	h.Supervisor = New(Options{
		Logger:      hclog.New(&hclog.LoggerOptions{Output: h.log, Level: hclog.Trace}),
		RunDir:      runDir,
		HostVersion: "test",
	})
	front := httptest.NewServer(withArrival("/mod/mod", h.Handler("mod")))
	h.url = front.URL
	t.Cleanup(func() {
		pid := h.status().PID
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if !h.closed {
			if err := h.Close(ctx); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		front.CloseClientConnections()
		front.Close()
		if pid != 0 && alive(pid) {
			t.Errorf("process %d is left", pid)
		}
		if left, _ := os.ReadDir(runDir); len(left) != 0 {
			t.Errorf("run directories are left: %v", left)
		}
		os.RemoveAll(runDir) //nolint:errcheck // in the folder for such things
		if t.Failed() {
			t.Log(h.log.String())
		}
	})
	h.Apply([]Spec{h.spec(change)})
	return h
}

func (h *host) spec(change func(*Spec)) Spec {
	s := Spec{
		Name: "mod", Enabled: true, Mounts: []string{"/mod/mod"}, Path: built,
		RestartMax: 5, RestartWindow: time.Minute, DrainTimeout: 10 * time.Second,
	}
	if change != nil {
		change(&s)
	}
	return s
}

func args(a ...string) func(*Spec) { return func(s *Spec) { s.Args = a } }

func (h *host) status() Status { return h.Modules()[0] }

// until waits for cond, which is looked at again and again.
func (h *host) until(what string, cond func() bool) {
	h.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			h.t.Fatalf("not within 20s: %s; module is %+v", what, h.status())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (h *host) untilState(s State) Status {
	h.t.Helper()
	h.until(string(s), func() bool { return h.status().State == s })
	return h.status()
}

type answer struct {
	status int
	body   string
	header http.Header
	err    error
}

func (h *host) do(method, path string) answer {
	req, err := http.NewRequest(method, h.url+path, nil)
	if err != nil {
		return answer{err: err}
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, string(body), res.Header, err}
}

// insist is do, again while no process came in the time for which a request is
// held (704): none has seen it.
func (h *host) insist(method, path string) (a answer) {
	h.t.Helper()
	h.until("answered by a process", func() bool {
		a = h.do(method, path)
		return !strings.Contains(a.body, `"errorCode":704`)
	})
	return a
}

// begin makes a request that will be answered later.
func (h *host) begin(method, path string) <-chan answer {
	c := make(chan answer, 1)
	go func() { c <- h.do(method, path) }()
	return c
}

func (h *host) receive(c <-chan answer) answer {
	h.t.Helper()
	select {
	case a := <-c:
		return a
	case <-time.After(20 * time.Second):
		h.t.Fatalf("no answer within 20s")
		return answer{}
	}
}

// inflight waits until the process that serves has n requests.
func (h *host) inflight(n int) {
	h.t.Helper()
	h.until(fmt.Sprintf("%d requests in flight", n), func() bool {
		p := h.module("mod").now.Load().process
		if p == nil {
			return false
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.inflight == n
	})
}

type told struct {
	PID     int
	Process string
	Ended   []string
	Env     []string
	Stdin   string
}

func (h *host) tell() told {
	h.t.Helper()
	var v told
	if a := h.do("GET", "/tell"); a.err != nil || json.Unmarshal([]byte(a.body), &v) != nil {
		h.t.Fatalf("GET /tell = %+v", a)
	}
	return v
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
