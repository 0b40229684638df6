// Package sdktest runs a module as a host would, without processes and without
// the network: its handler sits behind the real wire contract, so that flush,
// resumption, handover and draining behave as they do in a host, and its store
// is kept in memory.
//
// All connections are in memory. A test may therefore run in a bubble of
// [testing/synctest], where hours pass in no time; everything that [New]
// starts has ended when the test's clean-up is done. With the race detector,
// give such tests one processor (go test -race -cpu 1): on several, the timers
// of a bubble can crash Go's race detector (golang/go#78156).
package sdktest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/internal/pipes"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// A Module is a running module and the small host around it. Its methods are
// safe for concurrent use.
type Module struct {
	// URL is where the module is mounted, "http://module.test/mod/test". Only
	// Client can reach it.
	URL string

	// Store is the module's store, the same for all its processes, as
	// somebody else would use it.
	Store store.Store

	t      testing.TB
	start  func(ended []string) *process
	client *http.Client
	closed chan struct{} // by clean-up: requests that are held give up

	started atomic.Int64 // processes

	mu      sync.Mutex // guards what follows
	current *process
	hook    memory.Hook
	ended   []string      // ids of the processes that were replaced or killed
	changed chan struct{} // closed when current changes
	ids     uint64
	access  sdk.Access
}

// New starts a module with that config, which is used as it is: decoding is
// left out, Validate is not. The module is named "test" and mounted at
// "/mod/test". It fails the test if the module can't start, and ends with it.
func New[C any](t testing.TB, cfg C, construct func(cfg C, env *sdk.Env) (http.Handler, error)) *Module {
	t.Helper()
	db := memory.New()
	m := &Module{
		URL:     "http://module.test/mod/test",
		Store:   db,
		t:       t,
		closed:  make(chan struct{}),
		changed: make(chan struct{}),
	}
	m.start = func(ended []string) *process {
		logger := hclog.New(&hclog.LoggerOptions{Name: "test", Output: t.Output(), Level: hclog.Debug})
		p := &process{logger: logger, store: db.Sub("")}
		p.store.SetHook(m.currentHook())
		p.plugin = sdk.NewPlugin("test", cfg, construct, sdk.Options{
			Logger:    logger,
			OpenStore: func(*wirepb.StoreConfig) (store.Store, error) { return shared{p.store}, nil },
			Exit:      func() {},
		})
		p.listen()
		p.configure(t, fmt.Sprintf("process-%d", m.started.Add(1)), ended)
		return p
	}
	m.current = m.start(nil)
	m.listen()
	t.Cleanup(m.end)
	return m
}

// shared hides a store's Close: the store outlives the process.
type shared struct{ store.Store }

// listen serves HTTP in memory.
func (m *Module) listen() {
	l := pipes.Listen()
	server := &http.Server{Handler: http.HandlerFunc(m.serve)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(l) //nolint:errcheck // http.ErrServerClosed
	}()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.Dial(ctx) },
	}
	m.client = &http.Client{Transport: transport}
	m.t.Cleanup(func() {
		close(m.closed)
		server.Close() //nolint:errcheck // in memory
		<-served
		transport.CloseIdleConnections()
	})
}

// Client returns the client that reaches the module. It has no timeout.
func (m *Module) Client() *http.Client { return m.client }

// serve is a host's way with a request: if the process ends and the module or
// the method allows it, the next process gets the request.
func (m *Module) serve(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	m.ids++
	id := fmt.Sprintf("request-%d", m.ids)
	access := m.access
	m.mu.Unlock()
	w.Header().Set("X-Request-Id", id)
	q := wire.NewRequest(w, r, id, "/mod/test", time.Now())
	defer q.Close()
	q.SetAccess(access)
	var last *process
	for {
		if last = m.next(r.Context(), last); last == nil {
			panic(http.ErrAbortHandler) // the client or the test has ended
		}
		err := last.client.Serve(q)
		switch {
		case err == nil:
			return
		case q.CanResume() || q.CanRetry():
		case q.Answered() || errors.Is(err, wire.ErrAborted):
			panic(http.ErrAbortHandler)
		default:
			wire.WriteError(w, wire.NewError(wire.CodeModuleDied, err.Error()))
			return
		}
	}
}

// next returns the current process once it is another one than last, or nil.
func (m *Module) next(ctx context.Context, last *process) *process {
	for {
		m.mu.Lock()
		p, changed := m.current, m.changed
		m.mu.Unlock()
		if p != nil && p != last {
			return p
		}
		select {
		case <-changed:
		case <-m.closed:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// swap makes p the current process and returns the one before.
func (m *Module) swap(p *process) *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.current
	if before != nil {
		m.ended = append(m.ended, before.id)
	}
	m.current = p
	close(m.changed)
	m.changed = make(chan struct{})
	return before
}

// Drain tells the process to finish what it has in flight. With DrainReplace a
// handler may hand requests over; they wait until Replace or Restart.
func (m *Module) Drain(reason sdk.DrainReason) {
	m.t.Helper()
	m.mu.Lock()
	p := m.current
	m.mu.Unlock()
	p.drain(m.t, reason)
}

// Replace does what a host does for a new config or executable: it starts a
// second process, gives it all new requests, and drains and closes the first,
// whose requests in flight may be handed over or be finished.
func (m *Module) Replace() {
	m.t.Helper()
	old := m.swap(m.start(m.dead()))
	old.drain(m.t, sdk.DrainReplace)
	old.close(m.t)
}

// SetAccess says what the module is told of who sends a request, for requests
// that come from now on: read-only, or who has signed in. What a host refuses by
// itself, it does not refuse here.
func (m *Module) SetAccess(a sdk.Access) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.access = a
}

// SetHook sets what goes wrong with the calls of the module's processes, the
// present one and later ones, but not with those of others on Store; nil:
// nothing.
func (m *Module) SetHook(h memory.Hook) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = h
	if m.current != nil {
		m.current.store.SetHook(h)
	}
}

func (m *Module) currentHook() memory.Hook {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hook
}

// Restart kills the process, as a crash would: its requests in flight break,
// and from that moment it changes nothing in the store, whatever its handlers
// do when their contexts end. Then it starts another one, which is told that
// the first has ended.
func (m *Module) Restart() {
	m.t.Helper()
	old := m.swap(nil)
	old.crash()
	m.swap(m.start(m.dead()))
}

// Metrics returns what the present process counts, in the Prometheus text
// format, as the host gathers it. It fails the test if the process does not
// tell.
func (m *Module) Metrics() string {
	m.t.Helper()
	m.mu.Lock()
	p := m.current
	m.mu.Unlock()
	text, err := p.client.Metrics(context.Background())
	if err != nil {
		m.t.Errorf("metrics: %v", err)
	}
	return string(text)
}

// dead returns the ids of the processes before the current one.
func (m *Module) dead() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.ended)
}

// end is an orderly end. It runs before the clean-up that listen has set up.
func (m *Module) end() {
	if p := m.swap(nil); p != nil {
		p.drain(m.t, sdk.DrainStop)
		p.close(m.t)
	}
}
