// Package memory is a [store.Store] in the process, for tests: it behaves as
// etcd's v2 API on a single member, its revisions, whole-second TTLs,
// directories and short watch window included, and it fails on demand.
//
// It starts no goroutine, but for a call that a [Fault] makes come late, and
// takes its time from package time, so inside
// testing/synctest hours pass in no time. A Store must then be made inside the
// bubble that uses it.
//
// [New] makes an empty database; [Store.Sub] gives further views of the same
// one, for several modules with a prefix each, or several processes with one
// prefix. Each view has a [Hook] of its own, so one can be cut off while the
// others go on.
package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// A Store is one view of a database in memory. It is safe for concurrent use.
type Store struct {
	db     *db
	prefix string // "" or with a slash at its end
	hook   hookBox
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Pruner = (*Store)(nil)
)

// An Option changes what [New] makes.
type Option func(*db)

// Window sets how many of the latest revisions a watch can still ask for; the
// default is 1000, as in etcd's v2 API. It counts revisions of all keys.
func Window(revisions int) Option {
	return func(d *db) { d.window = store.Revision(revisions) }
}

// New returns an empty database. Its first change has revision 1.
func New(opts ...Option) *Store {
	d := newDB()
	for _, opt := range opts {
		opt(d)
	}
	return &Store{db: d}
}

// Sub returns another view of the same database, below prefix, which is
// relative to s; "" gives a second view of the same keys. It panics if prefix
// is not a valid directory. The new view has no hook.
func (s *Store) Sub(prefix string) *Store {
	if err := s.checkDir(prefix); err != nil {
		panic(err)
	}
	if prefix != "" {
		prefix += "/"
	}
	return &Store{db: s.db, prefix: s.prefix + prefix}
}

// Touch uses up n revisions, as changes of keys that belong to others do.
// With n above the window, watches that are behind see ErrCompacted.
func (s *Store) Touch(n int) {
	d := s.db
	d.lock()
	defer d.mu.Unlock()
	d.rev += store.Revision(n)
	d.changed()
}

// Revision returns the revision of the latest change.
func (s *Store) Revision() store.Revision {
	s.db.lock()
	defer s.db.mu.Unlock()
	return s.db.rev
}

// Writes returns how many raft entries the calls of all views would have cost
// on etcd's v2 API with a single member: one for every write that reached the
// store, failed compares included, none for reads. Expiry is not counted.
func (s *Store) Writes() int {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	return s.db.writes
}

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key string, _ store.Consistency) (e store.Entry, err error) {
	if err := s.db.allow(key); err != nil {
		return store.Entry{}, err
	}
	err = s.call(ctx, OpGet, key, func(d *db) (err error) {
		e, err = d.get(s.prefix + key)
		return err
	})
	return s.strip(e), err
}

// List implements [store.Store].
func (s *Store) List(ctx context.Context, dir string, c store.Consistency) (l store.Listing, err error) {
	if err := s.checkDir(dir); err != nil {
		return store.Listing{}, err
	}
	fault := s.fault(OpList, dir)
	err = s.callWith(ctx, fault, OpList, dir, func(d *db) error {
		if fault.Stale != nil && c == store.Local {
			l = store.Listing{Entries: slices.Clone(fault.Stale.Entries), Revision: fault.Stale.Revision}
			return nil
		}
		below := s.below(dir)
		for key, n := range d.nodes {
			if name, ok := strings.CutPrefix(key, below); ok && !hidden(name) {
				l.Entries = append(l.Entries, s.strip(n.entry()))
			}
		}
		l.Revision = d.rev
		return nil
	})
	slices.SortFunc(l.Entries, func(a, b store.Entry) int { return int(int64(a.Created) - int64(b.Created)) })
	return l, err
}

// Put implements [store.Store].
func (s *Store) Put(ctx context.Context, key, value string, ttl time.Duration) (store.Entry, error) {
	return s.write(ctx, OpPut, key, value, ttl, func(d *db, ttl time.Duration) (store.Entry, error) {
		d.writes++
		e, err := d.create(s.prefix+key, value, ttl)
		if err == store.ErrExists {
			return d.swap(e, value, ttl), nil
		}
		return e, err
	})
}

// Create implements [store.Store].
func (s *Store) Create(ctx context.Context, key, value string, ttl time.Duration) (store.Entry, error) {
	return s.write(ctx, OpCreate, key, value, ttl, func(d *db, ttl time.Duration) (store.Entry, error) {
		d.writes++
		return d.create(s.prefix+key, value, ttl)
	})
}

