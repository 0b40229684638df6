package etcdv2

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/client/v2"

	"github.com/etcd-modules/modhost/sdk/store"
)

var _ store.Tree = (*Store)(nil)

// Node implements [store.Tree].
func (s *Store) Node(ctx context.Context, key string, c store.Consistency) (n store.Node, err error) {
	if err := s.checkDir(key); err != nil {
		return store.Node{}, err
	}
	err = call(ctx, "get", key, func(ctx context.Context) error {
		st, err := s.fetch(ctx, s.path(key), false, c)
		if err != nil {
			return err
		}
		n, err = s.nodeOf(st, key)
		return err
	})
	return n, err
}

// nodeOf returns what st is to us, which was read at key.
func (s *Store) nodeOf(st state, key string) (store.Node, error) {
	switch {
	case st.node == nil && key == "":
		return store.Node{Dir: true}, nil // nobody has written below our prefix yet
	case st.node == nil:
		return store.Node{}, store.ErrNotFound
	case key == "":
		return store.Node{Dir: true}, nil
	}
	return s.node(st.node, fresh()), nil
}

// Level implements [store.Tree].
func (s *Store) Level(ctx context.Context, dir string, c store.Consistency) (l store.Level, err error) {
	if err := s.checkDir(dir); err != nil {
		return store.Level{}, err
	}
	err = call(ctx, "list", dir, func(ctx context.Context) error {
		st, err := s.fetch(ctx, s.path(dir), false, c)
		if err != nil {
			return err
		}
		if l.Dir, err = s.nodeOf(st, dir); err != nil {
			return err
		}
		if !l.Dir.Dir {
			return fmt.Errorf("it is an entry, not a directory: %w", store.ErrInvalid)
		}
		l.Revision = st.index
		if st.node != nil {
			l.Nodes = s.level(st.node.Nodes)
		}
		return nil
	})
	if err != nil {
		return store.Level{}, err
	}
	return l, nil
}

// level returns nodes in order. They may be 100,000, and shared with other calls:
// a copy of the pointers is sorted, which takes half as long as what they become.
func (s *Store) level(nodes client.Nodes) []store.Node {
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b *client.Node) int { return strings.Compare(a.Key, b.Key) })
	now, level := fresh(), make([]store.Node, 0, len(nodes))
	for _, n := range nodes {
		level = append(level, s.node(n, now))
	}
	return level
}

// node returns what n is to us, who know that it is below our prefix.
func (s *Store) node(n *client.Node, seen reading) store.Node {
	file := *n
	file.Dir = false
	e, _ := s.entry(&file, seen)
	return store.Node{Entry: e, Dir: n.Dir}
}

// MakeDir implements [store.Tree].
func (s *Store) MakeDir(ctx context.Context, dir string, ttl time.Duration) (n store.Node, err error) {
	if err := s.check(dir); err != nil {
		return store.Node{}, err
	}
	if ttl, err = store.RoundTTL(ttl); err != nil {
		return store.Node{}, err
	}
	err = call(ctx, "make directory", dir, func(ctx context.Context) error {
		resp, err := s.write(ctx, func(ctx context.Context, ep *endpoint) (*client.Response, error) {
			return ep.keys.Set(ctx, s.path(dir), "", &client.SetOptions{Dir: true, PrevExist: client.PrevNoExist, TTL: ttl})
		})
		switch {
		case err == nil:
			n = s.node(resp.Node, fresh())
		case code(err) == client.ErrorCodeNodeExist:
			return store.ErrExists
		}
		return err
	})
	return n, err
}

// RemoveDir implements [store.Tree].
func (s *Store) RemoveDir(ctx context.Context, dir string) error {
	if err := s.check(dir); err != nil {
		return err
	}
	return call(ctx, "remove directory", dir, func(ctx context.Context) error {
		// etcd removes an entry as well when it is asked to remove a directory.
		if err := s.probe(ctx, dir); err != nil {
			return err
		}
		resp, err := s.write(ctx, func(ctx context.Context, ep *endpoint) (*client.Response, error) {
			return ep.keys.Delete(ctx, s.path(dir), &client.DeleteOptions{Dir: true})
		})
		switch {
		case err == nil && resp.PrevNode != nil && !resp.PrevNode.Dir:
			return fmt.Errorf("an entry had taken its place and was removed, with the value %.100q: %w", resp.PrevNode.Value, store.ErrChanged)
		case code(err) == client.ErrorCodeDirNotEmpty:
			return store.ErrNotEmpty
		case errors.Is(err, errUnknown):
			if gone := s.probe(ctx, dir); errors.Is(gone, store.ErrNotFound) {
				return nil
			}
		}
		return err
	})
}

// probe returns nil if dir is a directory, ErrNotFound if it is not there and
// ErrInvalid if it is an entry. It asks for something that can't be in it, which
// costs little however much there is.
func (s *Store) probe(ctx context.Context, dir string) error {
	quorum := !s.single(ctx)
	_, err := s.read(ctx, func(ctx context.Context, ep *endpoint) (*client.Response, error) {
		return ep.keys.Get(ctx, s.path(dir)+"/"+nothing, &client.GetOptions{Quorum: quorum})
	})
	var e client.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e):
		return err
	case e.Code == client.ErrorCodeNotDir && e.Cause == s.path(dir):
		return fmt.Errorf("it is an entry, not a directory: %w", store.ErrInvalid)
	case e.Code == client.ErrorCodeKeyNotFound && e.Cause == path.Join(s.path(dir), nothing):
		return nil
	case e.Code == client.ErrorCodeKeyNotFound, e.Code == client.ErrorCodeNotDir:
		return store.ErrNotFound
	}
	return err
}

// nothing is a name that nobody gives.
const nothing = "_modhost-probe"
