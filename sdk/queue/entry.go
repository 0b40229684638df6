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
	p.entry, p.cur, p.mine, p.joined = store.Entry{}, record{}, 0, false
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
