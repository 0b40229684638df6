package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/etcd-modules/modhost/host/supervisor"
	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/hashicorp/go-hclog"
	"github.com/julienschmidt/httprouter"
)

const requestIDHeader = "X-Request-Id"

// Options are the settings of a [Server].
type Options struct {
	Logger  hclog.Logger
	Mounts  []Mount
	Modules func() []supervisor.Status // for the listing and for /readyz

	// Metrics answers /metrics, Meter counts what Metrics tells of requests. Either
	// may be nil.
	Metrics http.Handler
	Meter   Meter

	// Rules say which requests are taken, see [Server.SetRules].
	Rules Rules

	// Ready says whether what modules need is there, etcd above all; nil is
	// yes. A *wire.Error is answered as it is. Its ctx ends after two seconds.
	Ready func(ctx context.Context) error
}

// A Meter counts requests. Its methods are called once per request, and return
// at once.
type Meter interface {
	// Began: the module is about to get a request.
	Began(module string)

	// Ended: a request was answered with that status, or broken off: 0. Module
	// is "" if it was for a route of the host's own, or for none. Those have
	// not begun.
	Ended(module, method string, status int, took time.Duration)
}

// unmetered counts nothing.
type unmetered struct{}

func (unmetered) Began(string)                             {}
func (unmetered) Ended(string, string, int, time.Duration) {}

// A Server is the handler of all requests. Safe for concurrent use.
type Server struct {
	logger  hclog.Logger
	modules func() []supervisor.Status
	ready   func(context.Context) error
	metrics http.Handler
	meter   Meter
	table   atomic.Pointer[httprouter.Router]
	rules   atomic.Pointer[rules]
	tries   tries
}

var _ http.Handler = (*Server)(nil)

// New returns the handler for the host's routes and o.Mounts, or an error
// about these: see [Server.SetMounts].
func New(o Options) (*Server, error) {
	s := &Server{logger: o.Logger, modules: o.Modules, ready: o.Ready, metrics: o.Metrics, meter: o.Meter}
	if s.metrics == nil {
		s.metrics = http.HandlerFunc(noSuchRoute)
	}
	if s.meter == nil {
		s.meter = unmetered{}
	}
	s.SetRules(o.Rules)
	if err := s.SetMounts(o.Mounts); err != nil {
		return nil, err
	}
	return s, nil
}

// SetMounts replaces all mounts at once, for requests that come from now on.
// It returns an error, and changes nothing, if one of them is no clean path
// or lies within another.
func (s *Server) SetMounts(mounts []Mount) error {
	t, err := newTable(mounts)
	if err != nil {
		return err
	}
	s.table.Store(t)
	return nil
}

// SetRules replaces the rules at once, for requests that come from now on. With
// another token those to modules with privileges end that are under way: a stream
// that the old one has let in would go on for ever. It is called by one goroutine
// at a time.
func (s *Server) SetRules(r Rules) {
	next := newRules(r)
	next.follow(s.rules.Load())
	s.rules.Store(next)
}

// ServeHTTP gives the request an id of ours (one that the client has sent is
// left to the module, as any header), routes it, and logs it when it is over:
// at debug level, since a service of waiting and polling clients has nothing
// to say at info for each of them. A handler's panic is a 500, or the end of
// the connection if the answer had begun.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	res := &response{
		ResponseWriter: w,
		meter:          s.meter,
		arrival:        supervisor.Arrival{RequestID: rand.Text(), Received: time.Now()},
		rules:          s.rules.Load(),
		trustworthy:    trustworthy(r),
	}
	defer s.finish(res, r)
	s.route(res, r)
}

// finish is deferred around everything that a request does.
func (s *Server) finish(res *response, r *http.Request) {
	cause := recover()
	if cause != nil && cause != http.ErrAbortHandler {
		s.logger.Error("handler panic", append(wire.LogFields(res.arrival.RequestID, r.Header), "module", res.module,
			"error", fmt.Sprint(cause), "stack", string(debug.Stack()))...)
		if res.status == 0 {
			wire.WriteError(res, wire.NewError(wire.CodeInternal, "a defect of the host; its log says more under this request id"))
			cause = nil
		}
	}
	if cause == nil && res.status == 0 { // net/http would answer, without the request id
		res.WriteHeader(http.StatusOK)
	}
	took, status := time.Since(res.arrival.Received), res.status
	if cause != nil {
		status = 0
	}
	s.meter.Ended(res.module, r.Method, status, took)
	if s.logger.IsDebug() {
		s.logger.Debug("request", append(wire.LogFields(res.arrival.RequestID, r.Header), "method", r.Method, "path", r.URL.EscapedPath(),
			"status", res.status, "bytes", res.bytes, "duration", took, "module", res.module, "aborted", cause != nil)...)
	}
	if cause != nil {
		panic(http.ErrAbortHandler)
	}
}

// route finds who answers, if the rules let anybody.
func (s *Server) route(res *response, r *http.Request) {
	if e := res.rules.misdirected(r); e != nil {
		wire.WriteError(res, e)
		return
	}
	path := r.URL.EscapedPath()
	own := s.own(path)
	if own == nil {
		if m := lookup(s.table.Load(), path); m != nil {
			s.enter(res, r, m)
			return
		}
		own = noSuchRoute
	}
	if e := res.rules.foreign(r, nil); e != nil {
		wire.WriteError(res, e)
		return
	}
	own(res, r)
}

// own returns what answers at a path of the host's own, or nil.
func (s *Server) own(path string) http.HandlerFunc {
	switch path {
	case "/mod", "/mod/":
		return readOnly(s.listing)
	case "/healthz":
		return readOnly(s.healthz)
	case "/readyz":
		return readOnly(s.readyz)
	case "/metrics":
		return readOnly(s.metrics.ServeHTTP)
	}
	return nil
}

// enter hands a request over to the module if the rules allow it. What they
// refuse does not count as the module's.
func (s *Server) enter(res *response, r *http.Request, m *Mount) {
	if e := res.rules.foreign(r, m); e != nil {
		wire.WriteError(res, e)
		return
	}
	if m.Privileged {
		if !s.admit(res, r, m) {
			return
		}
	} else {
		if res.rules.cors(res, r) {
			return
		}
		res.rules.withoutToken(r)
	}
	ctx := r.Context()
	if m.Privileged {
		var free context.CancelFunc
		ctx, free = res.rules.bound(ctx, res.until)
		defer free()
	}
	withoutSession(r.Header)
	res.module, res.arrival.Mount = m.Module, m.Path
	res.meter.Began(m.Module)
	m.Handler.ServeHTTP(res, r.WithContext(supervisor.WithArrival(ctx, &res.arrival)))
}

func noSuchRoute(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	cause := fmt.Sprintf("nothing is mounted at %q", path)
	if !strings.HasPrefix(path, "/mod/") {
		cause += "; modules are below /mod/"
	}
	wire.WriteError(w, wire.NewError(wire.CodeNoSuchRoute, cause+"; GET /mod/ lists the modules"))
}

// readOnly lets GET and HEAD through.
func readOnly(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			wire.WriteError(w, wire.NewError(wire.CodeMethodNotAllowed, "GET and HEAD are"))
			return
		}
		h(w, r)
	}
}
