package live

import (
	"context"
	"sync"
	"time"
)

// A Var holds a value that is replaced as a whole, and tells when it was. The
// zero Var holds the zero value. Safe for concurrent use.
type Var[T any] struct {
	mu      sync.Mutex
	value   T
	changed chan struct{} // made when first asked for, closed by the next Set
}

// Get returns the value and a channel that is closed when it is replaced. What
// it holds must not be changed.
func (v *Var[T]) Get() (T, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.changed == nil {
		v.changed = make(chan struct{})
	}
	return v.value, v.changed
}

// Set replaces the value.
func (v *Var[T]) Set(value T) { v.Update(func(T) T { return value }) }

// Update replaces the value by what f makes of it. f must not use v.
func (v *Var[T]) Update(f func(T) T) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.value = f(v.value)
	if v.changed != nil {
		close(v.changed)
		v.changed = nil
	}
}

// Follow returns a Source of a topic that is always sent as a whole: what show
// makes of v, at once and after each change, but not more often than every
// pause. What show returns is not changed any more; nil is not sent.
func Follow[T any](v *Var[T], pause time.Duration, show func(T) any) Source {
	return func(ctx context.Context, send func(any) error) error {
		for {
			value, changed := v.Get()
			if data := show(value); data != nil {
				if err := send(data); err != nil {
					return err
				}
			}
			if err := (Changes{changed}).Wait(ctx, pause, nil); err != nil {
				return err
			}
		}
	}
}

// Changes are channels one of which is closed when something has changed. nil
// ones never are.
type Changes [4]<-chan struct{}

// Wait returns when one of them is closed, or again has something to say, and
// pause has passed since the call at least. again may be nil. It returns ctx's
// error.
func (on Changes) Wait(ctx context.Context, pause time.Duration, again <-chan time.Time) error {
	earliest := time.NewTimer(pause)
	defer earliest.Stop()
	select {
	case <-on[0]:
	case <-on[1]:
	case <-on[2]:
	case <-on[3]:
	case <-again:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-earliest.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
