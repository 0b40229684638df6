package queue

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

const (
	// sweepEvery is how often all lines, not only those with local waiters,
	// are looked through for left-overs while the session is up.
	// suspectEvery is the same when a session has gone.
	sweepEvery   = 5 * time.Minute
	suspectEvery = 3 * time.Second

	// After a crash a request without a value is resumed at once or never;
	// one with a value may be made again by its client.
	graceAnonymous = 2 * time.Second
	graceValue     = 10 * time.Second

	// lateKept is how long a create is looked out for whose outcome stayed
	// unknown, first often and then less and less: a member of etcd that was
	// cut off or stopped passes it on when it is back.
	lateKept  = 10 * time.Minute
	lateFirst = time.Second
	lateLast  = 30 * time.Second

	// backWithin is how long after its grant an entry that several processes
	// wait on may come back to those that have left: so soon one knows that an
	// answer has not reached its client.
	backWithin = time.Minute

	// pruneEvery is how long the empty directory of a lock stays at least.
	pruneEvery = 10 * time.Minute
)

// hasPlaces reports whether any request of this process is in a line.
func (q *Queue) hasPlaces() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.lines) > 0
}

// relistAll makes every mirror read its line anew.
func (q *Queue) relistAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range q.lines {
		if l.again != nil {
			l.again()
		}
	}
}

// judgeMirrors removes, from the lines that are mirrored here, entries that
// only dead sessions wait on.
func (q *Queue) judgeMirrors(ctx context.Context) {
	var dead []item
	q.mu.Lock()
	for _, l := range q.lines {
		for _, it := range l.items {
			if l.places[it.id] == nil && q.leftOver(it) {
				dead = append(dead, it)
			}
		}
	}
	q.mu.Unlock()
	q.remove(ctx, dead, beat)
}

// leftOver reports whether it waits and all sessions it names are dead.
func (q *Queue) leftOver(it item) bool {
	if it.rec.State != waiting {
		return false
	}
	all := true
	for _, id := range it.rec.Sessions { // every one is asked: that is when its time starts
		all = q.session.dead(id, it.entry.Modified) && all
	}
	return all
}

// removers is how many of them are under way at a time: what a host with
// thousands of waiters leaves behind must not take long.
const removers = 8

// remove deletes entries in exactly the state that was judged.
func (q *Queue) remove(ctx context.Context, items []item, limit time.Duration) {
	q.each(ctx, items, limit, q.removeOne)
}

// each does something to every item, unless that reports false: the store is out
// of reach. It leaves what takes longer than limit to the next round, which finds
// them again: whoever judges has a session to keep up meanwhile.
func (q *Queue) each(ctx context.Context, items []item, limit time.Duration, do func(context.Context, item) bool) {
	began := time.Now()
	var next atomic.Int64
	var all sync.WaitGroup
	defer all.Wait()
	for range min(removers, len(items)) {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(items) || time.Since(began) >= limit {
					return
				}
				if !do(ctx, items[i]) {
					next.Store(int64(len(items)))
				}
			}
		})
	}
}

// removeOne reports false if the store is out of reach.
func (q *Queue) removeOne(ctx context.Context, it item) bool {
	err := q.store.Delete(ctx, it.entry)
	switch {
	case err == nil:
		q.log.Warn("removed left-over entry", "key", it.entry.Key, "index", it.entry.Created)
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrChanged):
	default:
		q.log.Warn("remove left-over entry failed", "key", it.entry.Key, "index", it.entry.Created, "error", err)
		return false
	}
	return true
}

// entries reads what is in any line.
func (q *Queue) entries(ctx context.Context) ([]item, error) {
	list, err := q.store.List(ctx, linesDir, store.Linearizable)
	if err != nil {
		return nil, err
	}
	return decodeAll(list.Entries), nil
}

// sweep looks through all lines for left-overs: of dead sessions, and of our
// own, should a write have taken effect after we had given it up.
func (q *Queue) sweep(ctx context.Context) {
	items, err := q.entries(ctx)
	if err != nil {
		q.log.Warn("sweep failed", "error", err)
		return
	}
	var over, astray []item
	missing := false
	for _, it := range items {
		if it.rec.State != waiting {
			continue
		}
		switch {
		case q.leftOver(it) || q.orphan(it):
			over = append(over, it)
		case q.astray(it):
			astray = append(astray, it)
			missing = true
			q.session.suspect() // look again soon who is left
		}
		missing = missing || q.session.noneLive(it.rec.Sessions)
	}
	q.remove(ctx, over, beat)
	q.each(ctx, astray, beat, q.withdraw)
	if !missing {
		q.session.cleared()
	}
}

// A lateCreate is one that nobody waits for any more, but that may still take
// effect. A waiting entry would then be in the way until the next sweep, a held
// one for as long as its TTL.
type lateCreate struct {
	dir   string
	since time.Time
}

// expectLate looks out in a line for a create that had that nonce.
func (q *Queue) expectLate(dir, nonce string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.late[nonce] = lateCreate{dir, time.Now()}
	select {
	case q.later <- struct{}{}:
	default:
	}
}

