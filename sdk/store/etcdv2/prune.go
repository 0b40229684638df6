package etcdv2

import (
	"context"
	"errors"
	"maps"
	"sync"

	"go.etcd.io/etcd/client/v2"

	"github.com/etcd-modules/modhost/sdk/store"
)

const (
	window = 1000              // events that etcd keeps
	nobody = store.Revision(1) // no directory of ours was ever removed there
)

// pruned remembers what Prune saw and removed.
type pruned struct {
	mu      sync.Mutex                   // guards the rest
	empty   map[string]map[string]uint64 // pruned path → empty directories in it → created index
	removed map[string]store.Revision    // directory → index of its removal, 0 while under way
}

// Prune implements [store.Pruner]. It never removes an entry, whoever writes
// meanwhile: etcd refuses to delete a directory with something in it. Watches
// of this Store don't notice; those of others get ErrCompacted once. Source:
// v2 API, "Deleting a Directory".
func (s *Store) Prune(ctx context.Context, dir string) (n int, err error) {
	if err := s.checkDir(dir); err != nil {
		return 0, err
	}
	path := s.path(dir)
	var now map[string]uint64
	err = call(ctx, "prune", dir, func(ctx context.Context) (err error) {
		now, err = s.emptyDirs(ctx, path)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, sub := range s.pruned.turn(path, now, store.Revision(s.seen.Load())) {
		s.pruned.removing(sub, 0)
		at := nobody
		err := call(ctx, "prune", dir, func(ctx context.Context) error {
			resp, err := s.write(ctx, func(ctx context.Context, ep *endpoint) (*client.Response, error) {
				return ep.keys.Delete(ctx, sub, &client.DeleteOptions{Dir: true})
			})
			switch {
			case err == nil:
				n, at = n+1, store.Revision(resp.Node.ModifiedIndex)
			case code(err) == client.ErrorCodeDirNotEmpty || errors.Is(err, store.ErrNotFound):
				return nil
			}
			return err
		})
		s.pruned.removing(sub, at)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (s *Store) emptyDirs(ctx context.Context, path string) (map[string]uint64, error) {
	st, err := s.plain(ctx, path, true)
	if err != nil {
		return nil, err
	}
	empty := make(map[string]uint64)
	if st.node != nil {
		for _, n := range st.node.Nodes {
			if n.Dir && len(n.Nodes) == 0 {
				empty[n.Key] = n.CreatedIndex
			}
		}
	}
	return empty, nil
}

// turn remembers what is empty now, at index seen, and returns what was so
// before as well.
func (p *pruned) turn(path string, now map[string]uint64, seen store.Revision) (both []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.empty == nil {
		p.empty = make(map[string]map[string]uint64)
		p.removed = make(map[string]store.Revision)
	}
	maps.DeleteFunc(p.removed, func(_ string, at store.Revision) bool { return at != 0 && at+window < seen })
	for sub, created := range now {
		if p.empty[path][sub] == created {
			both = append(both, sub)
			delete(now, sub)
		}
	}
	p.empty[path] = now
	return both
}

func (p *pruned) removing(dir string, at store.Revision) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removed[dir] = at
}

// has tells whether the end of dir at revision rev was Prune's doing.
func (p *pruned) has(dir string, rev store.Revision) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.removed[dir]
	return ok && (at == 0 || at == rev)
}