// Swap implements [store.Store].
func (s *Store) Swap(ctx context.Context, e store.Entry, value string, ttl time.Duration) (store.Entry, error) {
	if err := s.checkEntry(e); err != nil {
		return store.Entry{}, err
	}
	return s.write(ctx, OpSwap, e.Key, value, ttl, func(d *db, ttl time.Duration) (store.Entry, error) {
		d.writes++
		now, err := d.check(s.full(e))
		if err != nil {
			return store.Entry{}, err
		}
		return d.swap(now, value, ttl), nil
	})
}

// Renew implements [store.Store]. As over the network, an e that is not up to
// date costs a failed compare before the write that succeeds.
func (s *Store) Renew(ctx context.Context, e store.Entry, ttl time.Duration) (store.Entry, error) {
	if err := s.checkEntry(e); err != nil {
		return store.Entry{}, err
	}
	return s.write(ctx, OpRenew, e.Key, "", ttl, func(d *db, ttl time.Duration) (store.Entry, error) {
		d.writes++
		now, err := d.check(s.full(e))
		if err == store.ErrChanged {
			d.writes++
			now, err = d.get(s.prefix + e.Key)
		}
		if err != nil {
			return store.Entry{}, err
		}
		return d.swap(now, now.Value, ttl), nil
	})
}

// Delete implements [store.Store].
func (s *Store) Delete(ctx context.Context, e store.Entry) error {
	if err := s.checkEntry(e); err != nil {
		return err
	}
	return s.call(ctx, OpDelete, e.Key, func(d *db) error {
		d.writes++
		now, err := d.check(s.full(e))
		if err != nil {
			return err
		}
		d.remove(now, store.EventDelete)
		return nil
	})
}

// DeleteCreation implements [store.Store].
func (s *Store) DeleteCreation(ctx context.Context, key string, created store.Revision) error {
	if err := s.db.allow(key); err != nil {
		return err
	}
	return s.call(ctx, OpDelete, key, func(d *db) error {
		now, err := d.get(s.prefix + key)
		if err != nil {
			return err
		}
		if now.Created != created {
			return store.ErrNotFound
		}
		d.writes++
		d.remove(now, store.EventDelete)
		return nil
	})
}

// Prune implements [store.Pruner]. What was empty at the call before is
// remembered by the database, for all views together.
func (s *Store) Prune(ctx context.Context, dir string) (n int, err error) {
	if err := s.checkDir(dir); err != nil {
		return 0, err
	}
	err = s.call(ctx, OpPrune, dir, func(d *db) error {
		n = d.prune(s.below(dir))
		return nil
	})
	return n, err
}

// write is call for the writes that have an entry as their result.
func (s *Store) write(ctx context.Context, op Op, key, value string, ttl time.Duration,
	apply func(*db, time.Duration) (store.Entry, error)) (store.Entry, error) {
	if err := s.db.allow(key); err != nil {
		return store.Entry{}, err
	}
	if err := store.CheckValue(value); err != nil {
		return store.Entry{}, err
	}
	ttl, err := store.RoundTTL(ttl)
	if err != nil {
		return store.Entry{}, err
	}
	var e store.Entry // a late call sets it when nobody looks any more
	err = s.call(ctx, op, key, func(d *db) (err error) {
		e, err = apply(d, ttl)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrExists) {
		return store.Entry{}, err
	}
	return s.strip(e), err
}

// call runs apply under the database's lock, with the hook's faults around it.
func (s *Store) call(ctx context.Context, op Op, key string, apply func(*db) error) error {
	return s.callWith(ctx, s.fault(op, key), op, key, apply)
}

// callWith is call for a fault that the hook has been asked for already.
func (s *Store) callWith(ctx context.Context, fault Fault, op Op, key string, apply func(*db) error) error {
	if fault.Late != nil {
		go func() { // until the test closes the channel, as it must
			<-fault.Late
			s.db.lock()
			defer s.db.mu.Unlock()
			apply(s.db) //nolint:errcheck // nobody is told
		}()
		return fmt.Errorf("%s %q: %w", op, key, store.ErrUnavailable)
	}
	err := fault.before(ctx)
	if err == nil {
		s.db.lock()
		err = apply(s.db)
		s.db.mu.Unlock()
		if lost := fault.after(ctx); lost != nil {
			err = lost
		}
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w", op, key, err)
	}
	return nil
}

// below returns what the full keys below dir begin with.
func (s *Store) below(dir string) string {
	if dir == "" {
		return s.prefix
	}
	return s.prefix + dir + "/"
}

func (s *Store) full(e store.Entry) store.Entry {
	e.Key = s.prefix + e.Key
	return e
}

func (s *Store) strip(e store.Entry) store.Entry {
	e.Key = strings.TrimPrefix(e.Key, s.prefix)
	return e
}

// checkEntry is [store.CheckEntry] for the keys that this database takes.
func (s *Store) checkEntry(e store.Entry) error {
	if err := s.db.allow(e.Key); err != nil {
		return err
	}
	return store.CheckRevisions(e)
}
