package keys

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// An Import is an entry or a directory to be written.
type Import struct {
	Key      string `json:"key"`
	Value    string `json:"value"`
	TTL      int64  `json:"ttl"` // seconds, 0: for ever
	Dir      bool   `json:"dir"`
	Modified string `json:"modified"` // the index at which it was compared; "": it was not there
}

// A Result is what has become of an Import, or would.
type Result struct {
	Key      string `json:"key"`
	State    string `json:"state"`
	Why      string `json:"why,omitempty"`
	Modified string `json:"modified,omitempty"` // of what is there
}

// The states of a Result.
const (
	Fresh    = "new"      // comparing: it is not there
	Changed  = "changed"  // comparing: it is there, with another value or TTL; writing: it is not as it was compared
	Same     = "same"     // nothing to be done
	Conflict = "conflict" // comparing: a directory is in the place of an entry, or the other way round
	Invalid  = "invalid"  // comparing: it can't be written
	Written  = "written"
	Failed   = "failed"
)

// Compare tells what writing would do.
func (x *Index) Compare(ctx context.Context, all []Import) ([]Result, error) {
	above := &standing{tree: x.tree, found: make(map[string]string)}
	return each(ctx, all, func(i Import) (Result, error) { return x.compare(ctx, above, i) })
}

func (x *Index) compare(ctx context.Context, above *standing, i Import) (Result, error) {
	r := Result{Key: i.Key}
	key, ttl, err := i.check()
	if err != nil {
		r.State, r.Why = Invalid, err.Error()
		return r, nil
	}
	n, err := x.tree.Node(ctx, key, store.Linearizable)
	switch {
	case errors.Is(err, store.ErrNotFound):
		entry, err := above.entryAbove(ctx, key)
		if err != nil {
			return r, err
		}
		r.State = Fresh
		if entry != "" {
			r.State, r.Why = Conflict, fmt.Sprintf("%q is an entry, so that nothing can be below it", "/"+entry)
		}
		return r, nil
	case err != nil:
		return r, err
	}
	r.Modified = strconv.FormatUint(uint64(n.Modified), 10)
	switch {
	case n.Dir != i.Dir && n.Dir:
		r.State, r.Why = Conflict, "there is a directory"
	case n.Dir != i.Dir:
		r.State, r.Why = Conflict, "there is an entry"
	case n.Dir:
		r.State = Same
		if !sameEnd(n.Expires, ttl) {
			r.Why = "the TTL of a directory that is there can't be changed"
		}
	case n.Value == i.Value && sameEnd(n.Expires, ttl):
		r.State = Same
	case n.Value == i.Value:
		r.State, r.Why = Changed, "only the TTL differs"
	default:
		r.State = Changed
	}
	return r, nil
}

// check returns what is to be written, or why it can't be.
func (i *Import) check() (key string, ttl time.Duration, err error) {
	if key, err = ParseKey(i.Key); err != nil {
		return "", 0, err
	}
	if key == "" {
		return "", 0, fmt.Errorf("the root is always there: %w", store.ErrInvalid)
	}
	if err := checkValue(i.Value); err != nil {
		return "", 0, err
	}
	ttl, err = TTL{Seconds: i.TTL}.left(time.Time{})
	return key, ttl, err
}

// sameEnd tells whether a TTL ends when it would if it began now, give or take
// what rounding does.
func sameEnd(end time.Time, ttl time.Duration) bool {
	if end.IsZero() || ttl == 0 {
		return end.IsZero() && ttl == 0
	}
	return (time.Until(end) - ttl).Abs() <= time.Second
}

// A standing knows which of the things above keys are entries, so that each is
// read once.
type standing struct {
	tree  store.Tree
	mu    sync.Mutex        // guards found
	found map[string]string // by directory
}

// entryAbove returns the entry that stands where key needs a directory; "" if
// there is none.
func (s *standing) entryAbove(ctx context.Context, key string) (entry string, err error) {
	dir := parent(key)
	if dir == "" {
		return "", nil
	}
	s.mu.Lock()
	entry, known := s.found[dir]
	s.mu.Unlock()
	if known {
		return entry, nil
	}
	n, err := s.tree.Node(ctx, dir, store.Linearizable)
	switch {
	case errors.Is(err, store.ErrNotFound):
		entry, err = s.entryAbove(ctx, dir)
	case err == nil && !n.Dir:
		entry = dir
	}
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found[dir] = entry
	return entry, nil
}

