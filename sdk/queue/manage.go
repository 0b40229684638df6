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
	if s, ok, err := q.front(ctx, name); ok || err != nil {
		return s, err
	}
	list, err := q.store.List(ctx, lineDir(name), store.Linearizable)
	if err != nil {
		return Status{}, err
	}
	return statusOf(decodeAll(list.Entries), list.Revision), nil
}

// front says who is first in a line that is mirrored here; false if that takes
// a listing. It reads one entry, however long the line: if the first of an old
// view is still there, it is first. How many wait is as of the view.
func (q *Queue) front(ctx context.Context, name string) (Status, bool, error) {
	q.mu.Lock()
	l := q.lines[lineDir(name)]
	if l == nil || l.stop == nil || len(l.items) == 0 {
		q.mu.Unlock()
		return Status{}, false, nil
	}
	first, behind, rev := l.items[0].entry, len(l.items)-1, l.rev
	q.mu.Unlock()
	e, err := q.store.Get(ctx, first.Key, store.Linearizable)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && e.Created != first.Created:
		return Status{}, false, nil
	case err != nil:
		return Status{}, false, err
	}
	s := statusOf([]item{decode(e, time.Now())}, max(rev, e.Modified))
	s.Waiting += behind
	return s, true, nil
}

// Renew gives the target a new TTL, counted from now if it is held, from its
// grant if it waits: then the grant returned is nil. It never brings an entry
// back and never makes a waiter the holder. ErrNotInLine if there is no such
// entry.
func (q *Queue) Renew(ctx context.Context, name string, t Target, ttl time.Duration) (*Grant, error) {
	var g *Grant
	var pause backoff
	end := time.Now().Add(unsettled)
	err := q.onTarget(ctx, name, t, func(it item) error {
		if it.rec.State == waiting {
			next := it.rec
			next.TTL = int64(ttl / time.Second)
			e, err := q.store.Swap(ctx, it.entry, next.encode(), 0)
			if err == nil {
				q.note(name, e)
			}
			return err
		}
		first, err := q.isFirst(ctx, name, it.entry)
		switch {
		case err != nil:
			return err
		case !first && time.Now().After(end):
			return fmt.Errorf("%s: not settled whether it waits: %w", t, store.ErrUnavailable)
		case !first && pause.wait(ctx):
			return store.ErrChanged // look again
		case !first:
			return ctx.Err()
		}
		// Not the store's renewal, which leaves the content as it is: who has
		// written that would take the state for its own, and a waiting one is
		// no better for it.
		start := time.Now()
		next := it.rec
		next.TTL, next.Renewed = int64(ttl/time.Second), true
		e, err := q.store.Swap(ctx, it.entry, next.encode(), ttl)
		if err == nil {
			q.note(name, e)
			g = &Grant{Index: it.entry.Created, Value: it.rec.Value, TTL: ttl, start: start}
			q.observer.Renewed()
		}
		return err
	})
	return g, err
}

// note lets a mirror of the line know what was written.
func (q *Queue) note(name string, e store.Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.lines[lineDir(name)]; l != nil {
		l.note(e)
	}
}

// unsettled is how long Renew waits for an entry that was created held, but
// behind another, to become a waiting one. Its process does that at once.
const unsettled = time.Second

// isFirst reports whether the held entry e holds the lock. Of entries created
// held at the same moment only the first does, and nothing of the others tells
// until they are converted; but e was first if it was written since.
func (q *Queue) isFirst(ctx context.Context, name string, e store.Entry) (bool, error) {
	if e.Modified > e.Created {
		return true, nil
	}
	// Nobody enters ahead of e, so an old view will do if it has e.
	list, err := q.store.List(ctx, lineDir(name), store.Local)
	if err == nil && list.Revision < e.Created {
		list, err = q.store.List(ctx, lineDir(name), store.Linearizable)
	}
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(list.Entries, func(o store.Entry) bool { return o.Created < e.Created }), nil
}

// Release removes the target from the line. Requests that wait on it return
// with ErrRemoved. ErrNotInLine if there is no such entry.
func (q *Queue) Release(ctx context.Context, name string, t Target) error {
	return q.onTarget(ctx, name, t, func(it item) error {
		err := q.store.Delete(ctx, it.entry)
		if since := it.rec.since(); err == nil && !since.IsZero() { // what waits has none
			q.observer.Released(max(0, time.Since(since)))
		}
		return err
	})
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
	l := q.lines[lineDir(name)]
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
