package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

// memory launches processes that are gRPC servers in this process, so that
// their time can be synctest's. Its fields are set before a start.
type memory struct {
	startTakes time.Duration
	startErr   error
	serve      http.HandlerFunc
	breaks     bool // Serve ends without an answer, in good health
	mute       atomic.Bool

	mu       sync.Mutex // guards the rest
	attempts []attempt
	live     []*fakeProgram
}

// launch is a launcher.
func (m *memory) launch(ctx context.Context, a attempt) (*process, error) {
	m.mu.Lock()
	m.attempts = append(m.attempts, a)
	m.mu.Unlock()
	select {
	case <-time.After(m.startTakes):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if m.startErr != nil {
		return nil, m.startErr
	}
	f := &fakeProgram{memory: m, exited: make(chan struct{})}
	f.Server = wire.NewServer(moduleCode{f}, hclog.NewNullLogger())
	f.grpc = grpc.NewServer(wire.ServerOptions()...)
	wirepb.RegisterModuleServer(f.grpc, f)
	l := bufconn.Listen(64 << 10)
	go f.grpc.Serve(l) //nolint:errcheck // ends with kill
	cc, err := grpc.NewClient("passthrough:memory", append(wire.DialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))...)
	if err != nil {
		return nil, err
	}
	client := wire.NewClient(cc)
	lifeline, err := client.Lifeline(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	p := &process{
		id: a.id, pid: 1, ready: time.Now(), client: client, lifeline: lifeline,
		exited: f.exited, exit: func() string { return "fake exit" }, said: func() string { return "" }, kill: f.kill,
		release: func() { f.kill(); cc.Close() }, //nolint:errcheck
	}
	p.watch()
	m.mu.Lock()
	m.live = append(m.live, f)
	m.mu.Unlock()
	return p, nil
}

// last returns the process started last.
func (m *memory) last() *fakeProgram {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.live[len(m.live)-1]
}

// started returns all attempts so far.
func (m *memory) started() []attempt {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.attempts)
}

func (m *memory) starts() int { return len(m.started()) }

// fakeProgram is a plugin and its server.
type fakeProgram struct {
	*wire.Server
	memory *memory
	grpc   *grpc.Server
	once   sync.Once
	exited chan struct{}
	drain  atomic.Pointer[wire.Drain] // what it was told last
	level  atomic.Pointer[string]
	closed atomic.Bool // in order
}

func (f *fakeProgram) kill() {
	f.once.Do(func() {
		close(f.exited)
		f.grpc.Stop()
	})
}

func (f *fakeProgram) Info(context.Context, *wirepb.InfoRequest) (*wirepb.InfoResponse, error) {
	return &wirepb.InfoResponse{}, nil
}

func (f *fakeProgram) Configure(context.Context, *wirepb.ConfigureRequest) (*wirepb.ConfigureResponse, error) {
	return &wirepb.ConfigureResponse{}, nil
}

func (f *fakeProgram) Close(context.Context, *wirepb.CloseRequest) (*wirepb.CloseResponse, error) {
	f.closed.Store(true)
	return &wirepb.CloseResponse{}, nil
}

func (f *fakeProgram) Serve(s wirepb.Module_ServeServer) error {
	if f.memory.breaks {
		return status.Error(codes.Internal, "a defect")
	}
	return f.Server.Serve(s)
}

func (f *fakeProgram) Lifeline(s wirepb.Module_LifelineServer) error {
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		if d := m.GetDrain(); d != nil {
			f.drain.Store(&wire.Drain{Reason: wire.DrainReason(d.GetReason()), Why: d.GetWhy(), Left: time.Duration(d.GetDeadlineNanos())})
		}
		if l := m.GetLogLevel(); l != nil {
			f.level.Store(&l.Level)
		}
		if m.GetPing() != nil && !f.memory.mute.Load() {
			if err := s.Send(&wirepb.LifelineResponse{Pong: m.GetPing()}); err != nil {
				return err
			}
		}
	}
}

// moduleCode is the part of fakeProgram that wire.Server carries.
type moduleCode struct{ f *fakeProgram }

var errUnused = errors.New("not used")

func (p moduleCode) Info(context.Context) (*wirepb.InfoResponse, error) { return nil, errUnused }
func (p moduleCode) Configure(context.Context, *wirepb.ConfigureRequest) (*wirepb.ConfigureResponse, error) {
	return nil, errUnused
}
func (p moduleCode) Drain(wire.Drain)                                 {}
func (p moduleCode) SetLogLevel(string)                               {}
func (p moduleCode) Metrics(context.Context) ([]byte, error)          { return nil, errUnused }
func (p moduleCode) Close(context.Context) error                      { return nil }
func (p moduleCode) HostGone()                                        {}
func (p moduleCode) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.f.memory.serve(w, r) }

// inBubble runs story in a bubble of its own time, with a module "mod" that m
// launches.
func inBubble(t *testing.T, m *memory, change func(*Spec), story func(t *testing.T, s *Supervisor)) {
	synctest.Test(t, func(t *testing.T) {
		s := newSupervisor(hclog.NewNullLogger(), m.launch, nil, newForker())
		spec := Spec{Name: "mod", Enabled: true, Mounts: []string{"/mod/mod"}, RestartMax: 5, RestartWindow: time.Minute, DrainTimeout: time.Second}
		if change != nil {
			change(&spec)
		}
		s.Apply([]Spec{spec})
		story(t, s)
		if err := s.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		synctest.Wait()
	})
}

// call is one request and its answer.
type call struct {
	*httptest.ResponseRecorder
	done    chan struct{}
	took    time.Duration
	aborted bool
}

func begin(s *Supervisor, r *http.Request) *call { return beginAt(s, "/mod/mod", r) }

func beginAt(s *Supervisor, mount string, r *http.Request) *call {
	c := &call{ResponseRecorder: httptest.NewRecorder(), done: make(chan struct{})}
	start := time.Now()
	go func() {
		defer close(c.done)
		defer func() {
			c.took = time.Since(start)
			if e := recover(); e != nil && e != http.ErrAbortHandler {
				panic(e)
			} else if e != nil {
				c.aborted = true
			}
		}()
		withArrival(mount, s.Handler("mod")).ServeHTTP(c, r)
	}()
	return c
}

// expect waits for the end of c and compares it.
func (c *call) expect(t *testing.T, status int, took time.Duration, body string) {
	t.Helper()
	<-c.done
	if c.Code != status || c.took != took || body != "" && c.Body.String() != body {
		t.Errorf("answer %d after %v, %s; want %d after %v, %s", c.Code, c.took, c.Body, status, took, body)
	}
}

func hello(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s hello", r.Method) }

func resumable(w http.ResponseWriter, r *http.Request) {
	x := wire.FromContext(r.Context())
	if err := x.Resumable(); err != nil {
		panic(err)
	}
	if x.Attempt() == 0 {
		<-r.Context().Done()
		return
	}
	fmt.Fprintf(w, "attempt %d", x.Attempt())
}

// withArrival stands for the server.
func withArrival(mount string, h http.Handler) http.Handler {
	var n int
	var mu sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		id := fmt.Sprintf("request-%d", n)
		mu.Unlock()
		h.ServeHTTP(w, r.WithContext(WithArrival(r.Context(), &Arrival{RequestID: id, Mount: mount, Received: time.Now()})))
	})
}
