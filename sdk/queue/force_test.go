package queue

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// words are what stands in the store about places that were forced.
func (b *bench) words() int {
	b.t.Helper()
	list, err := b.db.List(context.Background(), forcedDir, store.Linearizable)
	if err != nil {
		b.t.Fatal(err)
	}
	return len(list.Entries)
}

// known is how many places the view has words about.
func (w *watcher) known() int {
	synctest.Wait()
	w.View.mu.Lock()
	defer w.View.mu.Unlock()
	return len(w.words)
}

// force checks what View.Force returns.
func (w *watcher) force(seen Place, by string, want error) {
	w.t.Helper()
	if err := w.Force(context.Background(), "a", seen, by); !errors.Is(err, want) {
		w.t.Errorf("Force(%+v) = %v, want %v", seen, err, want)
	}
}

// holds and waits are what has been seen of a place.
func holds(index store.Revision) Place { return Place{Index: index, Held: true} }
func waits(index store.Revision) Place { return Place{Index: index} }

func TestForce_TheNextOneGetsItsTurn(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		here, there := b.watcher(), b.watcher()
		g := b.acquire(p, hourly(b.request("a", "x", Forever))).granted()
		second, next := b.acquire(q, b.request("a", "y", Forever)), b.acquire(q, b.request("a", "z", Forever))
		second.waiting()
		y, z := b.index("y"), b.index("z")

		here.force(waits(y), "ada", nil)
		second.fails(ErrRemoved)
		next.waiting()
		here.force(holds(g.Index), "bob", nil)
		if got := next.granted(); got.Index != z {
			t.Errorf("granted %d, want %d", got.Index, z)
		}
		for _, w := range []*watcher{here, there} {
			w.ended(fmt.Sprintf("a %d forced, waited by ada, next %d", y, g.Index), fmt.Sprintf("a %d forced by bob, next %d", g.Index, z))
			w.places("a", fmt.Sprintf("%d z*", z))
		}
		if _, err := p.Renew(context.Background(), "a", Target{Index: g.Index}, time.Hour); !errors.Is(err, ErrNotInLine) {
			t.Errorf("Renew of what was forced = %v", err)
		}
		if b.words() != 2 {
			t.Errorf("%d words", b.words())
		}
		time.Sleep(forcedTTL)
		if b.words() != 0 || here.known() != 0 {
			t.Errorf("%d words left in the store, %d in the view", b.words(), here.known())
		}
	})
}

// It is about one creation, not about the owner, nor about the line.
func TestForce_ChangesNothingElse(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		w := b.watcher()
		old := b.acquire(q, hourly(b.request("a", "x", Forever))).granted()
		b.release(q, "a", old)
		w.ended(fmt.Sprintf("a %d released", old.Index))
		g := b.acquire(q, hourly(b.request("a", "x", Forever))).granted()
		other := b.acquire(q, hourly(b.request("b", "x", Forever))).granted()
		for _, index := range []store.Revision{old.Index, other.Index, 0, 12345} {
			w.force(holds(index), "ada", ErrNotInLine)
			w.force(waits(index), "ada", ErrNotInLine)
		}
		w.places("a", fmt.Sprintf("%d x*", g.Index))
		w.ended()

		// The view is behind, and the owner has another place by now.
		w.store.SetHook(on(memory.OpWatch, "", memory.Fault{Refuse: store.ErrUnavailable}))
		b.release(q, "a", g)
		again := b.acquire(q, hourly(b.request("a", "x", Forever))).granted()
		w.force(holds(g.Index), "ada", ErrNotInLine)
		if e := b.entries("a")[0].entry; e.Created != again.Index {
			t.Errorf("the line has %+v, want %d", e, again.Index)
		}
		w.store.SetHook(nil)
		time.Sleep(lastPause)
		w.ended(fmt.Sprintf("a %d released", g.Index))
		if b.words() != 0 {
			t.Errorf("%d words left", b.words())
		}
		// One that was renewed is the same creation.
		w.store.SetHook(on(memory.OpWatch, "", memory.Fault{Refuse: store.ErrUnavailable}))
		if _, err := q.Renew(context.Background(), "a", Target{Value: "x"}, time.Hour); err != nil {
			t.Fatal(err)
		}
		w.force(holds(again.Index), "ada", nil)
		b.left(0)
		w.store.SetHook(nil)
		time.Sleep(lastPause)
		w.ended(fmt.Sprintf("a %d forced by ada", again.Index))
	})
}

// A view that does not run, or has not read the line yet, can do it as well.
func TestForce_WithoutLooking(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		w := b.watcher()
		first := b.acquire(q, hourly(b.request("a", "x", Forever))).granted()
		second := b.acquire(q, hourly(b.request("a", "y", Forever)))
		if err := NewView(b.db).Force(context.Background(), "a", waits(b.index("y")), "bob"); err != nil {
			t.Errorf("Force = %v", err)
		}
		second.fails(ErrRemoved)
		b.release(q, "a", first)
		synctest.Wait()
		w.endings = nil
		g := b.acquire(q, hourly(b.request("a", "", Forever))).granted()
		if err := NewView(b.db).Force(context.Background(), "a", holds(g.Index), "<b>\"ada\"\n"); err != nil {
			t.Errorf("Force = %v", err)
		}
		if e := w.ended(fmt.Sprintf("a %d forced by <b>\"ada\"\n", g.Index)); len(e) == 1 && !e[0].At.Equal(time.Now()) {
			t.Errorf("at %v", e[0].At)
		}
	})
}

