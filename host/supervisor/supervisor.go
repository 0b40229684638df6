package supervisor

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
)

// Options are the settings of a [Supervisor].
type Options struct {
	Logger      hclog.Logger
	RunDir      string // parent of the directories for sockets, made if need be; "" and paths over 38 bytes mean the system's folder for temporary files
	HostVersion string // told to the plugins

	// HostAPI makes what answers a process of the module with that name, if its
	// Spec has the privilege modules; nil: there is no such thing. Called after
	// Apply.
	HostAPI func(module string) http.Handler

	// DialOptions are added to those for the connection to a process of the
	// module of that name; nil: none.
	DialOptions func(module string) []grpc.DialOption
}

// A Supervisor keeps the processes of all modules. Its methods are safe for
// concurrent use.
type Supervisor struct {
	start  func(*module) // runs it
	kill   func()        // ends all processes now
	fork   *forker
	logger hclog.Logger
	launch launcher
	check  checker

	running sync.WaitGroup // modules and checks

	news bell // rung when the listing may have changed

	checking context.Context // of checks, which giveUp ends
	giveUp   func()

	mu      sync.Mutex // guards the rest
	modules map[string]*module
	ending  bool
}

// New returns a Supervisor without modules and removes the run directories
// of hosts that are dead. Close must be called.
func New(o Options) *Supervisor {
	fork := newForker()
	dirs := newRunDirs(o.RunDir)
	dirs.sweep()
	l := &pluginLauncher{logger: o.Logger, dirs: dirs, fork: fork, version: o.HostVersion, hostAPI: o.HostAPI, dial: o.DialOptions}
	return newSupervisor(o.Logger, l.launch, l.check, fork)
}

func newSupervisor(logger hclog.Logger, launch launcher, check checker, fork *forker) *Supervisor {
	ctx, kill := context.WithCancel(context.Background())
	s := &Supervisor{kill: kill, fork: fork, logger: logger, launch: newGate().before(launch), check: check, modules: map[string]*module{}}
	s.checking, s.giveUp = context.WithCancel(ctx)
	s.start = func(m *module) { s.running.Go(func() { m.run(ctx) }) }
	return s
}

// Apply makes desired, with one Spec for each name, what the supervisor
// strives for, and returns at once: [Supervisor.Modules] tells how far it got.
// A module whose Spec equals the one before is not touched. Otherwise a new
// process is started, takes over, and the old one drains; if the new one does
// not come up, the old one goes on. A module that is not in desired is drained
// and gone. After Drain or Close, Apply does nothing.
func (s *Supervisor) Apply(desired []Spec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return
	}
	wanted := map[string]bool{}
	for _, spec := range desired {
		wanted[spec.Name] = true
		if m := s.modules[spec.Name]; m != nil {
			m.order(spec)
			continue
		}
		m := newModule(spec, s.logger, s.launch)
		m.news = &s.news
		s.modules[spec.Name] = m
		s.start(m)
	}
	for name, m := range s.modules {
		if !wanted[name] {
			m.end(removed(name))
			delete(s.modules, name)
		}
	}
}

