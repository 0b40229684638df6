package etcdv2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// The times of a treeWatcher.
const (
	contactTime = time.Second           // of silence, until etcd is asked whether it is there, and for its answer
	silentTime  = 20 * time.Millisecond // after which a stream that may have overflowed is given up
	catchUpTime = 2 * time.Second       // for a member that is behind what has been handed out
	renewTime   = 4 * time.Minute       // etcd ends every request for changes after five
	proofTime   = 30 * time.Second      // see rest
)

// WatchTree implements [store.Tree]. A long poll costs etcd and us more than the
// write that it tells of, and falls behind the 1000 changes that etcd keeps when
// several write at full speed. So changes come by a stream, which tells each at
// a tenth of that; what a stream gets wrong is taken care of:
//
//   - It begins with what comes, whatever it is asked for. What was before is
//     fetched by long polls, the last of which stays until a change shows that
//     there is none between it and the stream.
//   - When 100 changes wait in it, etcd forgets it without a word. What came is
//     complete, and more than 100 have come then. So after as many and a moment
//     of silence it is begun anew, and what was missed fetched as before.
//   - etcd ends it after five minutes. The next one has begun before: a quiet
//     watch outlives any number of changes elsewhere.
//   - Polls show hidden keys, a stream does not; they are left out here.
//
// Every second without a change the member is asked whether it knows a leader,
// so that a member that was paused or cut off is noticed within two. One that
// was so far behind that it is sent a snapshot by the leader tells nothing of
// what it has skipped.
func (s *Store) WatchTree(dir string, after store.Revision) store.TreeWatcher {
	return &treeWatcher{store: s, dir: dir, after: after, wake: make(chan struct{}, 1), contact: contactTime, renew: renewTime}
}

type treeWatcher struct {
	store   *Store
	dir     string
	after   store.Revision // all changes up to it have been handed out
	wake    chan struct{}
	contact time.Duration // contactTime but in tests
	renew   time.Duration // renewTime but in tests

	endpoint int
	heard    time.Time // when the member last gave a sign of life
	live     *feed     // the stream; nil: none yet, or it was given up
	next     *feed     // the one to follow it
	gap      *feed     // a poll for what was between after and live.at; nil: nothing was
}

// Next implements [store.TreeWatcher].
func (w *treeWatcher) Next(ctx context.Context) ([]store.TreeChange, error) {
	if err := w.store.checkDir(w.dir); err != nil {
		return nil, err
	}
	for {
		changes, err := w.advance(ctx)
		if err != nil && len(changes) == 0 {
			w.reset()
			return nil, wrap(ctx, "watch", w.dir, err)
		}
		if len(changes) > 0 { // an error will be there again
			return changes, nil
		}
		if err := w.rest(ctx); err != nil {
			if ctx.Err() == nil {
				w.reset()
			}
			return nil, wrap(ctx, "watch", w.dir, err)
		}
	}
}

// Close implements [store.TreeWatcher].
func (w *treeWatcher) Close() error {
	w.reset()
	return nil
}

// reset gives all requests up; the next call begins anew after what has been
// handed out.
func (w *treeWatcher) reset() {
	w.live.close()
	w.next.close()
	w.gap.close()
	w.live, w.next, w.gap = nil, nil, nil
}

// advance returns what is at hand, in order.
func (w *treeWatcher) advance(ctx context.Context) ([]store.TreeChange, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if w.live == nil {
		if err := w.begin(ctx); err != nil {
			return nil, err
		}
	}
	changes, err := w.fill(ctx)
	if err != nil || w.gap != nil {
		return changes, err
	}
	queue, err := w.live.take()
	changes = w.accept(changes, queue)
	switch {
	case w.next != nil && w.after > w.next.at, w.next != nil && errors.Is(err, io.EOF) && time.Since(w.next.since) >= min(proofTime, w.renew/8):
		// A change that came later than the next stream began shows that the one
		// before has told all up to there. In silence its orderly end does: etcd
		// has had long to send what was before.
		w.after = max(w.after, w.next.at)
		w.live.close()
		w.live, w.next = w.next, nil
		w.tell()
		return changes, nil
	case errors.Is(err, io.EOF):
		return changes, w.again()
	}
	return changes, err
}

// tell makes the next rest a short one.
func (w *treeWatcher) tell() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// again begins a new stream at the next call.
func (w *treeWatcher) again() error {
	w.reset()
	w.tell()
	return nil
}

// begin opens a stream.
func (w *treeWatcher) begin(ctx context.Context) error {
	w.endpoint = int(w.store.first.Load())
	limit := time.Now().Add(catchUpTime)
	for {
		live, err := w.open(ctx, 0)
		if err != nil {
			return err
		}
		if live.at >= w.after {
			w.live = live
			return nil
		}
		// What it tells below after may be others' changes, of a store that was
		// restored; as a rule it is a member that follows in a moment.
		live.close()
		if time.Now().After(limit) {
			w.store.avoid(w.endpoint)
			return fmt.Errorf("%s: is at index %d and was at %d before", w.member().url, live.at, w.after)
		}
		if err := pause(ctx, silentTime); err != nil {
			return err
		}
	}
}

