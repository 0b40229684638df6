package memory

import (
	"context"
	"fmt"
	"strings"

	"github.com/etcd-modules/modhost/sdk/store"
)

// Watch implements [store.Store]. The position moves only with events that
// were handed out, as it does on etcd's v2 API: a watch that saw nothing while
// a whole window of other changes passed gets ErrCompacted.
func (s *Store) Watch(dir string, after store.Revision) store.Watcher {
	return &watcher{store: s, dir: dir, after: after}
}

type watcher struct {
	store *Store
	dir   string
	after store.Revision
}

// Next implements [store.Watcher].
func (w *watcher) Next(ctx context.Context) ([]store.Event, error) {
	changes, err := w.next(ctx, w.tells)
	var events []store.Event
	for _, c := range changes {
		events = append(events, store.Event{Type: c.Type, Entry: w.store.strip(c.Node.Entry), Revision: c.Revision})
	}
	return events, err
}

// tells picks the changes of entries below the directory. As on etcd the end of
// a directory with something in it does not name the entries.
func (w *watcher) tells(c change) (bool, error) {
	below := w.store.below(w.dir)
	name, ok := strings.CutPrefix(c.Node.Key, below)
	if c.Node.Dir {
		if c.Type != store.EventPut && !c.empty && (ok || strings.HasPrefix(below, c.Node.Key+"/")) {
			return false, store.ErrCompacted
		}
		return false, nil
	}
	return ok && !hidden(name), nil
}

// next waits for changes that tells picks. The hook is asked when it begins and
// again whenever it was woken, so a view can be cut off while it waits.
func (w *watcher) next(ctx context.Context, tells func(change) (bool, error)) ([]change, error) {
	if err := w.store.checkDir(w.dir); err != nil {
		return nil, err
	}
	for {
		err := w.store.fault(OpWatch, w.dir).before(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", OpWatch, w.dir, err)
		}
		changes, wake, err := w.take(tells)
		if err != nil {
			return nil, fmt.Errorf("%s %q after %d: %w", OpWatch, w.dir, w.after, err)
		}
		if len(changes) > 0 {
			w.after = changes[len(changes)-1].Revision
			return changes, nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s %q: %w", OpWatch, w.dir, ctx.Err())
		}
	}
}

// take returns the changes at hand, or the channel that tells of the next.
func (w *watcher) take(tells func(change) (bool, error)) (changes []change, wake <-chan struct{}, err error) {
	d := w.store.db
	d.lock()
	defer d.mu.Unlock()
	if w.after+d.window < d.rev {
		return nil, nil, store.ErrCompacted
	}
	for _, c := range d.history {
		if c.Revision <= w.after {
			continue
		}
		told, err := tells(c)
		if err != nil && len(changes) == 0 {
			return nil, nil, err
		} else if err != nil {
			break // next time
		}
		if told {
			changes = append(changes, c)
		}
	}
	return changes, d.wake, nil
}

// Close implements [store.Watcher].
func (w *watcher) Close() error { return nil }
