package queue

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store/memory"
)

func TestQueue_SameValueSharesThePlace(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		holder := b.acquire(p, b.request("a", "x", Forever)).granted()
		var calls []*call
		for i := range 10 {
			calls = append(calls, b.acquire([]*Queue{p, q}[i%2], b.request("a", "y", Forever)))
		}
		if got := len(b.entries("a")); got != 2 {
			t.Fatalf("%d entries, want 2", got)
		}
		b.release(p, "a", holder)
		index := calls[0].granted().Index
		for _, c := range calls {
			if got := c.granted().Index; got != index {
				t.Errorf("index %d, want %d", got, index)
			}
		}
		if again := b.acquire(q, b.request("a", "y", 0)).granted(); again.Index != index {
			t.Errorf("holder's repeat: index %d, want %d", again.Index, index)
		}
	})
}

func TestQueue_SharedPlaceStaysWhenOneLeaves(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		holder := b.holder(p)
		one := b.acquire(p, b.request("a", "y", Forever))
		two := b.acquire(q, b.request("a", "y", Forever))
		three := b.acquire(q, b.request("a", "y", Forever))
		behind := b.acquire(p, b.request("a", "z", Forever))
		one.cancel()
		one.failed(context.Canceled)
		two.cancel()
		two.failed(context.Canceled)
		b.release(p, "a", holder)
		g := three.granted()
		behind.waiting()
		b.release(p, "a", g)
		behind.granted()
	})
}

func TestQueue_UndeliveredRepeatKeepsTheLock(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		first := b.acquire(p, b.request("a", "x", Forever)).granted()
		// Another process tells the same owner before the first answer fails.
		b.acquire(q, b.request("a", "x", Forever)).granted().Delivered(nil)
		first.Delivered(errors.New("client gone"))
		b.acquire(q, b.request("a", "x", Forever)).granted().Delivered(errors.New("client gone"))
		synctest.Wait()
		if s, _ := q.Status(context.Background(), "a"); s.Index != first.Index {
			t.Errorf("holder %+v, want index %d", s, first.Index)
		}
	})
}

// An owner that releases and asks again at once meets a mirror that still
// shows its old entry: it queues again, its new request was not removed.
func TestQueue_ReleaseAndAskAgain(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, view := b.process("p")
		held := b.acquire(q, b.request("a", "x", Forever)).granted()
		next := b.acquire(q, b.request("a", "", Forever))
		lag := make(chan struct{})
		view.SetHook(on(memory.OpWatch, "q", memory.Fault{Pause: lag}))
		b.release(q, "a", held)
		again := b.acquire(q, b.request("a", "x", Forever))
		again.waiting()
		close(lag)
		g := next.granted()
		again.waiting()
		b.release(q, "a", g)
		if g := again.granted(); g.Index <= next.grant.Index {
			t.Errorf("index %d after %d", g.Index, next.grant.Index)
		}
	})
}

// The same for one that gave up waiting.
func TestQueue_GiveUpAndAskAgain(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, view := b.process("p")
		held := b.holder(q)
		other := b.acquire(q, b.request("a", "", Forever))
		c := b.acquire(q, b.request("a", "x", Forever))
		lag := make(chan struct{})
		view.SetHook(on(memory.OpWatch, "q", memory.Fault{Pause: lag}))
		c.cancel()
		c.failed(context.Canceled)
		again := b.acquire(q, b.request("a", "x", Forever))
		again.waiting()
		close(lag)
		again.waiting()
		b.release(q, "a", held)
		b.release(q, "a", other.granted())
		again.granted()
	})
}

// A request that comes while its owner's place is being given up, and the
// delete is under way, has not been removed by anybody.
func TestQueue_JoinsALeavingPlace(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, view := b.process("p")
		held := b.holder(q)
		c := b.acquire(q, b.request("a", "x", Forever))
		slow := make(chan struct{})
		view.SetHook(on(memory.OpDelete, "q", memory.Fault{Hold: slow}))
		c.cancel()
		c.failed(context.Canceled)
		again := b.acquire(q, b.request("a", "x", Forever))
		close(slow)
		again.waiting()
		view.SetHook(nil)
		b.release(q, "a", held)
		again.granted()
	})
}

