package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// contact checks whether the view says that it is true, and since when not.
func (w *watcher) contact(ok bool, age time.Duration) {
	w.t.Helper()
	synctest.Wait()
	c := w.Contact()
	if (c.Err == nil) != ok || time.Since(c.Seen) > age {
		w.t.Errorf("Contact = %v, seen %v ago; want ok %v, at most %v ago", c.Err, time.Since(c.Seen), ok, age)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if last := w.updates[len(w.updates)-1].Contact; text(last.Err) != text(c.Err) {
		w.t.Errorf("the follower was told %v, want %v", last.Err, c.Err)
	}
}

// It says so within two seconds when the store is gone, does not answer or lags
// behind, and what happened meanwhile is told when it is back.
func TestView_SaysWhenItMayBeOld(t *testing.T) {
	for name, hook := range map[string]func() memory.Hook{
		"refuses": func() memory.Hook { return refuseAll },
		"hangs": func() memory.Hook {
			never := make(chan struct{})
			return func(memory.Op, string) memory.Fault { return memory.Fault{Pause: never} }
		},
		"lags behind":  func() memory.Hook { return on(memory.OpList, "", memory.Fault{Stale: &store.Listing{}}) },
		"watch breaks": func() memory.Hook { return on(memory.OpWatch, "", memory.Fault{Refuse: store.ErrUnavailable}) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				q, _ := b.process("p")
				w := b.watcher()
				time.Sleep(time.Minute)
				w.contact(true, lookEvery)
				g := b.acquire(q, hourly(b.request("a", "x", Forever))).granted()
				w.places("a", fmt.Sprintf("%d x*", g.Index))
				w.store.SetHook(hook())
				b.acquire(q, b.request("b", "", Forever)).granted() // what waits in a watch notices
				gone := time.Now()
				time.Sleep(2 * time.Second)
				w.contact(false, 2*time.Second+lookEvery)
				b.release(q, "a", g)
				w.places("a", fmt.Sprintf("%d x*", g.Index)) // as it was
				time.Sleep(2 * time.Minute)
				w.contact(false, time.Since(gone)+lookEvery)
				w.ended()
				w.store.SetHook(nil)
				time.Sleep(lastPause + lookEvery)
				w.contact(true, lookEvery)
				w.places("a")
				w.ended(fmt.Sprintf("a %d released", g.Index), fmt.Sprintf("b %d expired", g.Index+1))
			})
		})
	}
}

func TestView_IsEmptyUntilTheStoreAnswers(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		b.acquire(q, hourly(b.request("a", "x", Forever))).granted()
		db := b.db.Sub("")
		db.SetHook(refuseAll)
		v := NewView(db)
		if c := v.Contact(); c.Err == nil || !c.Seen.IsZero() {
			b.t.Errorf("Contact = %+v before Run", c)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- v.Run(ctx) }()
		time.Sleep(time.Minute)
		if c := v.Contact(); !errors.Is(c.Err, store.ErrUnavailable) || !c.Seen.IsZero() || len(v.Lines()) != 0 {
			b.t.Errorf("Contact = %+v, Lines = %v without a store", c, v.Lines())
		}
		db.SetHook(nil)
		time.Sleep(lastPause)
		synctest.Wait()
		if c := v.Contact(); c.Err != nil || len(v.Lines()) != 1 {
			b.t.Errorf("Contact = %+v, Lines = %v", c, v.Lines())
		}
		cancel()
		if err := <-done; err != context.Canceled {
			b.t.Errorf("Run = %v", err)
		}
	})
}

// A member of etcd that the others have left shows nothing new, and looks alive
// but for that: the answer of all comes late, from another one.
func TestView_WatchesAnewAfterALateAnswer(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		w := b.watcher()
		synctest.Wait()
		deaf := make(chan struct{})
		var looks atomic.Int32
		var late atomic.Bool
		w.store.SetHook(func(op memory.Op, dir string) (f memory.Fault) {
			switch {
			case op == memory.OpWatch && !late.Load():
				f.Pause = deaf
			case op == memory.OpList && dir == forcedDir:
				if looks.Add(1) == lookTruly {
					late.Store(true)
					f.Hold = after(lookTime + time.Millisecond)
				}
			}
			return f
		})
		g := b.acquire(q, hourly(b.request("a", "x", Forever))).granted()
		time.Sleep((lookTruly - 1) * lookEvery)
		w.contact(true, lookEvery)
		if _, ok := w.Line("a"); ok || late.Load() {
			b.t.Error("the watch is not deaf")
		}
		time.Sleep(lookEvery + lookTime + 2*time.Millisecond)
		w.contact(false, 2*time.Second)
		time.Sleep(firstPause + lookEvery)
		w.contact(true, lookEvery)
		w.places("a", fmt.Sprintf("%d x*", g.Index))
	})
}

