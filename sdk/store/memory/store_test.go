package memory_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
	"github.com/etcd-modules/modhost/sdk/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.RunBubble(t, func(t *testing.T) store.Store { return memory.New() })
}

func TestStore_View(t *testing.T) {
	storetest.RunBubble(t, func(t *testing.T) store.Store {
		root := memory.New()
		for _, key := range []string{"mod/lock~/x", "mod/x", "x"} {
			if _, err := root.Create(t.Context(), key, "not of this view", 0); err != nil {
				t.Fatal(err)
			}
		}
		return root.Sub("mod").Sub("lock")
	})
}

func TestStore_ExpiryIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		if _, err := s.Create(t.Context(), "x", "", time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour - time.Nanosecond)
		if e, err := s.Get(t.Context(), "x", store.Local); err != nil || e.TTL != time.Second {
			t.Fatalf("Get just before the end = %+v, %v", e, err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := s.Get(t.Context(), "x", store.Local); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("Get at the end = %v", err)
		}
		if rev := s.Revision(); rev != 2 {
			t.Fatalf("revision %d after a create and an expiry", rev)
		}
	})
}

func TestStore_Window(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Window(10))
		for _, key := range []string{"q/a", "q/b"} {
			if _, err := s.Create(t.Context(), key, "", 0); err != nil {
				t.Fatal(err)
			}
		}
		s.Touch(9) // revision 11: 2 to 11 are kept
		events, err := s.Watch("q", 1).Next(t.Context())
		if err != nil || len(events) != 1 || events[0].Entry.Key != "q/b" {
			t.Fatalf("Next within the window = %+v, %v", events, err)
		}
		if _, err := s.Watch("q", 0).Next(t.Context()); !errors.Is(err, store.ErrCompacted) {
			t.Fatalf("Next before the window = %v", err)
		}
		done := make(chan error)
		go func() {
			_, err := s.Watch("q", 11).Next(t.Context())
			done <- err
		}()
		synctest.Wait()
		s.Touch(11)
		if err := <-done; !errors.Is(err, store.ErrCompacted) {
			t.Fatalf("waiting Next after an overrun = %v", err)
		}
	})
}

func TestStore_Writes(t *testing.T) {
	s, ctx := memory.New(), t.Context()
	x, _ := s.Create(ctx, "q/x", "", 0) // 1
	s.Create(ctx, "q/x", "", 0)         // 2: a failed compare
	s.Renew(ctx, x, 0)                  // 3
	s.Renew(ctx, x, 0)                  // 4, 5: x is not up to date
	s.Delete(ctx, x)                    // 6: a failed compare
	s.DeleteCreation(ctx, "q/x", x.Created)
	s.DeleteCreation(ctx, "q/x", x.Created) // seen by a read
	s.Get(ctx, "q/x", store.Linearizable)
	s.List(ctx, "", store.Linearizable)
	if n := s.Writes(); n != 7 {
		t.Fatalf("Writes = %d, want 7", n)
	}
}

func TestStore_Hook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, ctx := memory.New(), t.Context()
		b := a.Sub("")
		a.SetHook(func(op memory.Op, key string) memory.Fault {
			switch key {
			case "refuse":
				return memory.Fault{Refuse: store.ErrUnavailable}
			case "lose":
				return memory.Fault{Lose: store.ErrUnavailable}
			}
			return memory.Fault{}
		})
		for key, there := range map[string]bool{"refuse": false, "lose": true} {
			if e, err := a.Create(ctx, key, "", 0); !errors.Is(err, store.ErrUnavailable) || e != (store.Entry{}) {
				t.Errorf("Create(%q) = %+v, %v", key, e, err)
			}
			if _, err := b.Get(ctx, key, store.Local); (err == nil) != there {
				t.Errorf("Get(%q) through another view = %v", key, err)
			}
		}

		gate := make(chan struct{})
		a.SetHook(func(op memory.Op, key string) memory.Fault {
			return memory.Fault{Pause: gate}
		})
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := a.Create(short, "x", "", 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("paused Create = %v", err)
		}
		done := make(chan error)
		go func() {
			_, err := a.Create(ctx, "x", "", 0)
			done <- err
		}()
		synctest.Wait()
		if _, err := b.Get(ctx, "x", store.Local); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get while the create is paused = %v", err)
		}
		close(gate)
		if err := <-done; err != nil {
			t.Errorf("Create after its pause = %v", err)
		}
	})
}

// A member that is behind answers Local lists from the past, and no others.
func TestStore_StaleList(t *testing.T) {
	a, ctx := memory.New(), t.Context()
	b := a.Sub("")
	var stale store.Listing
	for _, key := range []string{"q/x", "q/y"} {
		stale, _ = b.List(ctx, "q", store.Local)
		if _, err := b.Create(ctx, key, "", 0); err != nil {
			t.Fatal(err)
		}
	}
	a.SetHook(func(memory.Op, string) memory.Fault { return memory.Fault{Stale: &stale} })
	for c, want := range map[store.Consistency]int{store.Local: 1, store.Linearizable: 2} {
		l, err := a.List(ctx, "q", c)
		if err != nil || len(l.Entries) != want || l.Revision != store.Revision(want) {
			t.Errorf("List(%v) = %+v, %v, want that of revision %d", c, l, err, want)
		}
	}
}

func TestStore_HookCutsWaitingWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := memory.New()
		b := a.Sub("")
		w := a.Watch("", 0)
		done := make(chan error)
		go func() {
			_, err := w.Next(t.Context())
			done <- err
		}()
		synctest.Wait()
		a.SetHook(func(op memory.Op, key string) memory.Fault { return memory.Fault{Refuse: store.ErrUnavailable} })
		b.Create(t.Context(), "x", "", 0)
		if err := <-done; !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("Next while cut off = %v", err)
		}
		a.SetHook(nil)
		if events, err := w.Next(t.Context()); err != nil || len(events) != 1 {
			t.Fatalf("Next after it = %+v, %v", events, err)
		}
	})
}

func TestStore_Tree(t *testing.T) {
	storetest.RunTreeBubble(t, func(t *testing.T) store.Tree { return memory.New(memory.AnyKey()) })
}

func TestStore_TreeView(t *testing.T) {
	storetest.RunTreeBubble(t, func(t *testing.T) store.Tree {
		root := memory.New(memory.AnyKey())
		for _, key := range []string{"mod/lock~/x", "mod/x", "x"} {
			if _, err := root.Create(t.Context(), key, "not of this view", 0); err != nil {
				t.Fatal(err)
			}
		}
		return root.Sub("mod").Sub("lock")
	})
}
