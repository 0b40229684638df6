package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// A Target names an entry of a line: by its index, or if that is 0 by its
// value.
type Target struct {
	Index store.Revision
	Value string
}

func (t Target) String() string {
	if t.Index != 0 {
		return fmt.Sprintf("index %d", t.Index)
	}
	return fmt.Sprintf("value %q", t.Value)
}

// Status says who holds the lock, as the store has it now.
func (q *Queue) Status(ctx context.Context, name string) (Status, error) {
	list, err := q.store.List(ctx, lineDir(name), store.Linearizable)
	if err != nil {
		return Status{}, err
	}
	return statusOf(decodeAll(list.Entries), list.Revision), nil
}

// Renew gives the target a new TTL, counted from now if it is held, from its
// grant if it waits: then the grant returned is nil. It never brings an entry
// back and never makes a waiter the holder. ErrNotInLine if there is no such
// entry.
func (q *Queue) Renew(ctx context.Context, name string, t Target, ttl time.Duration) (*Grant, error) {
	var g *Grant
	err := q.onTarget(ctx, name, t, func(it item) error {
		if it.rec.State == waiting {
			next := it.rec
			next.TTL = int64(ttl / time.Second)
			_, err := q.store.Swap(ctx, it.entry, next.encode(), 0)
			return err
		}
		start := time.Now()
		_, err := q.store.Renew(ctx, it.entry, ttl)
		if err == nil {
			g = &Grant{Index: it.entry.Created, Value: it.rec.Value, TTL: ttl, start: start}
		}
		return err
	})
	return g, err
}

// Release removes the target from the line. Requests that wait on it return
// with ErrRemoved. ErrNotInLine if there is no such entry.
func (q *Queue) Release(ctx context.Context, name string, t Target) error {
	return q.onTarget(ctx, name, t, func(it item) error { return q.store.Delete(ctx, it.entry) })
}

// onTarget finds the target and does something to it that is conditional on
// the state found, again with the new state as long as that fails.
func (q *Queue) onTarget(ctx context.Context, name string, t Target, do func(item) error) error {
	it, ok := q.mirrored(name, t)
	var err error
	if !ok {
		it, err = q.read(ctx, name, t)
	}
	for err == nil {
		if err = do(it); err == nil {
			return nil
		}
		if errors.Is(err, store.ErrChanged) || errors.Is(err, store.ErrNotFound) {
			it, err = q.read(ctx, name, t)
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%s: %w", t, ErrNotInLine)
	}
	return err
}

// mirrored finds the target in the line's mirror, if there is one: that costs
// nothing and may be old.
func (q *Queue) mirrored(name string, t Target) (item, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[name]
	if l == nil || l.stop == nil {
		return item{}, false
	}
	index := t.Index
	if index == 0 {
		index = l.byID[entryID(t.Value, "")]
	}
	i, ok := l.find(index)
	if !ok {
		return item{}, false
	}
	return l.items[i], true
}

// read finds the target in the store, or returns ErrNotFound.
func (q *Queue) read(ctx context.Context, name string, t Target) (item, error) {
	if t.Index == 0 {
		e, err := q.store.Get(ctx, lineDir(name)+"/"+entryID(t.Value, ""), store.Linearizable)
		return decode(e, time.Now()), err
	}
	list, err := q.store.List(ctx, lineDir(name), store.Linearizable)
	if err != nil {
		return item{}, err
	}
	i := slices.IndexFunc(list.Entries, func(e store.Entry) bool { return e.Created == t.Index })
	if i < 0 {
		return item{}, store.ErrNotFound
	}
	return decode(list.Entries[i], time.Now()), nil
}