// The last one to learn of a shared grant must not shorten what the first one
// has renewed meanwhile and relies on.
func TestQueue_SharedGrantNeverShortensARenewal(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		held := b.holder(p)
		one := b.acquire(p, b.request("a", "x", Forever))
		two := b.acquire(q, b.request("a", "x", Forever))
		slow := make(chan struct{})
		view.SetHook(func(op memory.Op, key string) memory.Fault {
			if strings.HasPrefix(key, "q/") && (op == memory.OpSwap || op == memory.OpRenew) {
				return memory.Fault{Pause: slow}
			}
			return memory.Fault{}
		})
		b.release(p, "a", held)
		one.granted()
		sent := time.Now()
		g, err := p.Renew(context.Background(), "a", Target{Value: "x"}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		valid := sent.Add(g.ValidFor(sent))
		close(slow)
		two.granted()
		time.Sleep(time.Until(valid))
		if got := b.entries("a"); len(got) != 1 {
			t.Errorf("line %+v at the end of the renewal, want the holder", got)
		}
	})
}

// A try that is refused leaves nothing behind, not even its TTL.
func TestQueue_RefusedTryChangesNothing(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		held := b.holder(q)
		c := b.acquire(q, b.request("a", "x", Forever))
		before := b.db.Writes()
		try := b.request("a", "x", 0)
		try.TTL = 5 * time.Second
		b.acquire(q, try).failedLate()
		if n := b.db.Writes() - before; n != 0 {
			t.Errorf("%d writes", n)
		}
		b.release(q, "a", held)
		if got := c.granted().TTL; got != time.Minute {
			t.Errorf("granted with TTL %v, want 1m", got)
		}
	})
}

// The last request leaves a place whose entry has gone meanwhile. One that comes
// at this moment has nothing to do with that entry.
func TestQueue_JoinsAPlaceThatIsGone(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		r, _ := b.process("r")
		b.holder(p)
		leaves := b.acquire(q, b.request("a", "x", Forever))
		b.acquire(r, b.request("a", "x", Forever))
		swap, get := make(chan struct{}), make(chan struct{})
		view.SetHook(func(op memory.Op, key string) (f memory.Fault) {
			switch {
			case !strings.HasPrefix(key, linesDir):
			case op == memory.OpSwap:
				f.Pause = swap
			case op == memory.OpGet:
				f.Pause = get
			}
			return f
		})
		leaves.cancel()
		synctest.Wait()
		if err := p.Release(context.Background(), "a", Target{Value: "x"}); err != nil {
			t.Fatal(err)
		}
		close(swap) // too late
		synctest.Wait()
		c := b.acquire(q, b.request("a", "x", Forever))
		close(get)
		c.waiting()
	})
}

// An entry of the same value is found held, and goes before it can be renewed for
// the one who has come. It was never his.
func TestQueue_FindsAHolderThatGoes(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		g := b.acquire(p, b.request("a", "x", Forever)).granted()
		b.acquire(p, b.request("a", "", Forever)).waiting()
		var swaps []chan struct{}
		for range 2 {
			swaps = append(swaps, make(chan struct{}))
		}
		var n atomic.Int32
		view.SetHook(func(op memory.Op, key string) (f memory.Fault) {
			if i := int(n.Load()); op == memory.OpSwap && strings.HasPrefix(key, linesDir) && i < len(swaps) {
				n.Add(1)
				f.Pause = swaps[i]
			}
			return f
		})
		c := b.acquire(q, b.request("a", "x", Forever))
		if _, err := p.Renew(context.Background(), "a", Target{Index: g.Index}, time.Minute); err != nil {
			t.Fatal(err)
		}
		close(swaps[0]) // it has changed: read anew
		synctest.Wait()
		b.release(p, "a", g)
		close(swaps[1]) // it is gone
		c.waiting()
	})
}

