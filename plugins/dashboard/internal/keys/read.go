package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// maxTries is how often a level is read that comes and goes meanwhile.
const maxTries = 5

// read reads a level whose state is reading, and ends that state.
func (r *realm) read(ctx context.Context, l *level, path string) {
	for tries := 1; ; tries++ {
		r.mu.Lock()
		lost := r.lost
		l.waiting = nil
		r.mu.Unlock()
		got, err := r.tree.Level(ctx, r.key(path), store.Linearizable)
		rows := make([]row, len(got.Nodes))
		for i, n := range got.Nodes {
			rows[i] = newRow(n)
		}
		absent := errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrInvalid)
		r.mu.Lock()
		// What was told belongs in front of or behind what was read. That it was not
		// there has no revision to tell by.
		if r.lost != lost || absent && len(l.waiting) > 0 {
			if tries < maxTries && ctx.Err() == nil {
				r.mu.Unlock()
				continue
			}
			absent, err = false, fmt.Errorf("%q comes and goes; try again: %w", "/"+r.key(path), store.ErrUnavailable)
		}
		waiting := l.waiting
		l.waiting = nil
		switch {
		case absent:
			r.finish(l, err)
		case err != nil:
			l.state, l.why = cold, err
			r.lacks()
			l.tell()
		default:
			r.install(l, rows, got.Revision)
			for _, c := range waiting {
				r.late(l, c)
			}
		}
		close(l.read)
		r.mu.Unlock()
		return
	}
}

// late makes a change of l that was told while l was read. The levels below have
// had it.
func (r *realm) late(l *level, c store.TreeChange) {
	path := r.key(l.path())
	rest, inside := cutDir(c.Node.Key, path)
	switch {
	case l.state == gone && c.Type == store.EventPut: // it has gone, and come again
		r.appeared(l)
		r.lacks()
	case l.state != loaded || c.Revision <= l.revision:
	case inside:
		name, deeper := cutName(rest)
		if r.applyRow(l, name, deeper, c) {
			r.lacks()
		}
	case c.Type != store.EventPut: // of the directory or of one above it
		r.finish(l, store.ErrNotFound)
	}
}

// maxDiff is how many changes a level that is read again may have become old by;
// with more, who follows it starts again.
const maxDiff = 500

// install gives l the rows that were read at a revision. If it had some, what
// changed is told change by change.
func (r *realm) install(l *level, rows []row, at store.Revision) {
	l.state, l.why, l.revision = loaded, nil, at
	if l.rows.n == 0 || !r.diff(l, rows) {
		r.change(l, func() { l.rows = newList(rows) })
		l.log = nil
		l.seq++
	}
	for name, s := range l.subs {
		if p, found := l.rows.find(name); !found || !l.rows.row(p).dir { // its end was missed
			r.end(s, store.TreeChange{Type: store.EventDelete, Node: store.Node{Entry: store.Entry{Key: r.key(s.path())}, Dir: true}, Revision: at})
		}
	}
	if l.rows.dirs > 0 {
		r.lacks() // it may have been read for somebody else than the walker
	}
	l.tell()
}

// diff makes l's rows those by single changes. It returns false, with l as it
// was, if that were too many.
func (r *realm) diff(l *level, rows []row) bool {
	type edit struct {
		op  Op
		row row
	}
	var edits []edit
	i := 0
	for old := range l.rows.from(0) {
		for i < len(rows) && rows[i].key() < old.key() {
			edits = append(edits, edit{Insert, rows[i]})
			i++
		}
		switch {
		case i == len(rows) || rows[i].key() != old.key():
			edits = append(edits, edit{Remove, *old})
		case rows[i].modified != old.modified || rows[i].expires != old.expires || rows[i].dir != old.dir:
			edits = append(edits, edit{Update, rows[i]})
			i++
		default:
			i++
		}
		if len(edits)+len(rows)-i > maxDiff+l.rows.n && len(edits) > maxDiff {
			return false
		}
	}
	for ; i < len(rows); i++ {
		edits = append(edits, edit{Insert, rows[i]})
	}
	if len(edits) > maxDiff {
		return false
	}
	for _, e := range edits {
		p, _ := l.rows.find(e.row.key())
		r.change(l, func() {
			switch e.op {
			case Insert:
				l.rows.insert(p, e.row)
			case Update:
				l.rows.set(p, e.row)
			case Remove:
				l.rows.remove(p)
			}
		})
		l.made(e.op, p.at, &e.row)
	}
	return true
}

// freshen reads those rows of a level again whose TTL has run out without a word
// of their end: it may have been extended by etcd's "refresh", which no watch
// tells.
func (r *realm) freshen(ctx context.Context, path string) {
	r.mu.Lock()
	l := r.at(path)
	var late []row
	if l != nil && l.state == loaded {
		before := time.Now().Add(-overdue).UnixMilli()
		for one := range l.rows.from(0) {
			if one.expires != 0 && one.expires < before && len(late) < maxFreshen {
				late = append(late, *one)
			}
		}
	}
	r.mu.Unlock()
	for _, old := range late {
		n, err := r.tree.Node(ctx, r.key(join(path, old.key())), store.Linearizable)
		if err != nil {
			continue // its end will be told
		}
		now := newRow(n)
		r.mu.Lock()
		if p, found := l.rows.find(old.key()); found && l.rows.row(p).modified == old.modified && now != old {
			r.change(l, func() { l.rows.set(p, now) })
			l.made(Update, p.at, &now)
		}
		r.mu.Unlock()
	}
}
