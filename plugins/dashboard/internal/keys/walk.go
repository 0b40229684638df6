package keys

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk/store"
)

// Limit is how many entries and directories are kept in mind at the most by
// reading on behind what is shown.
const Limit = 1_000_000

// Counts are how much there is that is not hidden; what the topic keys tells.
type Counts struct {
	Entries  int   `json:"entries"`
	Dirs     int   `json:"dirs"`
	Complete bool  `json:"complete"` // else it is what has been read yet
	Limited  bool  `json:"limited"`  // no more will be read, since there is too much
	Limit    int   `json:"limit"`    // of both together
	Since    int64 `json:"since"`    // Unix milliseconds: when the watch began
}

// A walker reads all levels of its realm, and those that come. The realm's mu
// guards it.
type walker struct {
	started bool
	limit   int
	unread  bool          // there may be a level that is not loaded
	again   chan struct{} // closed when unread becomes true
	over    error         // what the last round came to
}

// walk starts the walker, which ends with the realm.
func (r *realm) walk() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.walker.started {
		return
	}
	r.walker.started = true
	r.lacks()
	r.running.Go(func() { r.rounds(r.ctx) })
}

// lacks says that there is a level that is not loaded, maybe. The caller holds mu.
func (r *realm) lacks() {
	w := &r.walker
	if w.started && !w.unread {
		w.unread = true
		close(w.again)
		w.again = make(chan struct{})
	}
}

func (r *realm) rounds(ctx context.Context) {
	for ctx.Err() == nil {
		r.mu.Lock()
		r.walker.unread = false
		again := r.walker.again
		r.mu.Unlock()
		err := r.walkLevel(ctx, "")
		r.mu.Lock()
		r.walker.over = err
		r.mu.Unlock()
		r.publish()
		var retry <-chan time.Time
		if err != nil && !errors.Is(err, errLimit) {
			again, retry = nil, time.After(lastPause)
		}
		select {
		case <-again:
		case <-retry:
		case <-ctx.Done():
		}
	}
}

var errLimit = errors.New("there are too many keys")

// walkLevel reads the level of path, and all below, one after another. It leaves
// the store as much time as it has taken.
func (r *realm) walkLevel(ctx context.Context, path string) error {
	over, known := r.tooMuch(path)
	if over {
		return errLimit
	}
	start := time.Now()
	l, err := r.load(ctx, path)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrInvalid) {
		return nil // it went away meanwhile
	}
	if err != nil {
		return err
	}
	var dirs []string
	for one := range l.rows.from(0) {
		if one.dir {
			dirs = append(dirs, one.key())
		}
	}
	r.mu.Unlock()
	if !known {
		r.publish()
		select {
		case <-time.After(min(time.Since(start), time.Second)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, name := range dirs {
		if err := r.walkLevel(ctx, join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

// at returns the level of path; nil if there is none. The caller holds mu.
func (r *realm) at(path string) *level {
	l := r.top
	for rest := path; l != nil && rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		l = l.sub(name)
	}
	return l
}

// total returns how many entries, and with dirs directories, are known below
// path, and whether that is all. The caller holds mu.
func (r *realm) total(path string, dirs bool) (n int, complete bool) {
	if l := r.at(path); l != nil {
		r.each(l, func(l *level) {
			n += l.rows.n
			if !dirs {
				n -= l.rows.dirs
			}
		})
	}
	return n, r.complete()
}

// tooMuch tells whether the level of path is not loaded and better isn't. The
// caller does not hold mu.
func (r *realm) tooMuch(path string) (over, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.at(path)
	known = l != nil && l.state == loaded
	return !known && r.rows >= r.walker.limit, known
}

// complete tells whether all levels are loaded. The caller holds mu.
func (r *realm) complete() bool {
	return r.walker.started && r.walker.over == nil && !r.walker.unread
}

// publish tells the counts.
func (r *realm) publish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &r.walker
	if w.started {
		r.counts.Set(Counts{r.rows - r.dirs, r.dirs, r.complete(), errors.Is(w.over, errLimit), w.limit, r.since.UnixMilli()})
	}
}

// Counts is the topic of how much there is.
func (x *Index) Counts(ctx context.Context, send func(any) error) error {
	r, _, release := x.use("")
	defer release()
	if err := r.begin(ctx); err != nil {
		return err
	}
	r.walk()
	r.publish()
	for {
		why, ill := r.health.Get()
		if why != nil {
			return why
		}
		counts, changed := r.counts.Get()
		if err := send(counts); err != nil {
			return err
		}
		if err := (live.Changes{changed, ill}).Wait(ctx, time.Second, nil); err != nil {
			return err
		}
	}
}