// Who does not get through to the store is told so. The word that was left makes
// no forced end of what comes later.
func TestForce_ThatCameToNothing(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		w := b.watcher()
		g := b.acquire(q, hourly(b.request("a", "x", Forever))).granted()
		w.places("a", fmt.Sprintf("%d x*", g.Index))
		w.store.SetHook(on(memory.OpCreate, forcedDir, memory.Fault{Refuse: store.ErrUnavailable}))
		w.force(holds(g.Index), "ada", store.ErrUnavailable)
		b.left(1) // or nobody would know how it ended
		w.store.SetHook(on(memory.OpDelete, linesDir, memory.Fault{Refuse: store.ErrUnavailable}))
		w.force(holds(g.Index), "ada", store.ErrUnavailable)
		w.store.SetHook(nil)
		b.left(1)
		if b.words() != 1 {
			t.Errorf("%d words left, want 1: it may come yet", b.words())
		}
		time.Sleep(forcedWithin + time.Second)
		late := b.watcher() // reads the word
		b.release(q, "a", g)
		w.ended(fmt.Sprintf("a %d released", g.Index))
		late.ended(fmt.Sprintf("a %d released", g.Index))

		// A reply that is lost is no reason to say that nobody has forced it.
		g = b.acquire(q, hourly(b.request("a", "x", Forever))).granted()
		w.store.SetHook(on(memory.OpDelete, linesDir, memory.Fault{Lose: store.ErrUnavailable}))
		w.force(holds(g.Index), "ada", store.ErrUnavailable)
		w.ended(fmt.Sprintf("a %d forced by ada", g.Index))
	})
}

// Two at once: one of them has done it, and every view says so.
func TestForce_TwoAtOnce(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		here, there := b.watcher(), b.watcher()
		g := b.acquire(q, hourly(b.request("a", "x", Forever))).granted()
		here.places("a", fmt.Sprintf("%d x*", g.Index))
		gate := make(chan struct{})
		here.store.SetHook(on(memory.OpDelete, linesDir, memory.Fault{Pause: gate}))
		done := make(chan error)
		go func() { done <- here.Force(context.Background(), "a", holds(g.Index), "ada") }()
		synctest.Wait()
		there.force(holds(g.Index), "bob", nil)
		close(gate)
		if err := <-done; !errors.Is(err, ErrNotInLine) {
			t.Errorf("Force of what another has forced = %v", err)
		}
		synctest.Wait()
		for _, w := range []*watcher{here, there} {
			if e := w.endings; len(e) != 1 || e[0].Reason != EndForced {
				t.Errorf("endings: %+v", e)
			}
		}
		if b.words() != 1 {
			t.Errorf("%d words left, want that of who has done it", b.words())
		}
	})
}

// Who is ordered out as a waiter is not if it has become the holder, whatever the
// view still shows and however late that comes; nor the other way round.
func TestForce_RacesAHandOver(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		w := b.watcher()
		first := b.acquire(q, hourly(b.request("a", "x", Forever))).granted()
		second := b.acquire(q, hourly(b.request("a", "y", Forever)))
		second.waiting()
		y := b.index("y")
		w.places("a", fmt.Sprintf("%d x*", first.Index), fmt.Sprintf("%d y", y))
		w.force(holds(y), "ada", store.ErrChanged)
		w.force(waits(first.Index), "ada", store.ErrChanged)

		gate := make(chan struct{})
		w.store.SetHook(on(memory.OpDelete, linesDir, memory.Fault{Pause: gate}))
		done := make(chan error)
		go func() { done <- w.Force(context.Background(), "a", waits(y), "ada") }()
		synctest.Wait()
		b.release(q, "a", first)
		g := second.granted()
		close(gate)
		if err := <-done; !errors.Is(err, store.ErrChanged) {
			t.Errorf("Force of who holds by now = %v, want %v", err, store.ErrChanged)
		}
		w.store.SetHook(nil)
		w.places("a", fmt.Sprintf("%d y*", g.Index))
		w.ended(fmt.Sprintf("a %d released, next %d", first.Index, y))
		if b.words() != 0 {
			t.Errorf("%d words left", b.words())
		}
		// The view does not know yet.
		w.store.SetHook(on(memory.OpWatch, "", memory.Fault{Refuse: store.ErrUnavailable}))
		third := b.acquire(q, hourly(b.request("a", "z", Forever)))
		third.waiting()
		z := b.index("z")
		b.release(q, "a", g)
		third.granted()
		w.force(waits(z), "ada", store.ErrChanged)
		b.left(1)
	})
}

// A holder that renews all the time can be taken out.
func TestForce_OfWhoRenewsMeanwhile(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		w := b.watcher()
		g := b.acquire(q, hourly(b.request("a", "x", Forever))).granted()
		w.places("a", fmt.Sprintf("%d x*", g.Index))
		gate := make(chan struct{})
		w.store.SetHook(on(memory.OpDelete, linesDir, memory.Fault{Pause: gate}))
		done := make(chan error)
		go func() { done <- w.Force(context.Background(), "a", holds(g.Index), "ada") }()
		synctest.Wait()
		if _, err := q.Renew(context.Background(), "a", Target{Index: g.Index}, time.Hour); err != nil {
			t.Error(err)
		}
		close(gate)
		if err := <-done; err != nil {
			t.Errorf("Force = %v", err)
		}
		w.ended(fmt.Sprintf("a %d forced by ada", g.Index))
	})
}

// What else may stand beside the words is none.
func TestForce_StrangeWords(t *testing.T) {
	inBubble(t, func(b *bench) {
		for key, value := range map[string]string{"f/x": "{}", "f/7": "no JSON", "f/-1-x": "{}", "f/9/x": "{}", "f/9/8-x": "{}", "g/8-x": "{}"} {
			if _, err := b.db.Create(context.Background(), key, value, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		w := b.watcher()
		if n := w.known(); n != 0 {
			t.Errorf("%d words", n)
		}
		w.contact(true, 0)
	})
}
