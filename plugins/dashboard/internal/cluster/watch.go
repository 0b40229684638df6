// Package cluster knows how etcd's members are, and judges that.
package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk/store"
)

// How often the members are asked: seldom when nobody looks, only for the
// graph's sake.
const (
	often  = 2 * time.Second
	seldom = 10 * time.Second
)

// A State is what is known of the members.
type State struct {
	Condition store.Condition // the last one that came; At is zero before
	Err       error           // why there is no newer one; nil if there is

	// Writes is how many writes of the v2 store a second were applied between the
	// last two times; negative if that is not known.
	Writes float64
}

// A Watch asks the members again and again. Fields are set before Run.
type Watch struct {
	Inspector store.Inspector

	// Streams returns how many browsers look, and a channel that is closed when
	// that changes.
	Streams func() (int64, <-chan struct{})

	state live.Var[State]
}

// State returns what is known, and a channel that is closed when that changes.
func (w *Watch) State() (State, <-chan struct{}) { return w.state.Get() }

// Run asks until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	w.state.Set(State{Writes: -1})
	for ctx.Err() == nil {
		began := time.Now()
		w.ask(ctx)
		w.pause(ctx, began)
	}
}

func (w *Watch) ask(ctx context.Context) {
	c, err := w.Inspector.Inspect(ctx)
	if ctx.Err() != nil {
		return
	}
	old, _ := w.state.Get()
	switch {
	case errors.Is(err, store.ErrUnavailable) && !old.Condition.At.IsZero():
		w.state.Set(State{Condition: silent(old.Condition, time.Now()), Writes: -1})
		return
	case err != nil:
		w.state.Set(State{Condition: old.Condition, Err: err, Writes: -1})
		return
	}
	w.state.Set(State{Condition: c, Writes: writes(old.Condition, c)})
}

// silent is what is known of members none of which answers.
func silent(old store.Condition, at time.Time) store.Condition {
	c := store.Condition{ID: old.ID, At: at}
	for _, m := range old.Members {
		m.Member.Leader = false
		c.Members = append(c.Members, store.MemberCondition{Member: m.Member, Role: store.RoleUnknown, Reason: "no member does"})
	}
	return c
}

// pause waits until the members are to be asked again.
func (w *Watch) pause(ctx context.Context, began time.Time) {
	for {
		streams, changed := w.Streams()
		wait := often
		if streams == 0 {
			wait = seldom
		}
		next := time.NewTimer(time.Until(began.Add(wait)))
		select {
		case <-next.C:
			return
		case <-ctx.Done():
			next.Stop()
			return
		case <-changed: // somebody came, or the last one left
			next.Stop()
		}
	}
}

// writes returns how many writes a second there were between two conditions,
// negative if they don't tell. Every member counts all of them; so the first
// one will do that has answered both times, and was not started between.
func writes(old, now store.Condition) float64 {
	seconds := now.At.Sub(old.At).Seconds()
	if old.At.IsZero() || seconds <= 0 {
		return -1
	}
	for _, m := range now.Members {
		before, ok := find(old, m.ID)
		if !m.Reachable || !ok || !before.Reachable {
			continue
		}
		if a, b := total(before.Store), total(m.Store); b >= a {
			return float64(b-a) / seconds
		}
	}
	return -1
}

// total is how many writes a member has applied.
func total(s store.StoreStats) uint64 {
	return s.SetSuccess + s.CreateSuccess + s.UpdateSuccess + s.DeleteSuccess + s.CompareAndSwapSuccess + s.CompareAndDeleteSuccess + s.Expired
}

func find(c store.Condition, id string) (store.MemberCondition, bool) {
	for _, m := range c.Members {
		if m.ID == id {
			return m, true
		}
	}
	return store.MemberCondition{}, false
}
