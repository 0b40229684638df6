package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
)

const (
	holdNew     = 2 * time.Second  // for a request that no process has seen, or that is tried again
	holdResumed = 30 * time.Second // for one that has a place in a line to lose
)

// ServeHTTP carries one request to the module's present process; if that ends
// before an answer, and the request allows it, to the next one. A request
// that is being served waits as long as its client does.
func (m *module) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrival := arrivalOf(r.Context())
	inflight := m.inflight.Add(1)
	defer m.inflight.Add(-1)
	r, end, refused := m.now.Load().spec.Limits.within(r, inflight)
	if refused != nil {
		wire.WriteError(w, refused)
		return
	}
	defer end()

	q := wire.NewRequest(w, r, arrival.RequestID, arrival.Mount, arrival.Received)
	defer q.Close()
	q.SetAccess(arrival.Access)
	if err := m.carry(r.Context(), q, arrival.Mount); err != nil {
		var answer *wire.Error
		if q.Answered() || !errors.As(err, &answer) {
			m.logger.Debug("request broken off", append(wire.LogFields(arrival.RequestID, r.Header), "error", err)...)
			panic(http.ErrAbortHandler) // breaks the connection off: the client must not take what it has as whole
		}
		wire.WriteError(w, answer)
	}
}

// carry returns nil if q was answered in full. A *wire.Error is to be
// answered if that is still possible.
func (m *module) carry(ctx context.Context, q *wire.Request, mount string) error {
	hold := holdNew
	var last *process
	retried := false
	for {
		p, err := m.take(ctx, hold, last, mount)
		if err != nil {
			return err
		}
		last = p
		err = p.serve(q)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, wire.ErrHandover):
			hold = holdResumed
			continue
		case errors.As(err, new(*wire.Error)):
			return err // a limit
		case errors.Is(err, wire.ErrBody):
			return wire.NewError(wire.CodeRequestInvalid, err.Error())
		case !errors.Is(err, wire.ErrGone):
			return err
		}
		p.distrust()
		switch {
		case q.CanResume():
			hold = holdResumed
		case q.CanRetry() && !retried:
			retried = true
			hold = holdNew
		default:
			return died(m.now.Load().spec.Name)
		}
	}
}

func died(name string) *wire.Error {
	return wire.NewError(wire.CodeModuleDied, fmt.Sprintf("the process of module %q ended while it worked on this request; whether it had an effect is unknown", name))
}

// take counts a request into the present process, or into the next one if
// that comes within hold. last is the process that the request was with
// before: if that is well after all, the request is at fault or the plugin
// is, and giving it the same again would never end.
//
// A process that does not know of the mount, because the config has just changed,
// is passed over while the one that does is on its way.
func (m *module) take(ctx context.Context, hold time.Duration, last *process, mount string) (*process, error) {
	var late <-chan time.Time
	for {
		v := m.now.Load()
		if e := v.refusal(); e != nil {
			return nil, e
		}
		var wait <-chan struct{}
		if p := v.process; p != nil && !slices.Contains(p.spec.Mounts, mount) {
			if !v.busy && !m.behind(v) {
				return nil, wire.NewError(wire.CodeNoSuchRoute, fmt.Sprintf("module %q is not mounted at %q", v.spec.Name, mount))
			}
		} else if p != nil {
			var ok bool
			ok, wait = p.enter()
			if ok && p == last {
				p.leave()
				return nil, died(v.spec.Name)
			}
			if ok {
				return p, nil
			}
		}
		if late == nil {
			t := time.NewTimer(hold)
			defer t.Stop()
			late = t.C
		}
		select {
		case <-v.changed:
		case <-wait:
		case <-late:
			return nil, v.tooLong()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