// Modules returns what is known about each module at this moment, sorted by
// name. It is not nil.
func (s *Supervisor) Modules() []Status {
	s.mu.Lock()
	list := make([]Status, 0, len(s.modules))
	for _, m := range s.modules {
		list = append(list, m.now.Load().status())
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Restart asks for a new process for spec, of which the module must be known,
// also if it has failed or one for spec runs: it is started beside the present one,
// takes over, and the old one drains. Nothing is started if spec is not enabled.
func (s *Supervisor) Restart(spec Spec) {
	if m := s.module(spec.Name); m != nil {
		m.restart(spec)
	}
}

// Module returns what is known about one module and what it shall run for; ok
// is false if there is none of that name.
func (s *Supervisor) Module(name string) (st Status, spec Spec, ok bool) {
	m := s.module(name)
	if m == nil {
		return Status{}, Spec{}, false
	}
	v := m.now.Load()
	return v.status(), v.spec, true
}

// Wanted returns the Spec that the module was given last, with the Program that
// was started for it last, whether that came up or not: applied again, it
// touches nothing. ok is false if there is no such module.
func (s *Supervisor) Wanted(name string) (spec Spec, ok bool) {
	m := s.module(name)
	if m == nil {
		return Spec{}, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wanted, true
}

// Running returns what the process that takes the module's requests was started
// for; ok is false if there is none.
func (s *Supervisor) Running(name string) (spec Spec, ok bool) {
	m := s.module(name)
	if m == nil {
		return Spec{}, false
	}
	p := m.now.Load().process
	if p == nil {
		return Spec{}, false
	}
	return p.spec, true
}

// Starting returns what a process of the module is being started for at this
// moment; ok is false if none is.
func (s *Supervisor) Starting(name string) (spec Spec, ok bool) {
	m := s.module(name)
	if m == nil {
		return Spec{}, false
	}
	starting := m.now.Load().starting
	if starting == nil {
		return Spec{}, false
	}
	return *starting, true
}

// Settle waits until the module has done what it was told, or has found that it
// can't for now: nothing is being started, and nothing is left of what shall
// rest. It returns the module's status, and ctx's error if that came first. ok is
// false if there is no such module.
func (s *Supervisor) Settle(ctx context.Context, name string) (st Status, ok bool, err error) {
	m := s.module(name)
	if m == nil {
		return Status{}, false, nil
	}
	err = m.settle(ctx)
	return m.now.Load().status(), true, err
}

// Logs returns the last lines, at most 200, that processes of the module have
// logged or printed, and what became of them, oldest first. It is nil for an
// unknown module.
func (s *Supervisor) Logs(name string) []LogLine {
	if m := s.module(name); m != nil {
		return m.tail.last()
	}
	return nil
}

// Follow calls f with the lines that Logs returns and then with each that
// comes, until ctx ends, the module is gone, or f returns an error, which it
// returns. ok is false if there is no such module. A caller that is slower than
// the module misses lines, and is told how many by one that says so.
func (s *Supervisor) Follow(ctx context.Context, name string, f func([]LogLine) error) (ok bool, err error) {
	m := s.module(name)
	if m == nil {
		return false, nil
	}
	return true, m.tail.follow(ctx, f)
}

// InFlight returns how many requests the module has at this moment, waiting
// ones included; 0 for an unknown module.
func (s *Supervisor) InFlight(name string) int {
	if m := s.module(name); m != nil {
		return int(m.inflight.Load())
	}
	return 0
}

// Handler returns a handler that gives each request to the module of that
// name, which need not exist yet. Requests must carry an [Arrival]. Its own
// answers are errors in etcd's shape: 404 for a disabled module, 503 while no
// process is ready for two seconds, 503 with the reason if it has failed, 502
// if the process ended in mid-request, and those of [Limits]. It breaks off
// what it can't complete by a panic with [http.ErrAbortHandler]. Source:
// module documentation, "Routes of the host".
func (s *Supervisor) Handler(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := s.module(name)
		if m == nil {
			wire.WriteError(w, disabled(name))
			return
		}
		m.ServeHTTP(w, r)
	})
}

func (s *Supervisor) module(name string) *module {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.modules[name]
}

// Drain begins the end and returns at once: modules are told to stop, take no
// new requests (503) and have their DrainTimeout to finish what they have,
// after which their processes are closed and ended. Checks are given up. It may
// be called again.
func (s *Supervisor) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = true
	s.giveUp()
	defer s.news.ring()
	for _, m := range s.modules {
		m.end(hostEnds())
	}
}

// Close drains and returns when no process is left. When ctx ends before, it
// kills what is left, waits for that, and returns ctx's error. It must be
// called once.
func (s *Supervisor) Close(ctx context.Context) error {
	s.Drain()
	stop := context.AfterFunc(ctx, s.kill)
	s.running.Wait()
	defer s.kill()
	s.fork.stop()
	if !stop() {
		return ctx.Err()
	}
	return nil
}
