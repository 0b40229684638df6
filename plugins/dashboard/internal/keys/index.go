package keys

import (
	"strings"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

const (
	linger  = 30 * time.Second // how long a realm is kept that nobody looks at
	maxIdle = 8                // of them; each has a watch, which costs every write to etcd
)

// An Index knows the store's keys. Safe for concurrent use.
type Index struct {
	tree  store.Tree
	past  *history // nil: nothing is remembered
	plans plans
	ends  ends

	mu     sync.Mutex // guards what follows, and users and idle of realms
	realms map[string]*realm
	closed bool
}

// New returns an Index, to be closed. It remembers so many bytes of changes; for
// that it watches all the time, with 0 only while somebody looks.
func New(tree store.Tree, historyBytes int64) *Index {
	x := &Index{tree: tree, realms: make(map[string]*realm)}
	if historyBytes > 0 {
		x.past = &history{limit: historyBytes}
		x.use("") // never released
	}
	return x
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
	switch {
	case x.closed: // by a request that outlived the module's drain
		r = newRealm(x.tree, root, nil)
		r.cancel()
	case r == nil:
		var past *history
		if root == "" {
			past = x.past
		}
		r = newRealm(x.tree, root, past)
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
		over := r.idle == mine && x.realms[r.root] == r
		if over {
			delete(x.realms, r.root)
		}
		x.mu.Unlock()
		if over {
			r.close()
		}
	})
	r.idle, r.left = mine, time.Now()
	x.spare()
}

// spare ends the realm that nobody has looked at for the longest time, if there
// are many such. The caller holds mu.
func (x *Index) spare() {
	var oldest *realm
	n := 0
	for _, r := range x.realms {
		if r.idle == nil {
			continue
		}
		if n++; oldest == nil || r.left.Before(oldest.left) {
			oldest = r
		}
	}
	if n > maxIdle {
		oldest.left = time.Now() // it is on its way
		oldest.idle.Reset(0)
	}
}

// Past returns what is remembered of a key. Of a hidden one nothing is, since no
// watch tells of all of these.
func (x *Index) Past(key string) Past {
	if realmRoot(key) != "" {
		return Past{Versions: []Version{}, Why: whyHidden}
	}
	return x.past.past(key)
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