// What happened while the store was faster than the watch can't be told, but for
// who was forced. The rest is not told anew.
func TestView_ReadsAnewWhatTheWatchHasMissed(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		w := b.watcher()
		for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
			b.acquire(q, hourly(b.request(name, "x", Forever))).granted()
		}
		index := func(name string) store.Revision { return b.entries(name)[0].entry.Created }
		a, bb, c, e, f := index("a"), index("b"), index("c"), index("e"), index("f")
		w.places("a", fmt.Sprintf("%d x*", a))
		started := time.Now()
		time.Sleep(1500 * time.Millisecond)
		w.store.SetHook(refuseAll)
		time.Sleep(2 * time.Second)
		b.release(q, "a", &Grant{Index: a})
		if err := NewView(b.db).Force(context.Background(), "b", holds(bb), "ada"); err != nil {
			b.t.Fatal(err)
		}
		b.release(q, "c", &Grant{Index: c})
		b.acquire(q, hourly(b.request("c", "x", Forever))).granted()
		if _, err := q.Renew(context.Background(), "d", Target{Value: "x"}, time.Hour); err != nil {
			b.t.Fatal(err)
		}
		waits := b.acquire(q, b.request("f", "y", Forever))
		back := b.entries("g")[0]
		if _, err := b.db.Swap(context.Background(), back.entry, back.rec.with(waiting, time.Hour, []string{"p"}).encode(), 0); err != nil {
			b.t.Fatal(err)
		}
		w.mu.Lock()
		w.updates = nil
		w.mu.Unlock()
		b.db.Touch(2000)
		w.store.SetHook(nil)
		time.Sleep(2 * time.Second)
		w.contact(true, lookEvery)
		var told []string
		w.mu.Lock()
		slices.SortFunc(w.endings, func(a, b Ending) int { return strings.Compare(a.Line, b.Line) })
		for _, u := range w.updates {
			for _, l := range u.Lines {
				told = append(told, l.Name)
			}
		}
		w.mu.Unlock()
		w.ended(fmt.Sprintf("a %d unseen", a), fmt.Sprintf("b %d forced by ada", bb), fmt.Sprintf("c %d unseen, next %d", c, index("c")),
			fmt.Sprintf("g %d withdrawn, next %d", index("g"), index("g")))
		b.release(q, "g", &Grant{Index: index("g")})
		if !slices.Equal(told, []string{"a", "b", "c", "d", "f", "g"}) {
			t.Errorf("told of %q", told)
		}
		// What was not changed has the time that was known exactly.
		waits.waiting()
		y := b.entries("f")[1].entry.Created
		for _, p := range []Place{w.places("e", fmt.Sprintf("%d x*", e))[0], w.places("f", fmt.Sprintf("%d x*", f), fmt.Sprintf("%d y", y))[0]} {
			if !p.Expires.Equal(started.Add(time.Hour)) {
				t.Errorf("expires at %v, want %v", p.Expires, started.Add(time.Hour))
			}
		}
		if !w.places("d", fmt.Sprintf("%d x*", index("d")))[0].Renewed {
			t.Error("not renewed")
		}
	})
}

// A store that is always faster than the watch is not asked all the time.
func TestView_ReadsAnewOnceASecondAtMost(t *testing.T) {
	inBubble(t, func(b *bench) {
		w := b.watcher()
		lists := 0
		w.store.SetHook(func(op memory.Op, dir string) memory.Fault {
			switch {
			case op == memory.OpWatch:
				return memory.Fault{Refuse: store.ErrCompacted}
			case op == memory.OpList && dir == "":
				lists++
			}
			return memory.Fault{}
		})
		b.db.Touch(1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if lists < 50 || lists > 61 {
			t.Errorf("%d listings in a minute", lists)
		}
		w.store.SetHook(nil)
	})
}
