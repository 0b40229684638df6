package supervisor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
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
	spec  Spec
	id    string   // of the process to be
	ended []string // ids of earlier processes of the module that have ended
	tail  *tail    // takes what the process prints
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
	inflight atomic.Int64 // requests, waiting ones included

	mu     sync.Mutex // guards wanted and ending
	wanted Spec
	ending bool
	wake   chan struct{} // holds one when they have changed

	now atomic.Pointer[view]

	// The rest is run's own.
	spec     Spec
	over     bool             // spec will not change any more, and nothing shall run
	current  *process         // takes requests
	begun    chan outcome     // of the start under way, nil if there is none
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
	m.wake <- struct{}{}
	return m
}

// order says how the module shall run from now on. Safe for concurrent use.
func (m *module) order(spec Spec) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wanted = spec
	m.nudge()
}

// end lets run come to its end, in an orderly way. Safe for concurrent use.
func (m *module) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ending = true
	m.nudge()
}

func (m *module) nudge() {
	select {
	case m.wake <- struct{}{}:
	default: // run has not looked since the last one
	}
}

// run owns the module's life until end was called and nothing of it is left.
// When ctx ends, its processes are killed.
func (m *module) run(ctx context.Context) {
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
			m.settle(ctx, o)
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
	return m.over && m.current == nil && m.begun == nil && m.leaving == 0
}

// adopt makes what is wanted what is.
func (m *module) adopt(ctx context.Context) {
	m.mu.Lock()
	spec, over := m.wanted, m.ending
	m.mu.Unlock()
	if over == m.over && spec.equal(m.spec) {
		return
	}
	drain := m.spec.DrainTimeout // the running process keeps the one it was started with
	m.spec, m.over = spec, over
	m.retry, m.falls = nil, nil
	m.abandon()
	if m.rests() {
		if p := m.current; p != nil {
			m.current = nil
			m.retire(ctx, p, wire.DrainStop, drain)
		}
		m.rest()
		return
	}
	m.begin(ctx, "")
}

// rests reports whether nothing shall run.
func (m *module) rests() bool { return m.over || !m.spec.Enabled }

// rest publishes how far the module has come to rest, if it shall.
func (m *module) rest() {
	switch {
	case !m.rests():
	case m.leaving > 0:
		m.publish(Draining, "")
	default:
		m.publish(Disabled, "")
	}
}

// begin starts a process for spec, beside the current one if there is one.
func (m *module) begin(ctx context.Context, reason string) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	a := attempt{spec: m.spec, id: rand.Text(), ended: slices.Clone(m.ended), tail: &m.tail}
	begun := make(chan outcome, 1)
	m.begun, m.cancel = begun, cancel
	go func() {
		defer cancel()
		p, err := m.launch(ctx, a)
		begun <- outcome{a.id, p, err}
	}()
	if m.current == nil {
		m.publish(Starting, reason)
	}
}

// abandon gives up the start under way.
func (m *module) abandon() {
	if m.begun == nil {
		return
	}
	begun := m.begun
	m.begun = nil
	m.cancel()
	m.leave(func() string {
		o := <-begun
		if o.process != nil {
			o.process.kill()
			o.process.release()
			<-o.process.done
		}
		return o.id
	})
}

// leave runs f, which returns the id of a process when that is gone. run
// waits for it before it ends.
func (m *module) leave(f func() string) {
	m.leaving++
	go func() { m.left <- f() }()
}

// settle takes the result of a start.
func (m *module) settle(ctx context.Context, o outcome) {
	if o.err != nil {
		m.remember(o.id)
		if m.current != nil {
			m.logger.Error("new process did not start, the running one goes on", "error", o.err)
			m.publish(Ready, o.err.Error())
			return
		}
		m.fell(ctx, 0, o.err)
		return
	}
	old := m.current
	m.current = o.process
	m.publish(Ready, "")
	if old != nil {
		m.retire(ctx, old, wire.DrainReplace, m.spec.DrainTimeout)
	}
}

// retire ends p, which takes no requests any more, in an orderly way.
func (m *module) retire(ctx context.Context, p *process, reason wire.DrainReason, drain time.Duration) {
	p.shut()
	m.leave(func() string {
		p.stop(ctx, reason, drain)
		<-p.done
		return p.id
	})
}

// crashed takes note that the current process has ended by itself.
func (m *module) crashed(ctx context.Context) {
	p := m.current
	m.current = nil
	m.remember(p.id)
	m.leave(func() string {
		p.release()
		return p.id
	})
	err := p.obituary()
	if m.begun != nil { // a replacement is on its way
		m.logger.Warn("plugin ended", "pid", p.pid, "error", err)
		m.publish(Starting, m.named(err))
		return
	}
	m.fell(ctx, max(time.Since(p.ready), 1), err)
}

// fell decides what follows a crash after up in good health, or a start that
// did not succeed (up 0).
func (m *module) fell(ctx context.Context, up time.Duration, err error) {
	m.falls = keepFalls(append(m.falls, fall{time.Now(), up}), m.spec.RestartMax)
	delay, giveUp := afterFall(m.falls, m.spec.RestartMax, m.spec.RestartWindow, mathrand.Float64())
	if giveUp {
		err = lastingf("%w; that was more than %d times within %s, so it is not started again; mend it, then restart the host or change the module's block",
			err, m.spec.RestartMax, m.spec.RestartWindow)
	}
	reason := m.named(err)
	switch {
	case errors.As(err, new(lasting)):
		m.logger.Error("module failed", "error", err)
		m.publish(Failed, reason)
	case delay == 0:
		m.logger.Warn("plugin ended, starts again", "error", err)
		m.restarts++
		m.begin(ctx, reason)
	default:
		m.logger.Warn("plugin ended, starts again later", "error", err, "delay", delay)
		m.publish(Backoff, reason)
		m.retry = time.After(delay)
	}
}

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
		ending:   m.over,
		process:  m.current,
		changed:  make(chan struct{}),
	}
	if state != old.state {
		v.since = time.Now()
	}
	if state != old.state || v.process != old.process {
		m.logger.Info("module state", "state", state, "reason", reason)
	}
	m.now.Store(v)
	close(old.changed)
}
