package memory

import (
	"context"
	"sync"

	"github.com/etcd-modules/modhost/sdk/store"
)

// An Op names a method of the store to a [Hook].
type Op string

// The operations. DeleteCreation is OpDelete too.
const (
	OpGet    Op = "get"
	OpList   Op = "list"
	OpPut    Op = "put"
	OpCreate Op = "create"
	OpSwap   Op = "swap"
	OpRenew  Op = "renew"
	OpDelete Op = "delete"
	OpPrune  Op = "prune"
	OpWatch  Op = "watch"

	OpNode      Op = "node"
	OpLevel     Op = "level"
	OpMakeDir   Op = "make directory"
	OpRemoveDir Op = "remove directory"
)

// A Hook decides what goes wrong with a call. It is asked once per call, with
// the key or directory as the caller gave it; for a watch, whenever Next
// begins or wakes. It may be called from several goroutines at once and may
// use the store, through another view.
type Hook func(op Op, key string) Fault

// A Fault is what goes wrong with one call, in the order of its fields. The
// zero Fault is none. A channel that is nil does not pause. While a call
// pauses, the end of its context ends it with the context's error.
type Fault struct {
	Pause  <-chan struct{} // wait until closed, then apply
	Refuse error           // do not apply, return this; ErrUnavailable as a rule
	Stale  *store.Listing  // a Local List only: its result, listed earlier, as from a member that is behind
	Hold   <-chan struct{} // applied: wait until closed, then answer
	Lose   error           // applied, but return this: the reply was lost
	Late   <-chan struct{} // instead of all that: return ErrUnavailable now, and apply when closed
}

// SetHook sets the hook of this view for the calls that begin after it; nil
// removes it. Hold and Lose mean nothing to a watch.
func (s *Store) SetHook(h Hook) {
	s.hook.mu.Lock()
	defer s.hook.mu.Unlock()
	s.hook.hook = h
}

type hookBox struct {
	mu   sync.Mutex // guards hook
	hook Hook
}

func (s *Store) fault(op Op, key string) Fault {
	s.hook.mu.Lock()
	h := s.hook.hook
	s.hook.mu.Unlock()
	if h == nil {
		return Fault{}
	}
	return h(op, key)
}

func (f Fault) before(ctx context.Context) error {
	if err := pause(ctx, f.Pause); err != nil {
		return err
	}
	return f.Refuse
}

func (f Fault) after(ctx context.Context) error {
	if err := pause(ctx, f.Hold); err != nil {
		return err
	}
	return f.Lose
}

// pause also notices a context that ended before the call.
func pause(ctx context.Context, until <-chan struct{}) error {
	if until == nil {
		return ctx.Err()
	}
	select {
	case <-until:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