// givenUp reports whether r is what a late create has written, and nobody since.
// Then nobody was told of it either.
func (q *Queue) givenUp(r record) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, ok := q.late[r.Nonce]
	return ok
}

// lookOut removes what takes effect late.
func (q *Queue) lookOut(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.later:
		}
		for pause := lateFirst; sleep(ctx, pause); pause = min(2*pause, lateLast) {
			dirs := q.expected()
			if len(dirs) == 0 {
				break
			}
			for dir := range dirs {
				q.removeLate(ctx, dir)
			}
			select {
			case <-q.later: // there is a new one
				pause = lateFirst / 2
			default:
			}
		}
	}
}

// expected returns the lines in which something may come late, and forgets what
// has been looked out for long enough.
func (q *Queue) expected() map[string]bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	dirs := make(map[string]bool)
	for nonce, l := range q.late {
		if time.Since(l.since) > lateKept {
			delete(q.late, nonce)
			continue
		}
		dirs[l.dir] = true
	}
	return dirs
}

// removeLate removes from a line what has come late, in the very state in which
// it was sent: whoever wants it has written it meanwhile, if only to renew it.
// Requests of this process that have found it are about to do so.
func (q *Queue) removeLate(ctx context.Context, dir string) {
	list, err := q.store.List(ctx, dir, store.Linearizable)
	if err != nil {
		return // the next look finds it
	}
	for _, it := range decodeAll(list.Entries) {
		if !q.givenUp(it.rec) || it.entry.Modified != it.entry.Created || q.attended(it) {
			continue
		}
		if q.removeOne(ctx, it) {
			q.mu.Lock()
			delete(q.late, it.rec.Nonce) // it does not come twice
			q.mu.Unlock()
		}
	}
}

// orphan reports whether only this process could be waiting on it, and is not.
func (q *Queue) orphan(it item) bool {
	return slices.Equal(it.rec.Sessions, []string{q.session.id}) && !q.attended(it)
}

// astray reports whether it names this process, which does not wait on it.
func (q *Queue) astray(it item) bool {
	return slices.Contains(it.rec.Sessions, q.session.id) && !q.attended(it)
}

// withdraw takes this process out of an entry that others wait on, or would if
// they were not dead: none but they shall keep it. It reports false if the store
// is out of reach.
func (q *Queue) withdraw(ctx context.Context, it item) bool {
	next := it.rec
	next.Sessions = slices.DeleteFunc(slices.Clone(next.Sessions), func(id string) bool { return id == q.session.id })
	_, err := q.store.Swap(ctx, it.entry, next.encode(), 0)
	if unknown(err) {
		q.log.Warn("withdrawal from an entry failed", "key", it.entry.Key, "index", it.entry.Created, "error", err)
		return false
	}
	return true
}

// attended reports whether requests of this process stand in the place of it,
// or have handed it over.
func (q *Queue) attended(it item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.handover {
		return true
	}
	l := q.lines[strings.TrimSuffix(it.entry.Key, "/"+it.id)]
	return l != nil && l.places[it.id] != nil
}

// clearEnded removes what processes that are known to have ended left waiting,
// after the time in which their requests may be resumed. For what else waits
// it starts the session, as judge: it may have outlived all processes.
func (q *Queue) clearEnded(ctx context.Context) {
	began := time.Now()
	var pause backoff
	for {
		items, err := q.entries(ctx)
		if err != nil {
			if !pause.wait(ctx) {
				return
			}
			continue
		}
		age := time.Since(began)
		var due []item
		left, others := false, false
		for _, it := range items {
			switch {
			case it.rec.State != waiting:
			case !q.fromEnded(it):
				others = true
			case q.attended(it): // resumed, and about to join
				left = true
			case it.rec.Anonymous && age >= graceAnonymous, age >= graceValue:
				due = append(due, it)
			default:
				left = true
			}
		}
		q.remove(ctx, due, graceValue)
		if others {
			q.session.suspect()
		}
		// A write that was under way when its process ended may come late, and
		// a removal may fail: done is when nothing was found.
		if len(q.session.ended) > 0 && age < graceAnonymous {
			left = true
		}
		if !left && len(due) == 0 || !sleep(ctx, graceAnonymous) {
			return
		}
	}
}

// fromEnded reports whether only ended processes wait on it.
func (q *Queue) fromEnded(it item) bool {
	return !slices.ContainsFunc(it.rec.Sessions, func(id string) bool { return !slices.Contains(q.session.ended, id) })
}

// prune removes the directories of locks that are no longer used, where the
// store has such things.
func (q *Queue) prune(ctx context.Context) {
	p, ok := q.store.(store.Pruner)
	if !ok {
		return
	}
	for sleep(ctx, pruneEvery) {
		if n, err := p.Prune(ctx, linesDir); err != nil {
			q.log.Warn("prune of empty lock directories failed", "error", err)
		} else if n > 0 {
			q.log.Debug("pruned empty lock directories", "count", n)
		}
	}
}

// sleep pauses for d and reports false if ctx ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
