package etcdv2

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/client/v2"

	"github.com/etcd-modules/modhost/sdk/store"
)

// Get implements [store.Store]. A Local read is one request and may be old on
// a cluster; a Linearizable one is never older than what this Store was
// answered before.
func (s *Store) Get(ctx context.Context, key string, c store.Consistency) (e store.Entry, err error) {
	if err := s.check(key); err != nil {
		return store.Entry{}, err
	}
	err = call(ctx, "get", key, func(ctx context.Context) (err error) {
		e, err = s.get(ctx, key, c)
		return err
	})
	return e, err
}

// List implements [store.Store]. It is one recursive read.
func (s *Store) List(ctx context.Context, dir string, c store.Consistency) (l store.Listing, err error) {
	if err := s.checkDir(dir); err != nil {
		return store.Listing{}, err
	}
	err = call(ctx, "list", dir, func(ctx context.Context) error {
		st, err := s.fetch(ctx, s.path(dir), true, c)
		if err != nil {
			return err
		}
		l.Revision = st.index
		if st.node != nil && st.node.Dir {
			l.Entries = s.flatten(nil, st.node.Nodes)
		}
		return nil
	})
	slices.SortFunc(l.Entries, func(a, b store.Entry) int { return int(int64(a.Created) - int64(b.Created)) })
	return l, err
}

func (s *Store) flatten(entries []store.Entry, nodes client.Nodes) []store.Entry {
	for _, n := range nodes {
		if e, ok := s.entry(n, fresh()); ok {
			entries = append(entries, e)
		}
		entries = s.flatten(entries, n.Nodes)
	}
	return entries
}

func (s *Store) get(ctx context.Context, key string, c store.Consistency) (store.Entry, error) {
	st, err := s.fetch(ctx, s.path(key), false, c)
	if err != nil {
		return store.Entry{}, err
	}
	return s.entryOf(st)
}

func (s *Store) entryOf(st state) (store.Entry, error) {
	if st.node == nil {
		return store.Entry{}, store.ErrNotFound
	}
	e, ok := s.entry(st.node, fresh())
	if !ok {
		return store.Entry{}, store.ErrNotFound
	}
	return e, nil
}

// A state is what stood at a path at an index; node is nil if nothing did.
type state struct {
	node  *client.Node
	index store.Revision
}

// fetch reads path as fresh as c asks for.
func (s *Store) fetch(ctx context.Context, path string, recursive bool, c store.Consistency) (state, error) {
	if err := ctx.Err(); err != nil {
		return state{}, err // a quorum read would outlive it
	}
	if c == store.Local {
		return s.plain(ctx, path, recursive)
	}
	floor := store.Revision(s.seen.Load())
	if s.single(ctx) {
		if st, err := s.plain(ctx, path, recursive); err != nil || st.index >= floor {
			return st, err
		}
	}
	return s.quorum(ctx, path, recursive, floor)
}

// fetchAt reads path as of index at or later, by a plain read if that will do.
func (s *Store) fetchAt(ctx context.Context, path string, index store.Revision) (state, error) {
	st, err := s.plain(ctx, path, false)
	if err == nil && st.index < index {
		return s.quorum(ctx, path, false, index)
	}
	return st, err
}

func (s *Store) plain(ctx context.Context, path string, recursive bool) (state, error) {
	return s.send(ctx, path, client.GetOptions{Recursive: recursive})
}

// quorum reads through raft. It refuses an answer below floor: the cluster has
// lost changes that it had answered, and no decision can rest on it.
func (s *Store) quorum(ctx context.Context, path string, recursive bool, floor store.Revision) (state, error) {
	st, err := s.merged.do(ctx, mergeKey{path, recursive}, func(ctx context.Context) (state, error) {
		return s.send(ctx, path, client.GetOptions{Recursive: recursive, Quorum: true})
	})
	if err == nil && st.index < floor {
		err = fmt.Errorf("etcd is at index %d but was at %d before: it was restored from an older state or is another cluster; "+
			"restart to accept it: %w", st.index, floor, store.ErrUnavailable)
	}
	return st, err
}

func (s *Store) send(ctx context.Context, path string, opts client.GetOptions) (state, error) {
	resp, err := s.read(ctx, func(ctx context.Context, ep *endpoint) (*client.Response, error) {
		return ep.keys.Get(ctx, path, &opts)
	})
	if err == nil {
		return state{resp.Node, store.Revision(resp.Index)}, nil
	}
	switch code(err) {
	case client.ErrorCodeKeyNotFound, client.ErrorCodeNotDir:
		var e client.Error
		errors.As(err, &e)
		return state{nil, store.Revision(e.Index)}, nil
	}
	return state{}, err
}
