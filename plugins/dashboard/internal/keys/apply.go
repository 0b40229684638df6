package keys

import (
	"strings"

	"github.com/etcd-modules/modhost/sdk/store"
)

// apply makes a change that the watch has told. The caller holds mu.
func (r *realm) apply(c store.TreeChange) {
	if c.Node.Key == r.root {
		if c.Type == store.EventPut {
			r.appeared(r.top)
		} else {
			r.end(r.top, c)
		}
		return
	}
	rest, ok := r.below(c.Node.Key)
	if !ok {
		return
	}
	for l := r.top; l != nil; {
		name, more, deeper := strings.Cut(rest, "/")
		switch l.state {
		case reading:
			l.waiting = append(l.waiting, c)
		case gone:
			if c.Type == store.EventPut {
				r.appeared(l)
			}
		case loaded:
			if r.applyRow(l, name, deeper, c) && (deeper || c.Node.Dir) {
				r.fresh(l.add(name), c)
			}
		}
		s := l.sub(name)
		if !deeper {
			switch {
			case s == nil:
			case c.Type != store.EventPut && c.Node.Dir:
				r.end(s, c)
			case s.state == reading:
				s.waiting = append(s.waiting, c)
			case c.Type == store.EventPut:
				r.appeared(s) // maybe as an entry, which reading it will say
			}
			return
		}
		l, rest = s, more
	}
}

// fresh is called for a directory that c has made: what is in it is what is told
// from c on, so that it need not be read. If it was read already, then its level
// is ahead, and there may be some below that nobody has read.
func (r *realm) fresh(s *level, c store.TreeChange) {
	if s.state == loaded || s.state == reading {
		r.lacks()
		return
	}
	r.change(s, func() { s.rows = list{} })
	s.log, s.seq = nil, s.seq+1
	s.state, s.why, s.revision = loaded, nil, c.Revision-1
	s.tell()
}

// appeared lets who follows l read it again, since there is something now.
func (r *realm) appeared(l *level) {
	if l.state == gone {
		l.state, l.why = cold, nil
		l.tell()
	}
}

// end removes the rows of a directory that c has removed, and what is below.
func (r *realm) end(l *level, c store.TreeChange) {
	for _, s := range l.subs {
		r.end(s, c)
	}
	switch {
	case l.state == reading:
		l.waiting = append(l.waiting, c)
	case l.state == loaded && c.Revision <= l.revision: // a later one of that name
	default:
		r.finish(l, store.ErrNotFound)
	}
}

// finish makes l one that is not there.
func (r *realm) finish(l *level, why error) {
	r.change(l, func() { l.rows = list{} })
	l.state, l.why, l.log = gone, why, nil
	l.seq++
	l.tell()
	l.drop()
}

// applyRow makes the change in the row of that name. It tells whether the row is
// new, or that of an entry before: a PUT of etcd's API can make a directory in the
// place of an entry. deeper says that c is about something below it.
func (r *realm) applyRow(l *level, name string, deeper bool, c store.TreeChange) bool {
	if c.Revision <= l.revision {
		return false
	}
	p, found := l.rows.find(name)
	switch {
	case deeper && c.Type != store.EventPut, deeper && found:
		// It is not about this level.
	case c.Type != store.EventPut && found:
		old := *l.rows.row(p)
		r.change(l, func() { l.rows.remove(p) })
		l.made(Remove, p.at, &old)
	case c.Type != store.EventPut:
	default:
		now := newRow(c.Node)
		if deeper {
			now = newRow(store.Node{Entry: store.Entry{Key: name, Created: c.Revision, Modified: c.Revision}, Dir: true})
		}
		entry := found && !l.rows.row(p).dir
		if found {
			r.change(l, func() { l.rows.set(p, now) })
			l.made(Update, p.at, &now)
		} else {
			r.change(l, func() { l.rows.insert(p, now) })
			l.made(Insert, p.at, &now)
		}
		l.revision = c.Revision
		return !found || entry
	}
	l.revision = c.Revision
	return false
}

// change lets f change the rows of l, and keeps the realm's counts true. The
// caller holds mu.
func (r *realm) change(l *level, f func()) {
	r.rows -= l.rows.n
	r.dirs -= l.rows.dirs
	f()
	r.rows += l.rows.n
	r.dirs += l.rows.dirs
}
