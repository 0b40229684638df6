package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk/store"
)

// A realm is the part of the store that one watch tells of: what is below root
// and not hidden from there. Root is "" or ends with a hidden segment.
type realm struct {
	tree  store.Tree
	root  string
	users int         // guarded by the Index, as are
	idle  *time.Timer // which ends a realm that nobody uses; nil: somebody does
	left  time.Time   // when that was no more

	past    *history // is told each change; nil: nothing is remembered
	running sync.WaitGroup
	ctx     context.Context // of all that runs for it
	cancel  context.CancelFunc
	began   chan struct{}    // closed when the watch first had a position
	health  live.Var[error]  // why there are no news
	counts  live.Var[Counts] // only while the walker runs

	mu     sync.Mutex // guards what follows
	top    *level
	nodes  map[string]*watched // by key
	rows   int                 // in all levels
	dirs   int                 // among them
	since  time.Time           // when the watch had its first position
	lost   int                 // how often changes were missed
	walker walker
}

func newRealm(tree store.Tree, root string, past *history) *realm {
	r := &realm{tree: tree, root: root, past: past, began: make(chan struct{}), top: newLevel(nil, ""), nodes: make(map[string]*watched),
		walker: walker{limit: Limit, again: make(chan struct{})}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.running.Go(func() { r.run(r.ctx) })
	return r
}

// close ends the realm and waits for that.
func (r *realm) close() {
	r.cancel()
	r.running.Wait()
}

// below returns the path of key below the root.
func (r *realm) below(key string) (string, bool) {
	if r.root == "" {
		return key, true
	}
	return strings.CutPrefix(key, r.root+"/")
}

// key is the whole key of a path below the root.
func (r *realm) key(path string) string {
	if path == "" {
		return r.root
	}
	return join(r.root, path)
}

// find returns the level of a path, made if it is not there. The caller holds mu.
func (r *realm) find(path string) *level {
	l := r.top
	for rest := path; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		l = l.add(name)
	}
	return l
}

const (
	firstPause = 250 * time.Millisecond
	lastPause  = 2 * time.Second
)

// run follows the store until ctx ends.
func (r *realm) run(ctx context.Context) {
	for {
		at, err := r.position(ctx)
		if err != nil {
			return // ctx has ended
		}
		if r.past != nil {
			r.past.began()
		}
		if r.since.IsZero() {
			r.mu.Lock()
			r.since = time.Now()
			r.mu.Unlock()
			close(r.began)
		} else {
			// Now, and not when the watch broke off: what is read from here on is
			// followed from there.
			r.outdate()
		}
		r.follow(ctx, at)
		if ctx.Err() != nil {
			return
		}
	}
}

// nothing is the name of something that is not there. To ask for it tells the
// store's revision, and costs next to nothing.
const nothing = "_modhost-dashboard-nothing"

// position asks for the store's revision until there is an answer. Meanwhile the
// realm has no news.
func (r *realm) position(ctx context.Context) (store.Revision, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		l, err := r.tree.List(ctx, nothing, store.Linearizable)
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err == nil {
			r.setHealth(nil)
			return l.Revision, nil
		}
		r.setHealth(err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (r *realm) setHealth(err error) {
	if was, _ := r.health.Get(); was != nil || err != nil {
		r.health.Set(err)
	}
}

// follow makes the changes after revision at, until some were missed or ctx ends.
func (r *realm) follow(ctx context.Context, at store.Revision) {
	w := r.tree.WatchTree(r.root, at)
	defer w.Close() //nolint:errcheck // it never fails, and there is nothing to do about it
	for {
		changes, err := w.Next(ctx)
		switch {
		case ctx.Err() != nil, errors.Is(err, store.ErrCompacted):
			return
		case err != nil:
			r.setHealth(err)
			select {
			case <-time.After(firstPause):
			case <-ctx.Done():
			}
			if _, err := r.position(ctx); err != nil {
				return
			}
			continue // from where it stopped
		}
		r.mu.Lock()
		for _, c := range changes {
			r.apply(c)
			r.applyNode(c)
			if r.past != nil {
				r.past.add(c)
			}
		}
		r.mu.Unlock()
		r.publish()
	}
}

// outdate says that changes were missed: what is known may be old.
func (r *realm) outdate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost++
	r.each(r.top, func(l *level) {
		switch l.state {
		case loaded, gone:
			l.state, l.why = cold, nil
			l.tell()
		}
	})
	for _, n := range r.nodes {
		n.forget()
	}
	r.lacks()
}

// each calls f for l and all levels below it. The caller holds mu.
func (r *realm) each(l *level, f func(*level)) {
	f(l)
	for _, s := range l.subs {
		r.each(s, f)
	}
}

// load returns the level of path with its rows. It holds mu then; the caller
// gives it back. With an error it does not hold it.
func (r *realm) load(ctx context.Context, path string) (_ *level, err error) {
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	l := r.join(path) // so that it is the same one after it was read
	defer func() {
		if err != nil {
			r.leave(l)
		} else {
			l.users--
		}
	}()
	asked := false
	for {
		r.mu.Lock()
		switch l.state {
		case loaded:
			return l, nil
		case cold, gone:
			if asked && l.why != nil {
				why := l.why
				r.mu.Unlock()
				return nil, why
			}
			l.state, l.why, l.waiting, l.read = reading, nil, nil, make(chan struct{})
			r.running.Go(func() { r.read(r.ctx, l, path) })
		}
		read := l.read
		r.mu.Unlock()
		asked = true
		select {
		case <-read:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// join makes a level stay, also when there is no such directory; leave ends that.
func (r *realm) join(path string) *level {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.find(path)
	l.users++
	return l
}

func (r *realm) leave(l *level) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.users--
	l.drop()
}

// begin waits for the watch to have a position, or the reason why it has none.
func (r *realm) begin(ctx context.Context) error {
	for {
		if r.ctx.Err() != nil {
			return fmt.Errorf("the index has ended: %w", store.ErrUnavailable)
		}
		why, changed := r.health.Get()
		select {
		case <-r.began:
			return nil
		default:
		}
		if why != nil {
			return why
		}
		select {
		case <-r.began:
		case <-changed:
		case <-r.ctx.Done():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
