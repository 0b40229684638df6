package queue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// A place is one entry of a line as far as this process is concerned: the
// requests that wait on it, and run, which deals with the store on their
// behalf. A worker of the queue runs it while there is something to do, never
// two at once; a place that only waits costs no goroutine. It lives until the
// requests are answered and what they left in the store is cleared away.
type place struct {
	l    *line
	id   string
	key  string
	rec  record        // value and kind, as this process would create it
	gone chan struct{} // closed at the end of the place's life

	// Guarded by the queue's mutex.
	running   bool      // run is under way or due
	due       time.Time // when it became so
	woken     bool      // there is something new to look at
	waiters   map[*waiter]struct{}
	tries     int           // how many of them won't wait
	ttl       time.Duration // asked for by the latest request
	unwritten bool          // ttl is not in the store yet
	keep      bool          // a request was handed over: leave the entry to the successor

	// Owned by run.
	entry  store.Entry    // as last known; Created is 0 before it exists
	cur    record         // content of entry
	mine   store.Revision // Modified of entry if this process wrote it last
	start  time.Time      // before that write was sent
	joined bool           // this process waits with entry, or has; else it was only seen
	sent   []attempt      // writes that may be what stands in the store
	doubt  store.Revision // Modified of entry if a write or delete of that state may still take effect
	unsure bool           // the outcome of the latest write is unknown
	lost   string         // nonce of a create whose outcome is unknown, until it is found
	stale  bool           // the store has something newer than entry
	pause  backoff        // after a failed call
}

// An attempt is a create or swap that has taken effect or whose outcome is
// unknown.
type attempt struct {
	nonce string
	at    time.Time // before it was sent
}

// A waiter is one request.
type waiter struct {
	ttl    time.Duration
	try    bool         // not to be queued: at once or not at all
	since  time.Time    // when it was made
	answer chan outcome // capacity 1

	// Guarded by the queue's mutex. One that comes to a place which has an
	// entry already must not be told of what has become of that entry before.
	seen  bool // it was there when the round under way began
	bound bool // the entry was there after it had come
}

func (w *waiter) isBound() bool { return w.bound }

type outcome struct {
	grant *Grant
	again bool // the owner held it already and has asked again
	err   error
}

// wakeUp makes run look at everything anew. Called with the queue's mutex held.
func (p *place) wakeUp() {
	p.woken = true
	if !p.running {
		p.running = true
		p.l.q.schedule(p)
	}
}

// rest ends run when nothing has happened since it last looked.
func (p *place) rest() bool {
	q := p.l.q
	q.mu.Lock()
	defer q.mu.Unlock()
	p.running = p.woken
	return !p.running
}

// demand is what the requests want of the place right now.
type demand struct {
	any, trying bool          // some request is there; one of them won't wait
	unbound     bool          // one of them may have come after the entry's end
	ttl         time.Duration // of the latest request
	unwritten   bool          // ttl is not in the store yet
	keep        bool          // leave the entry as it is
}

func (p *place) demand() demand {
	q := p.l.q
	q.mu.Lock()
	defer q.mu.Unlock()
	p.woken = false
	d := demand{any: len(p.waiters) > 0, trying: p.tries > 0, ttl: p.ttl, unwritten: p.unwritten, keep: p.keep}
	for w := range p.waiters {
		w.seen = true
		d.unbound = d.unbound || !w.bound
	}
	return d
}

// errIdle says that there is nothing to do before something happens.
var errIdle = errors.New("nothing to do")

