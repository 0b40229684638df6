package queue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// take notes a state of the entry that somebody else may have written.
func (p *place) take(e store.Entry) {
	rec := decode(e, time.Now()).rec
	if p.lost != "" {
		p.giveUpLost(rec.Nonce)
	}
	if e.Created != p.entry.Created || e.Modified > p.entry.Modified {
		p.entry, p.cur = e, rec
	}
}

// giveUpLost looks out for a create whose outcome is unknown, unless that is
// what was found. From then on it is not ours: should it come, it is removed.
func (p *place) giveUpLost(found string) {
	if p.lost != found {
		p.l.q.expectLate(p.l.dir, p.lost)
		p.sent = nil
	}
	p.lost = ""
}

// write sends one conditional write of the entry and notes its outcome.
func (p *place) write(r record, send func(content string) (store.Entry, error)) error {
	r = r.marked()
	a := attempt{r.Nonce, time.Now()}
	e, err := send(r.content())
	p.unsure = unknown(err)
	switch {
	case err == nil:
		p.entry, p.cur = e, r
		p.own(a)
		p.written(r.ttl())
		p.bind()
	case p.unsure:
		p.sent, p.doubt = append(p.sent, a), p.entry.Modified
	}
	return err
}

// unknown reports whether a write that failed may have taken effect, or may do
// so yet.
func unknown(err error) bool {
	return err != nil && !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrChanged) && !errors.Is(err, store.ErrNotFound)
}

// own notes that a made the entry what it is.
func (p *place) own(a attempt) {
	p.mine, p.start, p.sent = p.entry.Modified, a.at, append(p.sent[:0], a)
	p.joined = p.cur.State == held || slices.Contains(p.cur.Sessions, p.l.q.session.id)
}

// settle decides writes whose outcome was unknown, once the entry was read.
func (p *place) settle() {
	p.unsure = false
	i := slices.IndexFunc(p.sent, func(a attempt) bool { return a.nonce == p.cur.Nonce })
	switch {
	case i >= 0 && p.mine != p.entry.Modified:
		p.own(p.sent[i])
	case i < 0 && p.doubt != p.entry.Modified: // what they were conditional on is no more
		p.sent = nil
	}
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

// forget begins anew without an entry.
func (p *place) forget() {
	p.entry, p.cur, p.mine, p.joined, p.sent = store.Entry{}, record{}, 0, false, nil
}

// swap writes a new state of the entry that is there.
func (p *place) swap(ctx context.Context, next record, ttl time.Duration) error {
	return p.write(next, func(content string) (store.Entry, error) {
		return p.l.q.store.Swap(ctx, p.entry, content, ttl)
	})
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
