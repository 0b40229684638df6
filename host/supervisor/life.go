package supervisor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
)

// What follows is run on the module's own goroutine, in run.

// adopt makes what was ordered what is.
func (m *module) adopt(ctx context.Context) {
	m.mu.Lock()
	spec, over, fresh := m.wanted, m.ending, m.fresh
	m.fresh = false
	m.taken = m.orders
	m.mu.Unlock()

	before := m.spec
	m.spec = spec
	if over != nil || !spec.Enabled {
		m.lieDown(ctx, over, before.DrainTimeout)
		return
	}
	switch v := m.now.Load(); {
	case fresh:
	case v.state == Failed && spec.Revives(before):
	case before.Enabled && spec.Suits(before):
		// Nothing was said that a process would be started for, also if none
		// runs since it has failed, or another one since its successor has.
		if m.current != nil {
			m.setLogLevel()
		}
		m.publish(v.state, v.reason)
		return
	case m.begun != nil && spec.Suits(m.starting):
		m.publish(v.state, v.reason)
		return
	case m.begun == nil && m.current != nil && spec.Suits(m.current.spec):
		// Also when an attempt to replace it has failed and was taken back.
		m.setLogLevel()
		m.publish(Ready, "")
		return
	}
	m.retry, m.falls = nil, nil
	m.abandon()
	if m.current != nil && !fresh && spec.Suits(m.current.spec) {
		m.setLogLevel()
		m.publish(Ready, "") // what was being started was not wanted after all
		return
	}
	m.begin(ctx, "")
}

// lieDown ends what runs, since nothing shall. The process keeps the drain
// timeout that it was promised.
func (m *module) lieDown(ctx context.Context, over *farewell, drain time.Duration) {
	m.retry, m.falls = nil, nil
	m.abandon()
	why := fmt.Sprintf("module %q was disabled", m.spec.Name)
	if over != nil {
		why = over.why
	}
	m.over = over
	if p := m.current; p != nil {
		m.current = nil
		m.retire(ctx, p, wire.Drain{Reason: wire.DrainStop, Why: why, Left: drain})
	}
	m.rest()
}

// setLogLevel tells the current process what to log, if it does not know.
func (m *module) setLogLevel() {
	p := m.current
	if p.level == m.spec.LogLevel {
		return
	}
	p.level = m.spec.LogLevel
	if err := p.lifeline.SetLogLevel(m.spec.LogLevel); err != nil {
		m.logger.Debug("log level not told", "pid", p.pid, "error", err) // it is about to be seen as ended
	}
}

// rest publishes how far the module has come to rest, if it shall. Who waits
// for an order of before is told why it is not carried out.
func (m *module) rest() {
	why := ""
	if m.over != nil {
		why = m.over.why
	}
	switch {
	case !m.rests():
	case m.leaving > 0:
		m.publish(Draining, why)
	default:
		m.publish(Disabled, why)
	}
}

// begin starts a process for spec, beside the current one if there is one.
func (m *module) begin(ctx context.Context, reason string) {
	ctx, cancel := context.WithCancel(ctx)
	if m.spec.Program != "" { // the one that is there by now
		m.spec.Program = Fingerprint(m.spec.Path)
		m.tried(m.spec.Program)
	}
	m.starting = m.spec
	a := attempt{spec: m.starting, id: rand.Text(), ended: slices.Clone(m.ended), tail: &m.tail, urgent: len(m.falls) > 0}
	begun := make(chan outcome, 1)
	m.begun, m.cancel = begun, cancel
	go func() {
		defer cancel()
		p, err := m.launch(ctx, a)
		begun <- outcome{a.id, p, err}
	}()
	state := Starting
	if m.current != nil {
		state = Ready
	}
	m.publish(state, reason)
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

// welcome takes the result of a start.
func (m *module) welcome(ctx context.Context, o outcome) {
	if o.err != nil {
		m.remember(o.id)
		m.past.add(End{Reason: o.err.Error()})
		if m.current != nil {
			m.logger.Error("new process did not start, the running one goes on", "error", o.err)
			m.publish(Ready, m.named(fmt.Errorf("the process with the settings before goes on, since the new one did not start: %w", o.err)))
			return
		}
		m.fell(ctx, 0, o.err)
		return
	}
	old := m.current
	m.current = o.process
	m.current.spec, m.current.level = m.starting, m.starting.LogLevel
	m.setLogLevel()
	m.publish(Ready, "")
	if old != nil {
		m.retire(ctx, old, wire.Drain{
			Reason: wire.DrainReplace,
			Why:    fmt.Sprintf("module %q has a new process", m.spec.Name),
			Left:   m.spec.DrainTimeout,
		})
	}
}

// retire ends p, which takes no requests any more, in an orderly way.
func (m *module) retire(ctx context.Context, p *process, d wire.Drain) {
	p.shut()
	m.leave(func() string {
		p.stop(ctx, d)
		<-p.done
		m.past.add(End{PID: p.pid, Reason: d.Why, Exit: p.exit(), Ordered: true})
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
	m.past.add(End{PID: p.pid, Reason: err.Error(), Exit: p.exit()})
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
		err = lastingf("%w; that was more than %d times within %s, so it is not started again; mend it, then run \"modhost module restart %s\"",
			err, m.spec.RestartMax, m.spec.RestartWindow, m.spec.Name)
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
		m.retry = time.After(delay)
		m.publish(Backoff, reason)
	}
}
