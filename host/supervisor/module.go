package supervisor

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// rememberedEnds is how many process ids of the past a new process is told.
const rememberedEnds = 32

// A launcher starts one process and brings it to the point of serving. When
// ctx ends before that, it fails and leaves nothing behind. The error is
// [lasting] if another try would fail in the same way.
type launcher func(ctx context.Context, a attempt) (*process, error)

// An attempt is what one start is about.
type attempt struct {
	spec   Spec
	id     string   // of the process to be
	ended  []string // ids of earlier processes of the module that have ended
	tail   *tail    // takes what the process prints
	urgent bool     // the process before has crashed
}

// An outcome is how an attempt went: a process or an error.
type outcome struct {
	id      string
	process *process
	err     error
}

// A module is one slot: at most one process that takes requests, beside it
// perhaps one that is being started to replace it and some that finish what
// they have. The goroutine run owns its life; everybody else looks at the
// view and hands in orders.
type module struct {
	logger   hclog.Logger
	launch   launcher
	tail     tail
	past     past
	news     *bell        // rung when what the listing says has changed; may be nil
	inflight atomic.Int64 // requests, waiting ones included

	mu     sync.Mutex // guards the orders
	wanted Spec
	fresh  bool          // a new process is asked for, whatever runs
	ending *farewell     // nil: not for good
	orders uint64        // how many there were
	wake   chan struct{} // holds one when there was one more

	now atomic.Pointer[view]

	// The rest is run's own.
	spec     Spec
	over     *farewell        // not nil: spec will not change any more, and nothing shall run
	taken    uint64           // orders that it takes account of
	current  *process         // takes requests
	begun    chan outcome     // of the start under way, nil if there is none
	starting Spec             // what that start is for
	cancel   func()           // ends that start
	retry    <-chan time.Time // of the next start, nil unless in backoff
	falls    []fall
	ended    []string // process ids, oldest first
	restarts int
	leaving  int         // processes and starts that are on their way out
	left     chan string // their ids when they are gone
}

func newModule(spec Spec, logger hclog.Logger, launch launcher) *module {
	m := &module{
		logger: logger.With("module", spec.Name),
		launch: launch,
		wanted: spec,
		wake:   make(chan struct{}, 1),
		left:   make(chan string),
	}
	v := &view{state: Disabled, spec: spec, since: time.Now(), changed: make(chan struct{})}
	if spec.Enabled {
		v.state = Starting
	}
	m.now.Store(v)
	m.orders = 1
	m.wake <- struct{}{}
	return m
}

// order says how the module shall run from now on. Safe for concurrent use.
func (m *module) order(spec Spec) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ending != nil {
		return // run may not look any more
	}
	m.wanted = spec
	m.nudge()
}

// restart asks for a new process for spec, also after a failure for good. Safe
// for concurrent use.
func (m *module) restart(spec Spec) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ending != nil {
		return
	}
	m.wanted, m.fresh = spec, true
	m.nudge()
}

// end lets run come to its end, in an orderly way. Safe for concurrent use.
func (m *module) end(f *farewell) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ending != nil {
		return
	}
	m.ending = f
	m.nudge()
}

// tried notes what is about to be started for the present orders: the same again
// asks for nothing new.
func (m *module) tried(program string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.taken == m.orders {
		m.wanted.Program = program
	}
}

// nudge makes run look. Called with mu held.
func (m *module) nudge() {
	m.orders++
	select {
	case m.wake <- struct{}{}:
	default: // run has not looked since the last one
	}
}

// settle waits until the orders given so far are carried out, as far as they
// ever will: no process is being started, and a module that shall rest has
// none left. It returns ctx's error if that takes too long.
func (m *module) settle(ctx context.Context) error {
	m.mu.Lock()
	orders := m.orders
	m.mu.Unlock()
	for {
		v := m.now.Load()
		if v.orders >= orders && !v.busy {
			return nil
		}
		select {
		case <-v.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// behind reports whether an order was given of which v takes no account.
func (m *module) behind(v *view) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return v.orders < m.orders
}

// run owns the module's life until end was called and nothing of it is left.
// When ctx ends, its processes are killed.
func (m *module) run(ctx context.Context) {
	defer m.tail.end()
	for !m.finished() {
		var gone <-chan struct{}
		if m.current != nil {
			gone = m.current.done
		}
		select {
		case <-m.wake:
			m.adopt(ctx)
		case o := <-m.begun:
			m.begun = nil
			m.welcome(ctx, o)
		case <-gone:
			m.crashed(ctx)
		case <-m.retry:
			m.retry = nil
			m.restarts++
			m.begin(ctx, m.now.Load().reason)
		case id := <-m.left:
			m.leaving--
			m.remember(id)
			m.rest()
		}
	}
}

func (m *module) finished() bool {
	return m.over != nil && m.current == nil && m.begun == nil && m.leaving == 0
}

// rests reports whether nothing shall run.
func (m *module) rests() bool { return m.over != nil || !m.spec.Enabled }

// named puts the module's name before err: reasons are read far from here.
func (m *module) named(err error) string {
	return fmt.Sprintf("module %q: %s", m.spec.Name, err)
}

// remember notes that the process of that id has ended.
func (m *module) remember(id string) {
	if slices.Contains(m.ended, id) {
		return
	}
	m.ended = append(m.ended, id)
	m.ended = m.ended[max(0, len(m.ended)-rememberedEnds):]
}

// publish shows the module's present state and wakes who waits for a change.
func (m *module) publish(state State, reason string) {
	old := m.now.Load()
	v := &view{
		state:    state,
		reason:   reason,
		since:    old.since,
		restarts: m.restarts,
		spec:     m.spec,
		over:     m.over,
		process:  m.current,
		busy:     m.begun != nil || m.rests() && m.leaving > 0,
		orders:   m.taken,
		changed:  make(chan struct{}),
	}
	if m.begun != nil {
		starting := m.starting
		v.starting = &starting
	}
	if state != old.state {
		v.since = time.Now()
	}
	if state != old.state || v.process != old.process || reason != old.reason {
		m.logger.Info("module state", "state", state, "reason", reason)
		m.tail.note(state, v.status().PID, reason)
	}
	m.now.Store(v)
	close(old.changed)
	m.news.ring()
}
