package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

func watchTree(t *testing.T, s store.Tree, dir string, after store.Revision) store.TreeWatcher {
	t.Helper()
	w := s.WatchTree(dir, after)
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return w
}

// nextChanges returns the next n changes of w.
func nextChanges(t *testing.T, w store.TreeWatcher, n int) []store.TreeChange {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []store.TreeChange
	for len(all) < n {
		changes, err := w.Next(ctx)
		if err != nil {
			t.Fatalf("Next after %d of %d changes = %v", len(all), n, err)
		}
		if len(changes) == 0 {
			t.Fatal("Next returned no change and no error")
		}
		all = append(all, changes...)
	}
	if len(all) > n {
		t.Fatalf("%d changes, want %d: %+v", len(all), n, all)
	}
	return all
}

func wantChange(t *testing.T, c store.TreeChange, typ store.EventType, n store.Node, before *store.Node) {
	t.Helper()
	if c.Type != typ || !sameNode(c.Node, n) || (c.Before == nil) != (before == nil) || before != nil && !sameNode(*c.Before, *before) {
		t.Fatalf("change %v %+v before %+v at %d, want %v %+v before %+v", c.Type, c.Node, c.Before, c.Revision, typ, n, before)
	}
	if typ == store.EventPut && c.Revision != n.Modified || typ != store.EventPut && c.Revision <= n.Modified {
		t.Fatalf("change %v %+v has revision %d", c.Type, c.Node, c.Revision)
	}
}

func testTreeWatch(t *testing.T, s store.Tree) {
	start := create(t, s, "start", "", 0)
	// One watch is told all of it later, the other while it happens.
	live := watchTree(t, s, "", start.Modified)
	tell := func(typ store.EventType, n store.Node, before *store.Node) {
		t.Helper()
		wantChange(t, nextChanges(t, live, 1)[0], typ, n, before)
	}
	node := func(e store.Entry) store.Node { return store.Node{Entry: e} }
	x := create(t, s, "a/b/x", "one", 0)
	tell(store.EventPut, node(x), nil)
	was := node(x)
	x = swap(t, s, x, "two", time.Hour)
	tell(store.EventPut, node(x), &was)
	was = node(x)
	x, err := s.Renew(t.Context(), x, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	tell(store.EventPut, node(x), &was)
	d := makeDir(t, s, "a/d", 0)
	tell(store.EventPut, d, nil)
	remove(t, s, x)
	tell(store.EventDelete, node(x), nil)
	removeDir(t, s, "a/d")
	tell(store.EventDelete, d, nil)
	short := create(t, s, "short", "", time.Second)
	tell(store.EventPut, node(short), nil)
	tell(store.EventExpire, node(short), nil)
	removeDir(t, s, "a/b")
	c := nextChanges(t, live, 1)[0]
	if c.Type != store.EventDelete || c.Node.Key != "a/b" || !c.Node.Dir {
		t.Errorf("the end of a directory that came with an entry: %+v", c)
	}

	later := nextChanges(t, watchTree(t, s, "", start.Modified), 9)
	for i, c := range later {
		if i > 0 && c.Revision <= later[i-1].Revision {
			t.Errorf("revision %d follows %d", c.Revision, later[i-1].Revision)
		}
	}
	wantChange(t, later[3], store.EventPut, d, nil)
	wantChange(t, later[7], store.EventExpire, node(short), nil)
	if later[8].Revision != c.Revision || later[8].Node.Key != "a/b" {
		t.Errorf("told later: %+v, at once: %+v", later[8], c)
	}
}

func testTreeWatchDir(t *testing.T, s store.Tree) {
	start := create(t, s, "start", "", 0)
	w := watchTree(t, s, "a", start.Modified)
	create(t, s, "aa/x", "a neighbour", 0)
	makeDir(t, s, "ab", 0)
	x := create(t, s, "a/x", "", 0)
	wantChange(t, nextChanges(t, w, 1)[0], store.EventPut, store.Node{Entry: x}, nil)
	remove(t, s, x)
	wantChange(t, nextChanges(t, w, 1)[0], store.EventDelete, store.Node{Entry: x}, nil)
	removeDir(t, s, "ab")
	removeDir(t, s, "a") // its own end
	if c := nextChanges(t, w, 1)[0]; c.Type != store.EventDelete || c.Node.Key != "a" || !c.Node.Dir {
		t.Errorf("the end of the directory itself: %+v", c)
	}
	d := makeDir(t, s, "a", 0)
	wantChange(t, nextChanges(t, w, 1)[0], store.EventPut, d, nil)
	removeDir(t, s, "a")
	wantChange(t, nextChanges(t, w, 1)[0], store.EventDelete, d, nil)
	e := create(t, s, "a", "an entry now", 0)
	wantChange(t, nextChanges(t, w, 1)[0], store.EventPut, store.Node{Entry: e}, nil)
}

func testTreeWatchHidden(t *testing.T, s store.Tree) {
	start := create(t, s, "start", "", 0)
	root := watchTree(t, s, "", start.Modified)
	live := watchTree(t, s, "", start.Modified)
	create(t, s, "first", "", 0) // the second one is told the rest as it comes
	nextChanges(t, live, 1)
	h := create(t, s, "_h/x", "", 0)
	create(t, s, "a/_h", "", 0)
	makeDir(t, s, "a/_d", 0)
	makeDir(t, s, "a/d/_d/d", 0)
	last := create(t, s, "a/x", "", 0)
	wantChange(t, nextChanges(t, live, 1)[0], store.EventPut, store.Node{Entry: last}, nil)
	wantChange(t, nextChanges(t, root, 2)[1], store.EventPut, store.Node{Entry: last}, nil)
	hidden := watchTree(t, s, "_h", start.Modified)
	wantChange(t, nextChanges(t, hidden, 1)[0], store.EventPut, store.Node{Entry: h}, nil)
	remove(t, s, h)
	wantChange(t, nextChanges(t, hidden, 1)[0], store.EventDelete, store.Node{Entry: h}, nil)
}

func testTreeWatchResume(t *testing.T, s store.Tree) {
	x := create(t, s, "a/x", "", 0)
	w := watchTree(t, s, "a", x.Modified)
	for i := range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := w.Next(ctx)
		cancel()
		wantErr(t, "Next while nothing happens", err, context.DeadlineExceeded)
		was := store.Node{Entry: x}
		x = swap(t, s, x, fmt.Sprint(i), 0)
		wantChange(t, nextChanges(t, w, 1)[0], store.EventPut, store.Node{Entry: x}, &was)
	}
}

func testTreeWatchConcurrent(t *testing.T, s store.Tree) {
	const writers, writes = 8, 50
	start := create(t, s, "start", "", 0)
	w := watchTree(t, s, "a", start.Modified)
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range writers {
		wg.Go(func() {
			for j := range writes {
				if _, err := s.Put(t.Context(), fmt.Sprint("a/", i), fmt.Sprint(i, " ", j), 0); err != nil {
					t.Errorf("Put = %v", err)
				}
			}
		})
	}
	state, last := make(map[string]store.Node), start.Modified
	for i, c := range nextChanges(t, w, writers*writes) {
		if c.Revision <= last {
			t.Fatalf("change %d at %d follows one at %d", i, c.Revision, last)
		}
		last = c.Revision
		was, ok := state[c.Node.Key]
		if ok != (c.Before != nil) || ok && !sameNode(was, *c.Before) {
			t.Fatalf("change %d: %+v, want %+v before it", i, c, was)
		}
		state[c.Node.Key] = c.Node
	}
}
