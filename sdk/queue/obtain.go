package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

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
	case p.cur.State == held && p.mine != p.entry.Modified && !p.rec.Anonymous && !p.l.q.givenUp(p.cur):
		// Another process created it at the same moment as the first, and will
		// make it wait. Nobody else may: if it is the first by now, which this
		// view does not show yet, its client may have been told. Our session
		// sees to it that the mirror is not deaf meanwhile.
		if err := p.l.q.session.ensure(ctx); err != nil {
			return err
		}
	case p.cur.State == held, !p.joined, p.doubt == p.entry.Modified,
		!slices.Contains(p.cur.Sessions, p.l.q.session.id), ttl != p.cur.ttl():
		return p.wait(ctx, ttl)
	}
	if d.unbound && !s.sure {
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
	q.mu.Lock()
	known := max(p.entry.Modified, p.l.rev)
	q.mu.Unlock()
	list, err := q.store.List(ctx, p.l.dir, c)
	if err == nil && list.Revision < known {
		list, err = q.store.List(ctx, p.l.dir, store.Linearizable)
	}
	if err == nil && list.Revision < known {
		err = fmt.Errorf("list at revision %d, older than what was seen at %d: %w", list.Revision, known, store.ErrUnavailable)
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

// bind notes that the entry was there after the round had begun.
func (p *place) bind() {
	q := p.l.q
	q.mu.Lock()
	defer q.mu.Unlock()
	for w := range p.waiters {
		w.bound = w.bound || w.seen
	}
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
	next.Asked = time.Now().UnixMilli()
	if p.lost != "" { // it may still come, when this one is gone again
		p.giveUpLost("")
	}
	err := p.write(next, func(content string) (store.Entry, error) {
		return p.l.q.store.Create(ctx, p.key, content, life)
	})
	if p.unsure {
		p.lost = p.sent[len(p.sent)-1].nonce
	}
	if errors.Is(err, store.ErrExists) {
		p.stale = true // go on with the standing entry
		return nil
	}
	return err
}

// wait makes the entry one that this process waits on with that TTL. It is
// written also if it was found so: a removal of it may be under way, and the
// session that it names may have ended. wait also converts the later one of two
// entries that were created held at the same moment.
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
// clock, and that it is still there. So it is if a write of ours may still come
// that would change it. The TTL is shortened only if that was asked for: since
// the grant somebody may have been told a longer one. That is why the renewal
// is a swap, which fails when there was another in between.
func (p *place) confirm(ctx context.Context, ttl time.Duration, asked bool) error {
	mine := p.mine == p.entry.Modified
	fresh := mine && p.doubt != p.entry.Modified
	if !asked && !fresh {
		ttl = max(ttl, p.entry.TTL)
	}
	// Nobody but its own request can have been told of an anonymous entry, so
	// its grant is ours also when the process before us has written it.
	// So it is when it is a create of ours that was given up: it was told to nobody.
	brought := mine || p.rec.Anonymous || p.l.q.givenUp(p.cur)
	again := !brought && !p.joined
	g := Grant{Index: p.entry.Created, Value: p.cur.Value, TTL: ttl, start: p.start}
	if !fresh || ttl != p.cur.ttl() || g.left() < ttl/2 {
		g.start = time.Now()
		if err := p.extend(ctx, ttl, brought, again); err != nil {
			return err
		}
		if g.left() <= 0 { // the store is slower than the TTL
			p.finish(outcome{err: ErrRemoved}, (*waiter).isBound)
			return nil
		}
	}
	if brought {
		g.delivery = &delivery{q: p.l.q, entry: p.entry, rec: p.cur, others: p.others()}
	}
	p.finish(outcome{grant: &g, again: again}, (*waiter).isBound)
	return nil
}

// extend renews the held entry, which its owner has asked for if again is set.
// If the grant is not ours to take back, the renewal must not make it so.
func (p *place) extend(ctx context.Context, ttl time.Duration, ours, again bool) error {
	next, joined := p.cur, p.joined
	next.TTL = int64(ttl / time.Second)
	next.Renewed = next.Renewed || again
	err := p.swap(ctx, next, ttl)
	if !ours {
		p.mine, p.sent, p.joined = 0, nil, joined
	}
	return err
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
