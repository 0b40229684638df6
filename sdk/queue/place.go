package queue

import (
	"context"
	"errors"
	"fmt"
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
	joined bool           // this process waits with entry, or has; else it was only seen
	tried  string         // content of this process's latest create or swap
	start  time.Time      // before it was sent
	unsure bool           // its outcome is unknown
	lost   string         // content of a create whose outcome is unknown, until it is found
	stale  bool           // the store has something newer than entry
	pause  backoff        // after a failed call
}

// A waiter is one request.
type waiter struct {
	ttl    time.Duration
	try    bool         // not to be queued: at once or not at all
	answer chan outcome // capacity 1

	// Guarded by the queue's mutex. One that comes to a place which has an
	// entry already must not be told of what has become of that entry before.
	seen  bool // it was there when the round under way began
	bound bool // the entry was there after it had come
}

type outcome struct {
	grant *Grant
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

// bind notes that the entry was there after the round had begun. One that waits
// and names this process is its own, whoever has written it.
func (p *place) bind() {
	q := p.l.q
	p.joined = p.joined || p.cur.State == waiting && slices.Contains(p.cur.Sessions, q.session.id)
	q.mu.Lock()
	defer q.mu.Unlock()
	for w := range p.waiters {
		w.bound = w.bound || w.seen
	}
}

// prove reads whether the entry is there, for those who have come since it was
// last seen.
func (p *place) prove(ctx context.Context) error {
	e, err := p.l.q.store.Get(ctx, p.key, store.Linearizable)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && e.Created != p.entry.Created:
		p.stale = true
		return nil
	case err == nil:
		p.take(e)
		p.settle()
		p.bind()
	}
	return err
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

// advance does the next thing on the way to the grant and returns when there
// may be another one.
func (p *place) advance(ctx context.Context, d demand) error {
	if p.entry.Created != 0 && d.unbound && !p.stale {
		if err := p.prove(ctx); err != nil {
			return err
		}
	}
	s, err := p.look(ctx)
	if err != nil {
		return err
	}
	if p.entry.Created != 0 && s.rev >= p.entry.Modified && (!s.here || s.own.entry.Created != p.entry.Created) {
		if p.joined && p.finish(outcome{err: ErrRemoved}, (*waiter).isBound) {
			return nil
		}
		// An entry that was only seen, in a mirror that was behind or just
		// before its end, takes nothing away from us. What is decided anew
		// rests on this very view: the mirror may show it still.
		p.forget()
	}
	if p.entry.Created == 0 && !s.here {
		return p.enter(ctx, d, s)
	}
	if p.entry.Created == 0 || s.rev >= p.entry.Modified {
		p.take(s.own.entry)
		p.settle()
		if s.sure {
			p.bind()
		}
	}
	ttl := p.cur.ttl()
	if d.unwritten {
		if ttl == d.ttl {
			p.written(ttl)
		}
		ttl = d.ttl
	}
	first := s.rev >= p.entry.Created && s.ahead == 0
	switch {
	case first && p.cur.State == held:
		return p.confirm(ctx, ttl, d.unwritten)
	case first:
		return p.hold(ctx, ttl)
	case d.trying:
		return p.refuse(ctx, s)
	case p.cur.State == held, !slices.Contains(p.cur.Sessions, p.l.q.session.id), ttl != p.cur.ttl():
		return p.wait(ctx, ttl)
	case d.unbound && !s.sure:
		return nil // an entry that was found; the next round proves it
	}
	return errIdle
}

// look returns what the line looks like: from its mirror, or read when there
// is none. What is known to be outdated is read from the store itself.
func (p *place) look(ctx context.Context) (sight, error) {
	q := p.l.q
	if !p.stale && p.cur.State != held {
		q.mu.Lock()
		s, ok := p.l.mirrored(p.id)
		q.mu.Unlock()
		if ok {
			return s, nil
		}
	}
	c := store.Local
	if p.stale {
		c = store.Linearizable
	}
	list, err := q.store.List(ctx, p.l.dir, c)
	if err == nil && list.Revision < p.entry.Modified {
		list, err = q.store.List(ctx, p.l.dir, store.Linearizable)
	}
	if err == nil && list.Revision < p.entry.Modified {
		err = fmt.Errorf("list at revision %d after a write at %d: %w", list.Revision, p.entry.Modified, store.ErrUnavailable)
	}
	if err != nil {
		return sight{}, err
	}
	items := decodeAll(list.Entries)
	s := sightOf(items, list.Revision, p.id)
	s.sure, p.stale = p.stale, false
	if s.ahead > 0 && (p.entry.Created != 0 || s.here) { // going to wait
		q.mu.Lock()
		p.l.follow(items, list.Revision)
		q.mu.Unlock()
	}
	return s, nil
}

// take notes a state of the entry that somebody else may have written.
func (p *place) take(e store.Entry) {
	if p.lost != "" {
		p.giveUpLost(e.Value)
	}
	if e.Created != p.entry.Created || e.Modified > p.entry.Modified {
		p.entry, p.cur = e, decode(e, time.Now()).rec
	}
}

// giveUpLost looks out for a create whose outcome is unknown, unless that is
// what was found.
func (p *place) giveUpLost(found string) {
	if p.lost != found {
		p.l.q.expectLate(p.l.dir, p.lost)
	}
	p.lost = ""
}

// write sends one conditional write of the entry and notes its outcome.
func (p *place) write(r record, send func(content string) (store.Entry, error)) error {
	p.tried, p.start = r.encode(), time.Now()
	e, err := send(p.tried)
	switch {
	case err == nil:
		p.entry, p.cur, p.mine, p.joined, p.unsure = e, r, e.Modified, true, false
		p.written(r.ttl())
		p.bind()
	case errors.Is(err, store.ErrExists), errors.Is(err, store.ErrChanged), errors.Is(err, store.ErrNotFound):
		p.unsure = false
	default:
		p.unsure = true
	}
	return err
}

// settle decides a write whose outcome was unknown, once the entry was read.
func (p *place) settle() {
	if p.unsure && p.entry.Value == p.tried {
		p.mine, p.joined = p.entry.Modified, true
	}
	p.unsure = false
}

// forget begins anew without an entry.
func (p *place) forget() {
	p.entry, p.cur, p.mine, p.joined = store.Entry{}, record{}, 0, false
}

// swap writes a new state of the entry that is there.
func (p *place) swap(ctx context.Context, next record, ttl time.Duration) error {
	return p.write(next, func(content string) (store.Entry, error) {
		return p.l.q.store.Swap(ctx, p.entry, content, ttl)
	})
}

// enter creates the entry: held when nobody is in the line, else waiting.
func (p *place) enter(ctx context.Context, d demand, s sight) error {
	next, life := p.rec.with(held, d.ttl, nil), d.ttl
	if s.ahead > 0 {
		if d.trying {
			return p.refuse(ctx, s)
		}
		if err := p.l.q.session.ensure(ctx); err != nil {
			return err
		}
		next, life = p.rec.with(waiting, d.ttl, []string{p.l.q.session.id}), 0
	}
	if p.lost != "" { // it may still come, when this one is gone again
		p.giveUpLost("")
	}
	err := p.write(next, func(content string) (store.Entry, error) {
		return p.l.q.store.Create(ctx, p.key, content, life)
	})
	if p.unsure {
		p.lost = p.tried
	}
	if errors.Is(err, store.ErrExists) {
		p.stale = true // go on with the standing entry
		return nil
	}
	return err
}

// wait makes the entry one that this process waits on with that TTL. It also
// converts the later one of two entries that were created held at the same
// moment.
func (p *place) wait(ctx context.Context, ttl time.Duration) error {
	if err := p.l.q.session.ensure(ctx); err != nil {
		return err
	}
	return p.swap(ctx, p.cur.with(waiting, ttl, append(p.others(), p.l.q.session.id)), 0)
}

// hold makes the waiting entry held: the one write that obtains a lock. That
// the line had nobody ahead was seen before and stays true; that the entry is
// still there is what the condition of the write says.
func (p *place) hold(ctx context.Context, ttl time.Duration) error {
	if err := p.swap(ctx, p.cur.with(held, ttl, p.cur.Sessions), ttl); err != nil {
		return err
	}
	return p.confirm(ctx, ttl, true)
}

// confirm answers with an entry that is held and first. Unless this process
// has just made it so, it is renewed: that tells when its TTL began by our own
// clock, and that it is still there. The TTL is shortened only if that was
// asked for: since the grant somebody may have been told a longer one. That is
// why the renewal is a swap, which fails when there was another in between.
func (p *place) confirm(ctx context.Context, ttl time.Duration, asked bool) error {
	fresh := p.mine == p.entry.Modified
	if !asked && !fresh {
		ttl = max(ttl, p.entry.TTL)
	}
	// Nobody but its own request can have been told of an anonymous entry, so
	// its grant is ours also when the process before us has written it.
	brought := fresh || p.rec.Anonymous
	g := Grant{Index: p.entry.Created, Value: p.cur.Value, TTL: ttl, start: p.start}
	if !fresh || ttl != p.cur.ttl() || g.left() < ttl/2 {
		g.start = time.Now()
		if err := p.extend(ctx, ttl, brought); err != nil {
			return err
		}
		if g.left() <= 0 { // the store is slower than the TTL
			p.finish(outcome{err: ErrRemoved}, (*waiter).isBound)
			return nil
		}
	}
	if brought {
		g.delivery = &delivery{q: p.l.q, entry: p.entry, shared: len(p.others()) > 0}
	}
	p.finish(outcome{grant: &g}, (*waiter).isBound)
	return nil
}

// extend renews the held entry. If the grant is not ours to take back, the
// renewal must not make it so.
func (p *place) extend(ctx context.Context, ttl time.Duration, ours bool) error {
	next := p.cur
	next.TTL = int64(ttl / time.Second)
	if ours {
		return p.swap(ctx, next, ttl)
	}
	e, err := p.l.q.store.Swap(ctx, p.entry, next.encode(), ttl)
	if err != nil {
		return err
	}
	p.take(e)
	p.written(ttl)
	p.bind()
	return nil
}

// others are the sessions besides ours that wait, or waited, on the entry, but
// for those that have ended or left it to a successor. An anonymous entry has
// none: its request is in one process at a time.
func (p *place) others() []string {
	if p.rec.Anonymous {
		return nil
	}
	s := p.l.q.session
	return slices.DeleteFunc(slices.Clone(p.cur.Sessions), func(id string) bool {
		return id == s.id || slices.Contains(s.ended, id) || s.saidGoodbye(id, p.entry.Modified)
	})
}

// written notes that the entry as it is, and with it the TTL asked for, is in
// the store.
func (p *place) written(ttl time.Duration) {
	p.l.q.mu.Lock()
	defer p.l.q.mu.Unlock()
	p.l.note(p.entry)
	if p.ttl == ttl {
		p.unwritten = false
	}
}

func (w *waiter) isBound() bool { return w.bound }

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

// refuse answers the requests that won't wait. A view that may be old is
// checked first: an answer must not say held when it no longer is.
func (p *place) refuse(ctx context.Context, s sight) error {
	q := p.l.q
	st := s.status
	if !s.sure {
		var err error
		if st, s.sure, err = q.front(ctx, p.l.name); err != nil {
			return err
		}
	}
	if !s.sure {
		p.stale = true
		return nil
	}
	if !st.Held {
		// The first one waits, maybe on nobody: requests that don't wait have
		// no mirror that would be judged.
		q.session.suspect()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	p.answer(outcome{err: &NotObtainedError{Status: st}}, func(w *waiter) bool { return w.try && w.seen })
	return nil
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
	switch {
	case p.cur.State == held && p.mine != p.entry.Modified && !p.rec.Anonymous, // a holder's, not ours to release
		p.cur.State == held && len(others) > 0,                                              // others are told of it
		p.cur.State == waiting && len(others) > 0 && !slices.Contains(p.cur.Sessions, s.id): // never joined
		return true, nil
	case len(others) > 0:
		err = p.swap(ctx, p.cur.with(waiting, p.cur.ttl(), others), 0)
		if err == nil && !s.allLive(others) {
			s.suspect() // they may have been spared for our sake
		}
	default:
		err = p.l.q.store.Delete(ctx, p.entry)
		if errors.Is(err, store.ErrNotFound) {
			err = nil
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