// run drives the place until it is idle or its life is over. Requests come and
// go meanwhile; each round looks at all of it anew, so no order of events
// needs a case of its own.
func (p *place) run() {
	q := p.l.q
	ctx := q.ctx
	for {
		d := p.demand()
		var err error
		if d.any {
			err = p.advance(ctx, d)
		} else {
			var clean bool
			if clean, err = p.leave(ctx, d); clean {
				p.forget() // a request that comes at this moment has to join anew
				if p.retire() {
					return
				}
			}
		}
		switch {
		case ctx.Err() != nil:
			p.finish(outcome{err: ErrDraining}, func(*waiter) bool { return true })
			if p.retire() {
				return
			}
		case err == nil:
			p.pause.reset()
		case err == errIdle:
			p.pause.reset()
			if p.rest() {
				return
			}
		case errors.Is(err, store.ErrChanged), errors.Is(err, store.ErrNotFound):
			p.stale = true
		default:
			q.log.Warn("store call failed", "lock", p.l.name, "error", err)
			p.stale = true
			q.fail(p, err)
			time.AfterFunc(p.pause.grow(), func() {
				q.mu.Lock()
				defer q.mu.Unlock()
				q.schedule(p)
			})
			return
		}
	}
}

// leave clears away what the requests have left in the store; true when there
// is nothing more to do.
func (p *place) leave(ctx context.Context, d demand) (clean bool, err error) {
	if p.entry.Created == 0 && !p.unsure || d.keep {
		return true, nil
	}
	if p.stale || p.unsure {
		e, err := p.l.q.store.Get(ctx, p.key, store.Linearizable)
		if errors.Is(err, store.ErrNotFound) || err == nil && p.entry.Created != 0 && e.Created != p.entry.Created {
			if p.lost != "" {
				p.giveUpLost("")
			}
			p.unsure = false
			return true, nil
		}
		if err != nil {
			return false, err
		}
		p.take(e)
		p.settle()
		p.stale = false
	}
	others, s := p.others(), p.l.q.session
	p.joined = false // who comes now finds an entry that is about to go, or joins it anew
	switch {
	case p.cur.State == held && p.mine != p.entry.Modified && !p.rec.Anonymous: // a holder's, not ours to release
		if slices.Contains(p.cur.Sessions, s.id) {
			s.suspectFor(backWithin) // if that one does not want it either, it is made ours to hold
		}
		return true, nil
	case p.cur.State == waiting && !p.rec.Anonymous && !slices.Contains(p.cur.Sessions, s.id): // never joined
		if p.doubt != p.entry.Modified {
			return true, nil
		}
		err = p.swap(ctx, p.cur, 0) // or has, if that takes effect late: now it can't
	case len(others) > 0: // theirs to hold, also if we did: who was told of that has renewed it
		err = p.swap(ctx, p.cur.with(waiting, p.cur.ttl(), others), 0)
		if err == nil && !s.allLive(others) {
			s.suspect() // they may have been spared for our sake
		}
	default:
		err = p.l.q.store.Delete(ctx, p.entry)
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		if unknown(err) {
			p.doubt = p.entry.Modified
		}
	}
	return err == nil, err
}

// retire takes the place out of its line and ends its life, unless a request
// has come meanwhile.
func (p *place) retire() bool {
	q := p.l.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(p.waiters) > 0 {
		return false
	}
	delete(p.l.places, p.id)
	if len(p.l.places) == 0 {
		p.l.unfollow()
		delete(q.lines, p.l.dir)
	}
	close(p.gone)
	q.doneLocked()
	return true
}

// finish answers requests, and reports whether there were any. What a grant says
// is theirs from here on; after an error whatever is in the store is cleared
// away by leave. Who was not answered begins anew.
func (p *place) finish(o outcome, who func(*waiter) bool) bool {
	q := p.l.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.answer(o, who) == 0 {
		return false
	}
	if o.grant != nil || errors.Is(o.err, ErrRemoved) {
		p.forget()
	}
	return true
}

// answer gives some requests their answer and returns how many. Called with the
// queue's mutex held.
func (p *place) answer(o outcome, who func(*waiter) bool) (n int) {
	for w := range p.waiters {
		if !who(w) {
			continue
		}
		n++
		delete(p.waiters, w)
		if w.try {
			p.tries--
		}
		w.answer <- o
	}
	if o.grant != nil && o.grant.delivery != nil {
		o.grant.delivery.pending += n
	}
	return n
}