// Write writes what is as it was compared: directories first, one after another,
// then entries. When the store is away the rest is not tried.
func (x *Index) Write(ctx context.Context, all []Import) ([]Result, error) {
	w := &importer{index: x}
	results := make([]Result, len(all))
	var entries []Import
	var at []int
	for i, one := range all {
		if one.Dir {
			results[i] = w.write(ctx, one, w.dir)
		} else {
			entries, at = append(entries, one), append(at, i)
		}
	}
	written, err := each(ctx, entries, func(i Import) (Result, error) { return w.write(ctx, i, w.entry), nil })
	for i, r := range written {
		results[at[i]] = r
	}
	return results, err
}

// An importer writes what is imported by one order.
type importer struct {
	index *Index
	away  atomic.Bool // the store has not answered
}

// write writes i by f, unless there is no sense in it.
func (w *importer) write(ctx context.Context, i Import, f func(context.Context, Import) error) Result {
	if w.away.Load() || ctx.Err() != nil {
		return Result{Key: i.Key, State: Failed, Why: "not tried, since etcd did not answer before"}
	}
	return w.result(i.Key, f(ctx, i))
}

// errSame says that there is nothing to be written.
var errSame = errors.New("same")

func (w *importer) dir(ctx context.Context, i Import) error {
	key, ttl, err := i.check()
	if err != nil {
		return err
	}
	_, err = w.index.tree.MakeDir(ctx, key, ttl)
	if !errors.Is(err, store.ErrExists) {
		return err
	}
	n, err := w.index.tree.Node(ctx, key, store.Linearizable)
	switch {
	case err != nil:
		return err
	case !n.Dir:
		return &ConflictError{Why: "there is an entry"}
	}
	return errSame
}

func (w *importer) entry(ctx context.Context, i Import) error {
	key, ttl, err := i.check()
	if err != nil {
		return err
	}
	if i.Modified == "" {
		_, err = w.index.tree.Create(ctx, key, i.Value, ttl)
		return err
	}
	seen, err := strconv.ParseUint(i.Modified, 10, 64)
	if err != nil {
		return fmt.Errorf("modified is %.30q, no number: %w", i.Modified, store.ErrInvalid)
	}
	now, err := w.index.standing(ctx, key, store.Revision(seen), false)
	if err != nil {
		return err
	}
	_, err = w.index.tree.Swap(ctx, now.Entry, i.Value, ttl)
	return err
}

// result is that of writing key, which has come to err.
func (w *importer) result(key string, err error) Result {
	r := Result{Key: key}
	var conflict *ConflictError
	switch {
	case err == nil:
		r.State = Written
	case errors.Is(err, errSame):
		r.State = Same
	case errors.As(err, &conflict), errors.Is(err, store.ErrExists), errors.Is(err, store.ErrChanged), errors.Is(err, store.ErrNotFound):
		r.State, r.Why = Changed, err.Error()
	case errors.Is(err, store.ErrUnavailable):
		w.away.Store(true)
		r.State, r.Why = Failed, "etcd has not answered; it may have been written"
	default:
		r.State, r.Why = Failed, err.Error()
	}
	return r
}

// each calls f for all, several at a time, and returns the results in order, or
// the first error.
func each(ctx context.Context, all []Import, f func(Import) (Result, error)) ([]Result, error) {
	results := make([]Result, len(all))
	next := make(chan int)
	var running sync.WaitGroup
	var once sync.Once
	var first error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range min(atATime, len(all)) {
		running.Go(func() {
			for i := range next {
				var err error
				if results[i], err = f(all[i]); err != nil {
					once.Do(func() { first = err })
					cancel()
				}
			}
		})
	}
	for i := range all {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	running.Wait()
	if first == nil {
		first = context.Cause(ctx)
	}
	return results, first
}
