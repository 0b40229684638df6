package memory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

var _ store.Tree = (*Store)(nil)

// AnyKey lets all views of a database take keys as other programs have made
// them, see [store.CheckAnyKey], as a [store.Tree] does.
func AnyKey() Option {
	return func(d *db) { d.allow = store.CheckAnyKey }
}

// Node implements [store.Tree].
func (s *Store) Node(ctx context.Context, key string, _ store.Consistency) (n store.Node, err error) {
	if err := s.checkDir(key); err != nil {
		return store.Node{}, err
	}
	err = s.call(ctx, OpNode, key, func(d *db) (err error) {
		n, err = s.node(d, key)
		return err
	})
	return n, err
}

func (s *Store) node(d *db, key string) (store.Node, error) {
	full := s.prefix + key
	switch {
	case key == "":
		return store.Node{Dir: true}, nil
	case d.nodes[full] != nil:
		return s.stripNode(d.nodes[full].node()), nil
	case d.dirs[full] != nil:
		return s.stripNode(d.dirs[full].node()), nil
	}
	return store.Node{}, store.ErrNotFound
}

// Level implements [store.Tree].
func (s *Store) Level(ctx context.Context, dir string, _ store.Consistency) (l store.Level, err error) {
	if err := s.checkDir(dir); err != nil {
		return store.Level{}, err
	}
	err = s.call(ctx, OpLevel, dir, func(d *db) (err error) {
		if l.Dir, err = s.node(d, dir); err != nil {
			return err
		}
		if !l.Dir.Dir {
			return errEntry
		}
		below := s.below(dir)
		for _, nodes := range []map[string]*node{d.nodes, d.dirs} {
			for key, n := range nodes {
				if name, ok := strings.CutPrefix(key, below); ok && !strings.Contains(name, "/") && !hidden(name) {
					l.Nodes = append(l.Nodes, s.stripNode(n.node()))
				}
			}
		}
		l.Revision = d.rev
		return nil
	})
	if err != nil {
		return store.Level{}, err
	}
	slices.SortFunc(l.Nodes, func(a, b store.Node) int { return strings.Compare(a.Key, b.Key) })
	return l, nil
}

var errEntry = fmt.Errorf("it is an entry, not a directory: %w", store.ErrInvalid)

// MakeDir implements [store.Tree].
func (s *Store) MakeDir(ctx context.Context, dir string, ttl time.Duration) (n store.Node, err error) {
	if err := s.db.allow(dir); err != nil {
		return store.Node{}, err
	}
	if ttl, err = store.RoundTTL(ttl); err != nil {
		return store.Node{}, err
	}
	err = s.call(ctx, OpMakeDir, dir, func(d *db) (err error) {
		d.writes++
		n, err = d.makeDir(s.prefix+dir, ttl)
		return err
	})
	if err != nil {
		return store.Node{}, err
	}
	return s.stripNode(n), nil
}

// RemoveDir implements [store.Tree].
func (s *Store) RemoveDir(ctx context.Context, dir string) error {
	if err := s.db.allow(dir); err != nil {
		return err
	}
	return s.call(ctx, OpRemoveDir, dir, func(d *db) error {
		full := s.prefix + dir
		n := d.dirs[full]
		switch {
		case d.nodes[full] != nil:
			return errEntry
		case n == nil:
			return store.ErrNotFound
		}
		d.writes++
		if !d.empty(full) {
			return store.ErrNotEmpty
		}
		d.removeDir(n, store.EventDelete)
		return nil
	})
}

// WatchTree implements [store.Tree].
func (s *Store) WatchTree(dir string, after store.Revision) store.TreeWatcher {
	return &treeWatcher{watcher{store: s, dir: dir, after: after}}
}

type treeWatcher struct{ watcher }

// Next implements [store.TreeWatcher].
func (w *treeWatcher) Next(ctx context.Context) ([]store.TreeChange, error) {
	found, err := w.next(ctx, func(c change) (bool, error) {
		_, ok := w.tree(c.TreeChange)
		return ok, nil
	})
	var changes []store.TreeChange
	for _, c := range found {
		told, _ := w.tree(c.TreeChange)
		changes = append(changes, told)
	}
	return changes, err
}

// tree returns what c is to this watch; false if it is nothing.
func (w *treeWatcher) tree(c store.TreeChange) (store.TreeChange, bool) {
	below := w.store.below(w.dir)
	top, key := strings.TrimSuffix(below, "/"), c.Node.Key
	name, inside := strings.CutPrefix(key, below)
	switch {
	case key == top && w.dir == "":
		c.Node = store.Node{Dir: true}
	case inside && !hidden(name), key == top:
		c.Node = w.store.stripNode(c.Node)
		if c.Before != nil {
			before := w.store.stripNode(*c.Before)
			c.Before = &before
		}
	case c.Type != store.EventPut && c.Node.Dir && strings.HasPrefix(top, key+"/"):
		c.Node = store.Node{Entry: store.Entry{Key: w.dir}, Dir: true}
	default:
		return c, false
	}
	return c, true
}

func (s *Store) stripNode(n store.Node) store.Node {
	n.Entry = s.strip(n.Entry)
	return n
}

func (s *Store) checkDir(dir string) error {
	if dir == "" {
		return nil
	}
	return s.db.allow(dir)
}
