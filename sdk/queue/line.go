package queue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// A line is what this process knows of one lock: the places of its own
// requests and, while any of them waits, a mirror of all entries. Everything
// in it is guarded by the queue's mutex.
type line struct {
	q      *Queue
	name   string
	dir    string
	places map[string]*place // by entry id

	// The mirror: all entries, oldest first, as of revision rev. Kept up by
	// one watch as long as stop is set, else not to be used.
	items []item
	byID  map[string]store.Revision // id → Created of its item
	rev   store.Revision
	stop  context.CancelFunc // ends the mirror; nil: there is none
	again context.CancelFunc // ends the watch only: it may be dead, list again
}

// A sight is what a place can see of its line.
type sight struct {
	rev    store.Revision
	own    item
	here   bool // own is set
	ahead  int  // entries created before own; all of them when not here
	sure   bool // read from the store itself, not from a copy
	status Status
}

// sightOf reads a sight out of items, which are ordered by creation.
func sightOf(items []item, rev store.Revision, id string) sight {
	s := sight{rev: rev, ahead: len(items)}
	if i := slices.IndexFunc(items, func(it item) bool { return it.id == id }); i >= 0 {
		s.own, s.here, s.ahead = items[i], true, i
	}
	s.status = statusOf(items, rev)
	return s
}

func statusOf(items []item, rev store.Revision) Status {
	st := Status{Revision: rev}
	if len(items) == 0 {
		return st
	}
	first := items[0]
	if first.rec.State != held {
		st.Waiting = len(items)
		return st
	}
	st.Held = true
	st.Index = first.entry.Created
	st.Value = first.rec.Value
	st.Remaining = first.remaining(time.Now())
	st.Waiting = len(items) - 1
	st.Since = first.rec.since()
	return st
}

// mirrored returns what the mirror shows to the place id, if there is one.
// Called with the queue's mutex held.
func (l *line) mirrored(id string) (sight, bool) {
	if l.stop == nil {
		return sight{}, false
	}
	s := sight{rev: l.rev, ahead: len(l.items), status: statusOf(l.items, l.rev)}
	if created, ok := l.byID[id]; ok {
		if i, ok := l.find(created); ok {
			s.own, s.here, s.ahead = l.items[i], true, i
		}
	}
	return s, true
}

// find returns where the entry created at created is or would be.
func (l *line) find(created store.Revision) (int, bool) {
	return slices.BinarySearchFunc(l.items, created, func(it item, c store.Revision) int {
		return byCreation(it, item{entry: store.Entry{Created: c}})
	})
}

// follow starts the mirror, from a listing just read. Called with the queue's
// mutex held; no effect when there is one already.
func (l *line) follow(items []item, rev store.Revision) {
	if l.stop != nil {
		return
	}
	ctx, stop := context.WithCancel(l.q.ctx)
	l.stop = stop
	l.load(items, rev)
	l.q.wg.Go(func() { l.mirror(ctx) })
}

// unfollow ends the mirror. Called with the queue's mutex held.
func (l *line) unfollow() {
	if l.stop != nil {
		l.stop()
		l.stop, l.again, l.items, l.byID = nil, nil, nil, nil
	}
}

// load replaces the mirror's content and wakes every place, as any of them may
// have missed something. Called with the queue's mutex held.
func (l *line) load(items []item, rev store.Revision) {
	l.items, l.rev = items, rev
	l.byID = make(map[string]store.Revision, len(items))
	for _, it := range items {
		l.byID[it.id] = it.entry.Created
	}
	for _, p := range l.places {
		p.wakeUp()
	}
}

// mirror keeps the line's mirror up until ctx ends. It is the one watch of
// this line, whatever the number of its waiters.
func (l *line) mirror(ctx context.Context) {
	for {
		why := l.watch(ctx)
		if ctx.Err() == nil && errors.Is(why, store.ErrCompacted) {
			l.q.observer.Relisted(RelistCompacted)
		} else if ctx.Err() == nil {
			l.q.observer.Relisted(RelistSilent)
		}
		if !l.relist(ctx) {
			return
		}
	}
}

