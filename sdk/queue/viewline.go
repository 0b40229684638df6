package queue

import (
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// A viewLine is one line of a View. It is guarded by the view's mutex.
type viewLine struct {
	dir   string
	items []item // oldest first, never empty
	shown *Line  // snapshot, until something changes
}

// snapshots returns what lines show, sorted by name.
func snapshots(lines iter.Seq[*viewLine], n int) []Line {
	list := make([]Line, 0, n)
	for l := range lines {
		list = append(list, l.snapshot())
	}
	sortLines(list)
	return list
}

func (l *viewLine) snapshot() Line {
	if l.shown == nil {
		l.shown = &Line{Name: lineName(l.dir), Places: make([]Place, len(l.items))}
		for i := range l.items {
			l.shown.Places[i] = l.place(i)
		}
	}
	return *l.shown
}

// holds reports whether the i-th place holds the lock.
func (l *viewLine) holds(i int) bool { return i == 0 && l.items[0].rec.State == held }

func (l *viewLine) place(i int) Place {
	it := l.items[i]
	return Place{
		Index: it.entry.Created, Modified: it.entry.Modified,
		Value: it.rec.Value, Anonymous: it.rec.Anonymous, Held: l.holds(i),
		TTL: it.rec.ttl(), Asked: it.rec.asked(), Since: it.rec.since(), Expires: it.entry.Expires,
		Sessions: len(it.rec.Sessions), Renewed: it.rec.Renewed,
	}
}

// first is the first place, or nil. l may be nil.
func (l *viewLine) first() *Place {
	if l == nil || len(l.items) == 0 {
		return nil
	}
	p := l.place(0)
	return &p
}

// find returns where the entry created at created is or would be.
func (l *viewLine) find(created store.Revision) (int, bool) {
	return slices.BinarySearchFunc(l.items, created, func(it item, c store.Revision) int {
		return byCreation(it, item{entry: store.Entry{Created: c}})
	})
}

// load makes a listing what the view shows.
func (v *View) load(list store.Listing) {
	now := time.Now()
	lines := make(map[string]*viewLine)
	words := make(map[store.Revision][]forcedWord)
	for _, e := range list.Entries { // in the order of their creation
		switch kind, _, _ := strings.Cut(e.Key, "/"); kind {
		case linesDir:
			it := decode(e, now)
			it.entry.Value = ""
			dir := strings.TrimSuffix(e.Key, "/"+it.id)
			l := lines[dir]
			if l == nil {
				l = &viewLine{dir: dir}
				lines[dir] = l
			}
			l.items = append(l.items, it)
		case forcedDir:
			if w, ok := readWord(e, now); ok {
				words[w.index] = append(words[w.index], w)
			}
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	before := v.lines
	v.lines, v.words, v.rev = lines, words, list.Revision
	for dir, l := range lines {
		old := before[dir]
		if old != nil && slices.EqualFunc(old.items, l.items, sameState) {
			lines[dir] = old
			continue
		}
		v.changed(dir)
		v.unseen(old, l, now)
	}
	for dir, old := range before {
		if lines[dir] == nil {
			v.changed(dir)
			v.unseen(old, nil, now)
		}
	}
}

func sameState(a, b item) bool {
	return a.entry.Created == b.entry.Created && a.entry.Modified == b.entry.Modified
}

// unseen tells what has ended between two views of a line, each of which may be
// nil. The mutex is held.
func (v *View) unseen(old, l *viewLine, now time.Time) {
	if old == nil {
		return
	}
	for i, it := range old.items {
		e := Ending{Line: lineName(old.dir), Place: old.place(i), Reason: EndUnseen, At: now, Next: l.first()}
		words := v.words[it.entry.Created]
		j, still := 0, false
		if l != nil {
			j, still = l.find(it.entry.Created)
		}
		switch {
		case still && old.holds(i) && !l.holds(j):
			e.Reason = EndWithdrawn
		case still:
			continue
		case len(words) > 0:
			e.Reason, e.By = EndForced, words[0].By
		}
		v.ended(e)
	}
}

// apply brings one change into the view.
func (v *View) apply(ev store.Event) {
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.contact.Seen, v.rev = now, ev.Revision
	switch kind, _, _ := strings.Cut(ev.Entry.Key, "/"); kind {
	case linesDir:
		v.applyPlace(ev, now)
	case forcedDir:
		v.applyWord(ev, now)
	}
}

func (v *View) applyPlace(ev store.Event, now time.Time) {
	it := decode(ev.Entry, now)
	it.entry.Value = ""
	dir := strings.TrimSuffix(ev.Entry.Key, "/"+it.id)
	l := v.lines[dir]
	if l == nil {
		if ev.Type != store.EventPut {
			return
		}
		l = &viewLine{dir: dir}
		v.lines[dir] = l
	}
	i, found := l.find(it.entry.Created)
	held := found && l.holds(i)
	var before Place
	if found {
		before = l.place(i)
	}
	switch {
	case ev.Type == store.EventPut && found:
		l.items[i] = it
	case ev.Type == store.EventPut:
		l.items = slices.Insert(l.items, i, it)
	case !found:
		return
	case i == 0: // the usual case, without moving all that are behind
		l.items[0] = item{}
		l.items = l.items[1:]
	default:
		l.items = slices.Delete(l.items, i, i+1)
	}
	l.shown = nil
	if len(l.items) == 0 {
		delete(v.lines, dir)
	}
	v.changed(dir)
	if found && (ev.Type != store.EventPut || held && !l.holds(i)) {
		e := Ending{Line: lineName(dir), Place: before, At: now, Next: l.first()}
		e.Reason, e.By = v.reason(ev.Type, before, now)
		v.ended(e)
	}
}

// reason says how a place has ended by a change of that type. The mutex is held.
func (v *View) reason(t store.EventType, p Place, now time.Time) (why EndReason, by string) {
	switch {
	case t == store.EventPut:
		return EndWithdrawn, ""
	case t == store.EventExpire && p.Renewed:
		return EndLapsed, ""
	case t == store.EventExpire:
		return EndExpired, ""
	}
	for _, w := range v.words[p.Index] {
		if now.Sub(w.seen) <= forcedWithin {
			return EndForced, w.By
		}
	}
	if p.Held {
		return EndReleased, ""
	}
	return EndLeft, ""
}
