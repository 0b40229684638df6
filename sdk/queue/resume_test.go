package queue

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// A resumed request that is slow to join keeps its place.
func TestQueue_SlowlyResumedKeepsItsPlace(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		g := b.holder(p)
		r := b.request("a", "", Forever)
		b.acquire(q, r)
		place := b.entries("a")[1].entry.Created
		b.crash(q, view)
		next, view := b.process("next", "q")
		slow := make(chan struct{})
		view.SetHook(on(memory.OpSwap, "q", memory.Fault{Pause: slow}))
		c := b.acquire(next, r)
		time.Sleep(graceAnonymous + 2*time.Second)
		close(slow)
		view.SetHook(nil)
		c.waiting()
		b.release(p, "a", g)
		if got := c.granted().Index; got != place {
			t.Errorf("index %d, want the place kept, %d", got, place)
		}
	})
}

// A grant that the process before has brought about, and told to nobody, is
// taken back when the resumed request can't be told of it either.
func TestQueue_ResumedGrantIsTakenBack(t *testing.T) {
	for _, how := range []string{"undelivered", "hung up"} {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				q, view := b.process("q")
				r := b.request("a", "", Forever)
				view.SetHook(on(memory.OpCreate, "q", memory.Fault{Hold: make(chan struct{})}))
				b.acquire(q, r)
				b.crash(q, view)
				next, view := b.process("next", "q")
				slow := make(chan struct{})
				view.SetHook(on(memory.OpSwap, "q", memory.Fault{Pause: slow}))
				c := b.acquire(next, r)
				if how == "hung up" {
					c.cancel()
					c.failed(context.Canceled)
				}
				view.SetHook(nil)
				close(slow)
				if how != "hung up" {
					c.granted().Delivered(errors.New("client gone"))
				}
				synctest.Wait()
				b.left(0)
			})
		})
	}
}

// Processes end and others go on: here is what is resumed, kept for a while and
// cleared away, and by whom.

// A request is made again after the crash of a process that has created its
// entry held, but behind another. It waits with that entry.
func TestQueue_ResumedRequestConverts(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		r := b.request("a", "", Forever)
		first, _ := b.race(p, q, view, r, on(memory.OpSwap, "q", memory.Fault{Refuse: store.ErrUnavailable}))
		place := b.entries("a")[1].entry.Created
		b.crash(q, view)
		next, _ := b.process("next", "q")
		c := b.acquire(next, r)
		time.Sleep(2 * r.TTL)
		b.release(p, "a", first)
		if got := c.granted().Index; got != place {
			t.Errorf("index %d, want the place kept, %d", got, place)
		}
	})
}

// A place that is kept for a repeat, by a successor or after a crash, is not
// cleared away by a try with its value that comes to nothing.
func TestQueue_TrySparesAKeptPlace(t *testing.T) {
	for _, how := range []string{"handed over", "crash"} {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, view := b.process("q")
				next := p
				b.acquire(p, hourly(b.request("a", "", Forever))).granted()
				b.acquire(p, b.request("a", "", Forever)).waiting()
				b.acquire(q, b.request("a", "x", Forever))
				if how == "crash" {
					b.crash(q, view)
					next, _ = b.process("next", "q")
				} else {
					q.Drain(true)
					if err := q.Close(context.Background()); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait() // that q's session has ended is known
				b.acquire(next, b.request("a", "x", 0)).refused()
				for _, want := range []int{3, 2} {
					time.Sleep(graceValue - 2*beat)
					if got := len(b.entries("a")); got != want {
						t.Errorf("%d entries, want %d", got, want)
					}
				}
			})
		})
	}
}
