package keys

import (
	"strings"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// linger is how long a realm is kept that nobody looks at.
const linger = 30 * time.Second

// An Index knows the store's keys. Its fields are set before its first use. Safe
// for concurrent use.
type Index struct {
	Tree store.Tree

	mu     sync.Mutex // guards what follows, and users and idle of realms
	realms map[string]*realm
	closed bool
}

// realmRoot returns the root of the realm that dir is in: its path up to the last
// hidden segment.
func realmRoot(dir string) string {
	i := strings.LastIndex("/"+dir, "/_")
	if i < 0 {
		return ""
	}
	end := strings.IndexByte(dir[i:], '/')
	if end < 0 {
		return dir
	}
	return dir[:i+end]
}

// use returns the realm of dir and dir's path in it. It stays as long as release
// is not called.
func (x *Index) use(dir string) (r *realm, path string, release func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	root := realmRoot(dir)
	r = x.realms[root]
	if r == nil {
		if x.realms == nil {
			x.realms = make(map[string]*realm)
		}
		r = newRealm(x.Tree, root, nil)
		x.realms[root] = r
	}
	r.users++
	if r.idle != nil {
		r.idle.Stop()
		r.idle = nil
	}
	path = strings.TrimPrefix(strings.TrimPrefix(dir, root), "/")
	return r, path, sync.OnceFunc(func() { x.release(r) })
}

func (x *Index) release(r *realm) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if r.users--; r.users > 0 || x.closed {
		return
	}
	var mine *time.Timer
	mine = time.AfterFunc(linger, func() {
		x.mu.Lock()
		over := r.idle == mine && !x.closed
		if over {
			delete(x.realms, r.root)
		}
		x.mu.Unlock()
		if over {
			r.close()
		}
	})
	r.idle = mine
}

// Close ends what runs and waits for it.
func (x *Index) Close() {
	x.mu.Lock()
	x.closed = true
	realms := x.realms
	x.realms = nil
	x.mu.Unlock()
	for _, r := range realms {
		if r.idle != nil {
			r.idle.Stop()
		}
		r.close()
	}
}