// Who comes with the value of a place whose entry was released, of which this
// process has not heard yet, has nothing to do with that entry: it is neither
// told that its entry was removed nor granted the lock with it.
func TestQueue_JoinsAPlaceThatWasReleased(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		g := b.holder(p)
		old := b.acquire(q, b.request("a", "x", Forever))
		deaf := make(chan struct{})
		view.SetHook(func(op memory.Op, key string) (f memory.Fault) {
			if op == memory.OpWatch && strings.HasPrefix(key, linesDir) {
				f.Pause = deaf
			}
			return f
		})
		if err := p.Release(context.Background(), "a", Target{Value: "x"}); err != nil {
			t.Fatal(err)
		}
		c := b.acquire(q, b.request("a", "x", Forever))
		close(deaf)
		old.failed(ErrRemoved)
		c.waiting()
		b.release(p, "a", g)
		c.granted()
	})
}

// Clients of two processes share a value, and all of them hang up at the moment
// of the grant. Each process leaves it to the other; the lock is free soon.
func TestQueue_SharersHangUpAtTheGrant(t *testing.T) {
	for name, told := range map[string]bool{"before its answer": false, "before it reached them": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, qview := b.process("q")
				r, rview := b.process("r")
				first := b.acquire(p, hourly(b.request("a", "", Forever))).granted()
				one := b.acquire(q, hourly(b.request("a", "x", Forever)))
				two := b.acquire(r, hourly(b.request("a", "x", Forever)))
				slow, deaf := make(chan struct{}), make(chan struct{})
				if !told {
					qview.SetHook(on(memory.OpSwap, "q", memory.Fault{Hold: slow}))
				}
				rview.SetHook(on(memory.OpWatch, "q", memory.Fault{Pause: deaf}))
				b.release(p, "a", first)
				if told {
					one.granted().Delivered(context.Canceled)
				} else {
					one.cancel()
					one.failed(context.Canceled)
				}
				two.cancel()
				two.failed(context.Canceled)
				close(slow)
				close(deaf)
				time.Sleep(2 * suspectEvery)
				for _, it := range b.entries("a") {
					t.Errorf("left in the line, held by nobody: %s, TTL %v", it.rec.State, it.entry.TTL)
				}
			})
		})
	}
}

// The same, but the other process's client stays: the lock is its.
func TestQueue_SharerStaysAtTheGrant(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		r, rview := b.process("r")
		first := b.acquire(p, hourly(b.request("a", "", Forever))).granted()
		one := b.acquire(q, hourly(b.request("a", "x", Forever)))
		two := b.acquire(r, hourly(b.request("a", "x", Forever)))
		deaf := make(chan struct{})
		rview.SetHook(on(memory.OpWatch, "q", memory.Fault{Pause: deaf}))
		b.release(p, "a", first)
		g := one.granted()
		g.Delivered(context.Canceled)
		synctest.Wait()
		rview.SetHook(nil)
		close(deaf)
		other := two.granted()
		other.Delivered(nil)
		if other.Index != g.Index {
			t.Errorf("index %d, want that of the place, %d", other.Index, g.Index)
		}
		b.stands(other)
	})
}

// That a grant reached nobody is known only after a while. The other process that
// shares it has left meanwhile, or is dead: the lock is free soon all the same.
func TestQueue_SharedGrantComesBackToNobody(t *testing.T) {
	for _, other := range []string{"has left", "is dead"} {
		t.Run(other, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, qview := b.process("q")
				r, rview := b.process("r")
				first := b.acquire(p, hourly(b.request("a", "", Forever))).granted()
				one := b.acquire(q, hourly(b.request("a", "x", Forever)))
				two := b.acquire(r, hourly(b.request("a", "x", Forever)))
				if other == "is dead" {
					b.crash(r, rview)
					time.Sleep(3 * sessionTTL) // what it left was looked through
				} else {
					rview.SetHook(on(memory.OpWatch, "q", memory.Fault{Pause: after(beat)}))
				}
				b.release(p, "a", first)
				g := one.granted()
				two.cancel()
				<-two.done
				time.Sleep(backWithin / 2)
				qview.SetHook(on(memory.OpSwap, "q", memory.Fault{Pause: after(beat)})) // who looks at once finds nothing
				g.Delivered(context.Canceled)
				time.Sleep(2 * sessionTTL)
				b.left(0)
			})
		})
	}
}
