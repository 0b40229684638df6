package etcdv2

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.etcd.io/etcd/client/v2"

	"github.com/etcd-modules/modhost/sdk/store"
)

// maxPoll is how long one request of a watch waits for a change.
const maxPoll = 30 * time.Second

// Watch implements [store.Store]. Next returns one event per request, which is
// what the API gives. The position moves only with events, so a watch that saw
// none while more than 1000 changes of other keys passed gets ErrCompacted when
// its poll is renewed. It also gets it when somebody removes a directory with
// what is in it, which etcd tells without naming the entries.
func (s *Store) Watch(dir string, after store.Revision) store.Watcher {
	// 0 would mean "from now on" to client/v2. Nothing is missed: index 1 is
	// always the first member's own registration.
	return &watcher{store: s, dir: dir, after: max(1, after)}
}

type watcher struct {
	store *Store
	dir   string
	after store.Revision
}

// Next implements [store.Watcher].
func (w *watcher) Next(ctx context.Context) ([]store.Event, error) {
	if err := w.store.checkDir(w.dir); err != nil {
		return nil, err
	}
	for {
		resp, err := w.poll(ctx)
		switch {
		case errors.Is(err, errQuiet):
			continue
		case err != nil:
			return nil, wrap(ctx, "watch", w.dir, err)
		}
		w.after = store.Revision(resp.Node.ModifiedIndex)
		if resp.Node.Dir {
			if err := w.directory(resp); err != nil {
				return nil, wrap(ctx, "watch", w.dir, err)
			}
			continue
		}
		if ev, ok := w.event(resp); ok {
			return []store.Event{ev}, nil
		}
	}
}

// errQuiet says that a poll ended without an event.
var errQuiet = errors.New("no event")

func (w *watcher) poll(ctx context.Context) (*client.Response, error) {
	s := w.store
	limited, cancel := context.WithTimeout(ctx, s.pollTime)
	defer cancel()
	n := int(s.first.Load())
	resp, err := s.once(limited, n, 1, func(ctx context.Context, ep *endpoint) (*client.Response, error) {
		return ep.keys.Watcher(s.path(w.dir), &client.WatcherOptions{
			AfterIndex: uint64(w.after),
			Recursive:  true,
		}).Next(ctx)
	})
	switch {
	case answered(err) || ctx.Err() != nil:
		return resp, err
	case limited.Err() != nil:
		return nil, errQuiet
	}
	s.avoid(n)
	return nil, err
}

func (w *watcher) event(resp *client.Response) (store.Event, bool) {
	ev := store.Event{Type: store.EventPut, Revision: w.after}
	node := resp.Node
	switch resp.Action {
	case "delete", "compareAndDelete":
		ev.Type, node = store.EventDelete, resp.PrevNode
	case "expire":
		ev.Type, node = store.EventExpire, resp.PrevNode
	}
	if node == nil {
		return ev, false
	}
	var ok bool
	ev.Entry, ok = w.store.entry(node, reading{time.Now(), resp.Node.ModifiedIndex > resp.Index})
	name := ev.Entry.Key
	if w.dir != "" {
		var below bool
		name, below = strings.CutPrefix(name, w.dir+"/")
		ok = ok && below
	}
	return ev, ok && !hidden(name) // etcd hides them of what comes, but not of what was
}

// directory judges the change of a directory. Its making is nothing to us. Its
// end may be that of entries too, unless it was Prune that removed it empty.
func (w *watcher) directory(resp *client.Response) error {
	if resp.Action != "delete" && resp.Action != "expire" {
		return nil
	}
	gone, dir := resp.Node.Key+"/", w.store.path(w.dir)+"/"
	if !strings.HasPrefix(gone, dir) && !strings.HasPrefix(dir, gone) {
		return nil // a neighbour whose name begins like ours: etcd compares no slash
	}
	if w.store.pruned.has(resp.Node.Key, w.after) {
		return nil
	}
	return store.ErrCompacted
}

// Close implements [store.Watcher].
func (w *watcher) Close() error { return nil }
