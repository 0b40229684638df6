package memory

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// A db is what etcd is to a driver: all keys, in one order of changes.
type db struct {
	mu      sync.Mutex // guards everything below
	rev     store.Revision
	writes  int
	allow   func(key string) error
	nodes   map[string]*node          // by full key
	dirs    map[string]*node          // by full path
	idle    map[string]store.Revision // directories that the last prune found empty, with their creation
	window  store.Revision
	history []change      // none older than the window
	wake    chan struct{} // closed and replaced at every change
	due     time.Time     // no TTL ends before; zero = none is running
	timer   *time.Timer
}

type node struct {
	store.Entry // without its TTL
	dir         bool
	deadline    time.Time // zero = never
}

// A change is one with full keys.
type change struct {
	store.TreeChange
	empty bool // the end of a directory that had nothing in it
}

func newDB() *db {
	return &db{
		allow:  store.CheckKey,
		nodes:  make(map[string]*node),
		dirs:   make(map[string]*node),
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
	for _, nodes := range []map[string]*node{d.nodes, d.dirs} {
		for _, n := range nodes {
			switch {
			case n.deadline.IsZero():
			case !now.Before(n.deadline):
				over = append(over, n)
			default:
				d.expireAt(n.deadline)
			}
		}
	}
	slices.SortFunc(over, func(a, b *node) int {
		if c := a.deadline.Compare(b.deadline); c != 0 {
			return c
		}
		return int(int64(a.Created) - int64(b.Created))
	})
	for _, n := range over {
		switch {
		case n.dir && d.dirs[n.Key] == n:
			d.removeDir(n, store.EventExpire)
		case !n.dir && d.nodes[n.Key] == n: // else it went with its directory
			d.remove(n.entry(), store.EventExpire)
		}
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
	if d.dirs[key] != nil {
		return store.Entry{}, fmt.Errorf("there are entries below the key: %w", store.ErrInvalid)
	}
	if err := d.makeParents(key); err != nil {
		return store.Entry{}, err
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
	c := store.TreeChange{Type: store.EventPut, Revision: d.rev}
	if n.Modified != 0 {
		before := n.node()
		c.Before = &before
	}
	n.Value, n.Modified, n.deadline = value, d.rev, time.Time{}
	if ttl > 0 {
		n.deadline = time.Now().Add(ttl)
		d.expireAt(n.deadline)
	}
	c.Node = n.node()
	d.changed(change{TreeChange: c})
	return n.entry()
}

func (d *db) remove(e store.Entry, why store.EventType) {
	d.rev++
	delete(d.nodes, e.Key)
	d.changed(change{TreeChange: store.TreeChange{Type: why, Node: store.Node{Entry: e}, Revision: d.rev}})
}

// changed keeps events, which may be none, and wakes whoever watches.
func (d *db) changed(events ...change) {
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
		e.Expires = n.deadline.Round(0).UTC() // comparable: without the monotonic clock
	}
	return e
}