// watch applies changes until the watch can't go on, and returns why.
func (l *line) watch(ctx context.Context) (why error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.q.mu.Lock()
	if ctx.Err() != nil {
		l.q.mu.Unlock()
		return ctx.Err()
	}
	l.again = cancel
	w := l.q.store.Watch(l.dir, l.rev)
	l.q.mu.Unlock()
	defer w.Close() //nolint:errcheck // nothing of ours depends on it

	var pause backoff
	for {
		events, err := w.Next(ctx)
		switch {
		case ctx.Err() != nil, errors.Is(err, store.ErrCompacted):
			return err
		case err != nil:
			l.q.log.Debug("watch interrupted", "lock", l.name, "error", err)
			if !pause.wait(ctx) {
				return ctx.Err()
			}
		default:
			pause.reset()
			l.q.mu.Lock()
			// Under the mutex, as a mirror that was stopped and started again
			// has another watch: one event from the old one would make the
			// new one skip what lies between.
			if ctx.Err() == nil {
				for _, ev := range events {
					l.apply(ev)
				}
			}
			l.q.mu.Unlock()
		}
	}
}

// relist reads the line anew. It reports false when ctx ended.
func (l *line) relist(ctx context.Context) bool {
	var pause backoff
	for c := store.Local; ; c = store.Linearizable {
		list, err := l.q.store.List(ctx, l.dir, c)
		if err == nil {
			items := decodeAll(list.Entries)
			l.q.mu.Lock()
			if ctx.Err() != nil {
				l.q.mu.Unlock()
				return false
			}
			// A list older than the mirror comes from a member that lags
			// behind: it would bring back entries that are gone.
			fresh := list.Revision >= l.rev
			if fresh {
				l.load(items, list.Revision)
			}
			l.q.mu.Unlock()
			if fresh {
				return true
			}
		}
		if !pause.wait(ctx) {
			return false
		}
	}
}

// apply brings one change into the mirror and wakes whom it concerns: the
// place whose entry it is, and the one that may have become first. Never all:
// a line of ten thousand costs no more per change than a line of two.
func (l *line) apply(ev store.Event) {
	if ev.Revision <= l.rev {
		return
	}
	l.rev = ev.Revision
	it := decode(ev.Entry, time.Now())
	i, found := l.find(ev.Entry.Created)
	if ev.Type == store.EventPut {
		if found {
			if it.entry.Modified > l.items[i].entry.Modified { // else it was noted before
				l.items[i] = it
			}
		} else {
			l.items = slices.Insert(l.items, i, it)
		}
		l.byID[it.id] = it.entry.Created
	} else if found {
		if ev.Type == store.EventExpire && l.items[i].rec.State == held {
			l.q.observer.Expired()
		}
		if i == 0 { // the usual case, without moving all that are behind
			l.items[0] = item{}
			l.items = l.items[1:]
		} else {
			l.items = slices.Delete(l.items, i, i+1)
		}
		if l.byID[it.id] == it.entry.Created {
			delete(l.byID, it.id)
		}
		if i == 0 && len(l.items) > 0 {
			l.wake(l.items[0].id)
		}
	}
	l.wake(it.id)
}

// note brings a write of this process into the mirror before the watch does:
// a release that follows at once would else be conditional on the state before,
// and fail at the price of a raft entry. Called with the queue's mutex held.
func (l *line) note(e store.Entry) {
	if i, found := l.find(e.Created); found && e.Modified > l.items[i].entry.Modified {
		l.items[i] = decode(e, time.Now())
	}
}

func (l *line) wake(id string) {
	if p := l.places[id]; p != nil {
		p.wakeUp()
	}
}

// A backoff is the growing pause between attempts against a store that does
// not answer. The zero value begins with the shortest.
type backoff struct{ next time.Duration }

const (
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

func (b *backoff) reset() { b.next = 0 }

// grow returns how long to pause now.
func (b *backoff) grow() time.Duration {
	d := max(b.next, firstPause)
	b.next = min(2*d, lastPause)
	return d
}

// wait pauses, and reports false if ctx ended meanwhile.
func (b *backoff) wait(ctx context.Context) bool { return sleep(ctx, b.grow()) }
