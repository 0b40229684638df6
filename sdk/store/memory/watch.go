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

// Next implements [store.Watcher]. The hook is asked when it begins and again
// whenever it was woken, so a view can be cut off while it waits.
func (w *watcher) Next(ctx context.Context) ([]store.Event, error) {
	if err := store.CheckDir(w.dir); err != nil {
		return nil, err
	}
	for {
		err := w.store.fault(OpWatch, w.dir).before(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", OpWatch, w.dir, err)
		}
		events, wake, err := w.take()
		if err != nil {
			return nil, fmt.Errorf("%s %q after %d: %w", OpWatch, w.dir, w.after, err)
		}
		if len(events) > 0 {
			w.after = events[len(events)-1].Revision
			return events, nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s %q: %w", OpWatch, w.dir, ctx.Err())
		}
	}
}

// take returns the events at hand, or the channel that tells of the next.
func (w *watcher) take() ([]store.Event, <-chan struct{}, error) {
	d := w.store.db
	d.lock()
	defer d.mu.Unlock()
	if w.after+d.window < d.rev {
		return nil, nil, store.ErrCompacted
	}
	var events []store.Event
	below := w.store.below(w.dir)
	for _, ev := range d.history {
		if ev.Revision > w.after && strings.HasPrefix(ev.Entry.Key, below) {
			ev.Entry = w.store.strip(ev.Entry)
			events = append(events, ev)
		}
	}
	return events, d.wake, nil
}

// Close implements [store.Watcher].
func (w *watcher) Close() error { return nil }