// fill gets what was between the last change and the stream's beginning.
func (w *treeWatcher) fill(ctx context.Context) (changes []store.TreeChange, err error) {
	for w.after < w.live.at {
		if w.gap == nil {
			if w.gap, err = w.open(ctx, max(w.after, 1)+1); err != nil {
				return changes, err
			}
		}
		queue, err := w.gap.take()
		switch {
		case len(queue) > 0 && revision(queue[0]) <= w.live.at:
			changes = w.accept(changes, queue)
		case len(queue) > 0, errors.Is(err, io.EOF) && time.Since(w.gap.since) >= proofTime:
			w.after = w.live.at // the change will come by the stream
		case errors.Is(err, io.EOF):
			return changes, w.again()
		default:
			return changes, err // nothing yet, or it broke
		}
		w.gap.close()
		w.gap = nil
	}
	return changes, nil
}

// accept appends what queue tells of our nodes, each change once: etcd tells a
// stream of the end of its own directory twice.
func (w *treeWatcher) accept(changes []store.TreeChange, queue []arrival) []store.TreeChange {
	for _, a := range queue {
		rev := revision(a)
		if rev <= w.after {
			continue
		}
		w.after = rev
		if c, ok := w.change(a); ok {
			changes = append(changes, c)
		}
	}
	return changes
}

func revision(a arrival) store.Revision { return store.Revision(a.Node.ModifiedIndex) }

// rest waits until there may be something to do, and sees to it that the stream
// lives.
func (w *treeWatcher) rest(ctx context.Context) error {
	if w.live == nil {
		return nil
	}
	if w.next == nil && time.Since(w.live.since) >= w.renew {
		var err error
		if w.next, err = w.open(ctx, 0); err != nil {
			return err
		}
	}
	wait := w.contact
	switch may, suspect := w.live.mayOverflow(); {
	case suspect:
		return w.again()
	case may:
		wait = silentTime
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-w.wake:
		w.heard = time.Now()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	if time.Since(w.heard) < w.contact {
		return nil
	}
	return w.greet(ctx)
}

// greet finds out whether the member is there and knows a leader.
func (w *treeWatcher) greet(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, w.contact)
	defer cancel()
	var leader struct{}
	err := w.store.caller.json(limited, w.member().base, "/v2/members/leader", "", &leader)
	switch status(err) {
	case http.StatusUnauthorized, http.StatusForbidden: // it speaks, if not to us
		err = nil
	case http.StatusServiceUnavailable:
		err = errors.New("the member knows no leader")
	}
	if err != nil {
		w.store.avoid(w.endpoint)
		return fmt.Errorf("%s: %w", w.member().url, err)
	}
	w.heard = time.Now()
	return nil
}

// open begins a feed at the watch's member.
func (w *treeWatcher) open(ctx context.Context, from store.Revision) (*feed, error) {
	limited, cancel := context.WithTimeout(ctx, catchUpTime)
	defer cancel()
	f, err := w.store.feed(limited, w.member(), w.store.path(w.dir), from, w.wake)
	if err != nil {
		if !answered(err) {
			w.store.avoid(w.endpoint)
		}
		return nil, fmt.Errorf("%s: %w", w.member().url, err)
	}
	w.heard = time.Now()
	return f, nil
}

func (w *treeWatcher) member() *endpoint { return w.store.endpoints[w.endpoint] }

// change returns what a is to us; false if it is nothing.
func (w *treeWatcher) change(a arrival) (store.TreeChange, bool) {
	c := store.TreeChange{Type: store.EventPut, Revision: revision(a)}
	node, seen := a.Node, reading{a.at, c.Revision > w.live.at}
	switch a.Action {
	case "delete", "compareAndDelete":
		c.Type = store.EventDelete
	case "expire":
		c.Type = store.EventExpire
	}
	if c.Type != store.EventPut {
		node = a.PrevNode
	}
	if node == nil {
		return c, false
	}
	top := strings.TrimSuffix(w.store.path(w.dir), "/")
	name, below := strings.CutPrefix(node.Key, top+"/")
	switch {
	case node.Key == top && w.dir == "":
		c.Node = store.Node{Dir: true}
	case below && !hidden(name), node.Key == top:
		c.Node = w.store.node(node, seen)
		if c.Type == store.EventPut && a.PrevNode != nil {
			before := w.store.node(a.PrevNode, seen)
			c.Before = &before
		}
	case c.Type != store.EventPut && node.Dir && strings.HasPrefix(top, node.Key+"/"):
		c.Node = store.Node{Entry: store.Entry{Key: w.dir}, Dir: true}
	default:
		return c, false
	}
	return c, true
}

// hidden tells whether name, which is relative to what is watched, has a segment
// that etcd hides.
func hidden(name string) bool { return strings.HasPrefix(name, "_") || strings.Contains(name, "/_") }

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
