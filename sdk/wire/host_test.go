package wire_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/etcd-modules/modhost/sdk/internal/pipes"
	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// fakePlugin is a wire.Plugin of functions; nil ones do nothing.
type fakePlugin struct {
	http.Handler
	drain    func(wire.Drain)
	logLevel func(string)
	metrics  []byte
	hostGone func()
}

func (f *fakePlugin) Info(context.Context) (*wirepb.InfoResponse, error) {
	resp := &wirepb.InfoResponse{Name: "fake", Version: "v1"}
	if f.metrics != nil {
		resp.Capabilities = []string{"of another time", wire.CapabilityMetrics}
	}
	return resp, nil
}

func (f *fakePlugin) Configure(_ context.Context, r *wirepb.ConfigureRequest) (*wirepb.ConfigureResponse, error) {
	return &wirepb.ConfigureResponse{Diagnostics: []*wirepb.Diagnostic{{Summary: r.GetModule()}}}, nil
}

func (f *fakePlugin) Drain(d wire.Drain) {
	if f.drain != nil {
		f.drain(d)
	}
}
func (f *fakePlugin) SetLogLevel(level string) {
	if f.logLevel != nil {
		f.logLevel(level)
	}
}
func (f *fakePlugin) Metrics(context.Context) ([]byte, error) { return f.metrics, nil }
func (f *fakePlugin) Close(context.Context) error             { return nil }
func (f *fakePlugin) HostGone() {
	if f.hostGone != nil {
		f.hostGone()
	}
}

// process is a plugin process, without the process.
type process struct {
	client *wire.Client
	log    *strings.Builder // read it after kill
	kill   func()
}

func startProcess(t testing.TB, p wire.Plugin) *process {
	t.Helper()
	l := pipes.Listen()
	server := grpc.NewServer(append(wire.ServerOptions(), grpc.WaitForHandlers(true))...)
	var text strings.Builder
	logger := hclog.New(&hclog.LoggerOptions{Output: &text, Level: hclog.Trace})
	wirepb.RegisterModuleServer(server, wire.NewServer(p, logger))
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(l)
	}()
	conn, err := grpc.NewClient("passthrough:///plugin", append(wire.DialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.Dial(ctx) }))...)
	if err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() {
		server.Stop()
		conn.Close()
		<-served
	})
	t.Cleanup(kill)
	return &process{client: wire.NewClient(conn), log: &text, kill: kill}
}

// host is a host that has processes, one after the other.
type host struct {
	processes []*process
	listener  *pipes.Listener
	client    *http.Client
	prepare   func(w http.ResponseWriter, r *http.Request) // may be nil
	access    wire.Access

	mu      sync.Mutex
	results []error // of each Client.Serve
}

func newHost(t testing.TB, handlers ...http.HandlerFunc) *host {
	t.Helper()
	h := &host{listener: pipes.Listen()}
	for _, f := range handlers {
		h.processes = append(h.processes, startProcess(t, &fakePlugin{Handler: f}))
	}
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(h.listener)
	}()
	transport := &http.Transport{
		DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return h.listener.Dial(ctx)
		},
		ExpectContinueTimeout: time.Hour,
	}
	h.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-served
	})
	return h
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.prepare != nil {
		h.prepare(w, r)
	}
	q := wire.NewRequest(w, r, "id-1", "/mod/x", time.Now())
	defer q.Close()
	q.SetAccess(h.access)
	var err error
	for _, p := range h.processes {
		err = p.client.Serve(q)
		h.mu.Lock()
		h.results = append(h.results, err)
		h.mu.Unlock()
		if err == nil {
			return
		}
		if !q.CanResume() && !q.CanRetry() {
			break
		}
	}
	if q.Answered() || errors.Is(err, wire.ErrAborted) {
		panic(http.ErrAbortHandler)
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		wire.WriteError(w, wire.NewError(wire.CodeTooLarge, "body"))
		return
	}
	wire.WriteError(w, wire.NewError(wire.CodeModuleDied, err.Error()))
}

// served returns the results of Client.Serve so far.
func (h *host) served() []error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]error(nil), h.results...)
}

func (h *host) do(t testing.TB, method, path, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, "http://host"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return h.send(t, r)
}

func (h *host) send(t testing.TB, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := h.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	return resp, string(b)
}

// raw opens a connection to the host and writes text to it.
func (h *host) raw(t testing.TB, text string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := h.listener.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// bubble runs f on a fake clock. Goroutines that outlive it are a failure.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Second) }) // net/http lingers when it closes, on the fake clock too
		f(t)
	})
}
