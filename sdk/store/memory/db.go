package memory

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// A db is what etcd is to a driver: all keys, in one order of changes.
type db struct {
	mu      sync.Mutex // guards everything below
	rev     store.Revision
	writes  int
	nodes   map[string]*node          // by full key
	dirs    map[string]store.Revision // by full path: its creation
	idle    map[string]store.Revision // directories that the last prune found empty
	window  store.Revision
	history []store.Event // full keys; none older than the window
	wake    chan struct{} // closed and replaced at every change
	due     time.Time     // no TTL ends before; zero = none is running
	timer   *time.Timer
}

type node struct {
	store.Entry           // without its TTL
	deadline    time.Time // zero = never
}

func newDB() *db {
	return &db{
		nodes:  make(map[string]*node),
		dirs:   make(map[string]store.Revision),
		idle:   make(map[string]store.Revision),
		window: 1000,
		wake:   make(chan struct{}),
	}
}

// lock takes the lock with everything expired whose time is over, so that
// nobody sees an entry after its end even if the timer comes late.
func (d *db) lock() {
	d.mu.Lock()
	if !d.due.IsZero() && !time.Now().Before(d.due) {
		d.expire()
	}
}

func (d *db) expire() {
	now := time.Now()
	var over []*node
	d.due = time.Time{}
	for _, n := range d.nodes {
		switch {
		case n.deadline.IsZero():
		case !now.Before(n.deadline):
			over = append(over, n)
		default:
			d.expireAt(n.deadline)
		}
	}
	slices.SortFunc(over, func(a, b *node) int {
		if c := a.deadline.Compare(b.deadline); c != 0 {
			return c
		}
		return int(int64(a.Created) - int64(b.Created))
	})
	for _, n := range over {
		d.remove(n.entry(), store.EventExpire)
	}
}

// expireAt makes sure that the timer fires at t or earlier.
func (d *db) expireAt(t time.Time) {
	if !d.due.IsZero() && !t.Before(d.due) {
		return
	}
	d.due = t
	if d.timer != nil {
		d.timer.Stop()
	}
	d.timer = time.AfterFunc(time.Until(t), func() {
		d.lock()
		d.mu.Unlock()
	})
}

func (d *db) get(key string) (store.Entry, error) {
	if n := d.nodes[key]; n != nil {
		return n.entry(), nil
	}
	return store.Entry{}, store.ErrNotFound
}

// check returns the entry of e's key if it is still as e says.
func (d *db) check(e store.Entry) (store.Entry, error) {
	now, err := d.get(e.Key)
	switch {
	case err != nil:
		return store.Entry{}, err
	case now.Created != e.Created:
		return store.Entry{}, store.ErrNotFound
	case now.Modified != e.Modified:
		return store.Entry{}, store.ErrChanged
	}
	return now, nil
}

func (d *db) create(key, value string, ttl time.Duration) (store.Entry, error) {
	if n := d.nodes[key]; n != nil {
		return n.entry(), store.ErrExists
	}
	if d.dirs[key] != 0 {
		return store.Entry{}, fmt.Errorf("there are entries below the key: %w", store.ErrInvalid)
	}
	for dir := range parents(key) {
		if d.nodes[dir] != nil {
			return store.Entry{}, fmt.Errorf("there is an entry above the key: %w", store.ErrInvalid)
		}
	}
	for dir := range parents(key) {
		if d.dirs[dir] == 0 {
			d.dirs[dir] = d.rev + 1
		}
	}
	n := &node{Entry: store.Entry{Key: key, Created: d.rev + 1}}
	d.nodes[key] = n
	return d.put(n, value, ttl), nil
}

func (d *db) swap(e store.Entry, value string, ttl time.Duration) store.Entry {
	return d.put(d.nodes[e.Key], value, ttl)
}

func (d *db) put(n *node, value string, ttl time.Duration) store.Entry {
	d.rev++
	n.Value, n.Modified, n.deadline = value, d.rev, time.Time{}
	if ttl > 0 {
		n.deadline = time.Now().Add(ttl)
		d.expireAt(n.deadline)
	}
	d.changed(store.Event{Type: store.EventPut, Entry: n.entry(), Revision: d.rev})
	return n.entry()
}

func (d *db) remove(e store.Entry, why store.EventType) {
	d.rev++
	delete(d.nodes, e.Key)
	d.changed(store.Event{Type: why, Entry: e, Revision: d.rev})
}

func (d *db) prune(below string) int {
	before := d.idle
	d.idle = maps.Clone(before)
	maps.DeleteFunc(d.idle, func(dir string, _ store.Revision) bool { return strings.HasPrefix(dir, below) })
	n := 0
	for dir, created := range d.dirs {
		if name, ok := strings.CutPrefix(dir, below); !ok || strings.Contains(name, "/") || !d.empty(dir) {
			continue
		}
		if before[dir] != created {
			d.idle[dir] = created
			continue
		}
		delete(d.dirs, dir)
		d.writes++
		d.rev++
		n++
	}
	if n > 0 {
		d.changed()
	}
	return n
}

func (d *db) empty(dir string) bool {
	for key := range d.nodes {
		if strings.HasPrefix(key, dir+"/") {
			return false
		}
	}
	for sub := range d.dirs {
		if strings.HasPrefix(sub, dir+"/") {
			return false
		}
	}
	return true
}

// changed keeps events, which may be none, and wakes whoever watches.
func (d *db) changed(events ...store.Event) {
	d.history = append(d.history, events...)
	old := 0
	for old < len(d.history) && d.history[old].Revision+d.window <= d.rev {
		old++
	}
	d.history = d.history[old:]
	close(d.wake)
	d.wake = make(chan struct{})
}

// entry returns the node's state with what is left of its TTL.
func (n *node) entry() store.Entry {
	e := n.Entry
	if !n.deadline.IsZero() {
		left := time.Until(n.deadline)
		e.TTL = max(time.Second, (left + time.Second - 1).Truncate(time.Second))
	}
	return e
}

// parents yields the directories above key, the nearest last.
func parents(key string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i, c := range key {
			if c == '/' && !yield(key[:i]) {
				return
			}
		}
	}
}
