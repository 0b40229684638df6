package queue

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// A create that took effect long after it was given up leaves an entry that
// names this process. The next request of that owner takes it, and is woken.
func TestQueue_TakesItsOwnLateEntry(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		held := b.holder(p)
		late := record{Value: "x"}.with(waiting, time.Minute, []string{"q"})
		if _, err := b.db.Create(context.Background(), lineDir("a")+"/"+entryID("x", ""), late.encode(), 0); err != nil {
			t.Fatal(err)
		}
		c := b.acquire(q, b.request("a", "x", Forever))
		c.waiting()
		b.release(p, "a", held)
		c.granted()
	})
}

// A create whose outcome is unknown may take effect when nobody waits for it
// any more: a member of etcd that was cut off passes it on. It must not be in
// the way of others, neither as a waiting entry nor as a held one, but for
// whom has found it there and taken it over.
func TestQueue_LateCreateIsTakenBack(t *testing.T) {
	for name, busy := range map[string]bool{"held": false, "waiting": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, view := b.process("q")
				var g *Grant
				if busy {
					g = b.holder(p)
				}
				arrives := make(chan struct{})
				view.SetHook(func(op memory.Op, key string) memory.Fault {
					if op == memory.OpCreate && strings.HasPrefix(key, linesDir) {
						return memory.Fault{Late: arrives}
					}
					return memory.Fault{}
				})
				r := b.request("a", "", Forever)
				r.TTL = time.Hour
				taken := b.request("b", "x", Forever)
				b.acquire(q, r).failed(store.ErrUnavailable)
				b.acquire(q, taken).failed(store.ErrUnavailable)
				time.Sleep(30 * time.Second)
				close(arrives)
				synctest.Wait()
				view.SetHook(nil)
				b.acquire(q, taken).granted()
				time.Sleep(suspectEvery + 2*beat)
				if busy {
					b.release(p, "a", g)
				}
				b.acquire(p, b.request("a", "", 0)).granted()
				if got := len(b.entries("b")); got != 1 {
					t.Errorf("%d entries of who has come back, want 1", got)
				}
			})
		})
	}
}

// The create is repeated, the lock is obtained and released again, and then the
// first copy takes effect.
func TestQueue_LateCreateAfterTheRelease(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		arrives := make(chan struct{})
		late(view, arrives)
		r := b.request("a", "x", Forever)
		r.TTL = time.Hour
		b.acquire(q, r).failed(store.ErrUnavailable)
		again := b.acquire(q, r) // before the place of the first one is cleared away
		time.Sleep(time.Second)
		b.release(q, "a", again.granted())
		close(arrives)
		synctest.Wait()
		if got := b.entries("a"); len(got) != 1 {
			t.Fatalf("%d entries, want the late one", len(got))
		}
		time.Sleep(suspectEvery + 2*beat)
		b.acquire(p, b.request("a", "", 0)).granted()
	})
}

// The same owner comes again and waits with the entry that came late.
func TestQueue_LateCreateIsAdopted(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		r := b.request("a", "", Forever)
		r.TTL = time.Hour
		g := b.acquire(p, r).granted()
		arrives := make(chan struct{})
		late(view, arrives)
		b.acquire(q, b.request("a", "x", Forever)).failed(store.ErrUnavailable)
		time.Sleep(time.Second) // it is given up
		close(arrives)
		synctest.Wait()
		place := b.entries("a")[1].entry.Created
		c := b.acquire(q, b.request("a", "x", Forever))
		b.acquire(p, b.request("a", "", Forever)).waiting()
		time.Sleep(2 * lateKept)
		b.release(p, "a", g)
		if got := c.granted(); got.Index != place {
			t.Errorf("granted with index %d, want %d", got.Index, place)
		}
	})
}

// What came late and was renewed is somebody's.
func TestQueue_LateCreateThatWasRenewedStays(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		arrives := make(chan struct{})
		late(view, arrives)
		b.acquire(q, hourly(b.request("a", "x", Forever))).failed(store.ErrUnavailable)
		time.Sleep(time.Second)
		close(arrives)
		synctest.Wait()
		g, err := p.Renew(context.Background(), "a", Target{Value: "x"}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(g.left() - time.Second)
		b.acquire(p, b.request("a", "y", 0)).refused()
	})
}

// Requests that find what came late, and leave again, leave nothing behind.
func TestQueue_LateCreateThatNobodyTakes(t *testing.T) {
	for name, story := range map[string]func(b *bench, p, q *Queue, view *memory.Store, arrives chan struct{}){
		"seen by one that does not wait": func(b *bench, p, q *Queue, _ *memory.Store, arrives chan struct{}) {
			time.Sleep(time.Second)
			g := b.acquire(p, hourly(b.request("a", "", Forever))).granted()
			close(arrives)
			synctest.Wait()
			b.acquire(q, hourly(b.request("a", "x", 0))).refused()
			b.release(p, "a", g)
		},
		"after another one with the value": func(b *bench, p, _ *Queue, _ *memory.Store, arrives chan struct{}) {
			g := b.acquire(p, hourly(b.request("a", "x", Forever))).granted()
			time.Sleep(time.Second) // the place is left while that one stands there
			b.release(p, "a", g)
			close(arrives)
		},
		"while its repetition fails": func(b *bench, _, q *Queue, view *memory.Store, arrives chan struct{}) {
			time.Sleep(time.Second)
			second := make(chan struct{})
			view.SetHook(func(op memory.Op, key string) (f memory.Fault) {
				if op == memory.OpCreate && strings.HasPrefix(key, linesDir) {
					f.Pause, f.Refuse = second, store.ErrUnavailable
				}
				return f
			})
			c := b.acquire(q, hourly(b.request("a", "x", Forever)))
			close(arrives)
			synctest.Wait()
			close(second)
			c.failed(store.ErrUnavailable)
			view.SetHook(nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, view := b.process("q")
				arrives := make(chan struct{})
				late(view, arrives)
				b.acquire(q, hourly(b.request("a", "x", Forever))).failed(store.ErrUnavailable)
				story(b, p, q, view, arrives)
				time.Sleep(lateLast)
				b.acquire(p, b.request("a", "", 0)).granted()
			})
		})
	}
}

// The write that obtains the lock is repeated, and the first copy takes effect
// when its client has hung up, just before the entry is removed. It is
// recognised, whoever has written the entry before: nobody must hold the lock
// by it.
func TestQueue_LateHoldIsTakenBack(t *testing.T) {
	for _, before := range []string{"written here", "renewed elsewhere"} {
		t.Run(before, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, view := b.process("q")
				first := b.holder(p)
				c := b.acquire(q, hourly(b.request("a", "x", Forever)))
				if before == "renewed elsewhere" {
					if _, err := p.Renew(context.Background(), "a", Target{Value: "x"}, time.Hour); err != nil {
						t.Fatal(err)
					}
				}
				arrives, remove := make(chan struct{}), make(chan struct{})
				hold := onceOn(memory.OpSwap, "q", memory.Fault{Late: arrives})
				view.SetHook(func(op memory.Op, key string) memory.Fault {
					f := hold(op, key)
					switch {
					case !strings.HasPrefix(key, "q"):
					case op == memory.OpSwap && f.Late == nil:
						f.Refuse = store.ErrUnavailable
					case op == memory.OpDelete:
						f.Pause = remove
					}
					return f
				})
				b.release(p, "a", first)
				time.Sleep(time.Second)
				c.cancel()
				c.failed(context.Canceled)
				time.Sleep(time.Second) // it was read, and still waits
				close(arrives)
				synctest.Wait()
				close(remove)
				synctest.Wait()
				b.left(0)
			})
		})
	}
}

// Of two creates whose outcome is unknown the first one takes effect, which was
// given up for the second. Who is granted the lock with it keeps it, although
// what was given up is removed when it comes.
func TestQueue_GrantByACreateThatWasGivenUp(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, view := b.process("q")
		first, second := make(chan struct{}), make(chan struct{})
		late(view, first)
		b.acquire(q, b.request("a", "x", Forever)).failed(store.ErrUnavailable)
		again := b.acquire(q, b.request("a", "x", Forever)) // before the place is cleared away
		late(view, second)
		time.Sleep(firstPause + firstPause/2)
		again.failed(store.ErrUnavailable)
		close(first)
		c := b.acquire(q, b.request("a", "x", Forever))
		time.Sleep(time.Second)
		g := c.granted()
		close(second)
		time.Sleep(2 * lateFirst)
		b.stands(g)
	})
}

// The same value comes again after a create that was given up, and is granted the
// lock with it. If that one can't be told either, nobody holds it.
func TestQueue_GrantByALateCreateIsTakenBack(t *testing.T) {
	for name, untold := range map[string]func(b *bench, q *Queue, view *memory.Store, x Request){
		"undelivered": func(b *bench, q *Queue, _ *memory.Store, x Request) {
			b.acquire(q, x).granted().Delivered(context.Canceled)
		},
		"lost reply": func(b *bench, q *Queue, view *memory.Store, x Request) {
			view.SetHook(onceOn(memory.OpSwap, "q", memory.Fault{Lose: store.ErrUnavailable}))
			b.acquire(q, x).failed(store.ErrUnavailable)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				q, view := b.process("q")
				x, arrives := hourly(b.request("a", "x", Forever)), make(chan struct{})
				late(view, arrives)
				b.acquire(q, x).failed(store.ErrUnavailable)
				time.Sleep(lateFirst / 2)
				close(arrives)
				synctest.Wait()
				untold(b, q, view, x)
				time.Sleep(2 * lateFirst)
				b.left(0)
			})
		})
	}
}

// A request that joins another process's entry is told of an outage, and the
// write by which it joined is late. When the other process dies, the entry must
// not be kept for its sake.
func TestQueue_LateJoinKeepsNoEntry(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, qview := b.process("q")
		r, rview := b.process("r")
		first := b.acquire(p, hourly(b.request("a", "", Forever))).granted()
		b.acquire(p, hourly(b.request("b", "", Forever))).granted()
		b.acquire(q, b.request("b", "", Forever)).waiting() // q's session stays
		b.acquire(r, b.request("a", "x", Forever)).waiting()
		arrives := make(chan struct{})
		qview.SetHook(onceOn(memory.OpSwap, "q", memory.Fault{Late: arrives}))
		b.acquire(q, b.request("a", "x", Forever)).failed(store.ErrUnavailable)
		time.Sleep(time.Second)
		close(arrives)
		synctest.Wait()
		if got := b.entries("a")[1].rec.Sessions; slices.Contains(got, "q") {
			t.Errorf("the entry names %v, want it not to name q", got)
		}
		b.crash(r, rview)
		b.release(p, "a", first)
		behind := b.acquire(p, b.request("a", "", Forever))
		time.Sleep(3 * sessionTTL)
		behind.granted()
	})
}

// Who takes over an entry that came late and names this process waits on it for
// good: that its session has gone meanwhile costs it nothing.
func TestQueue_LateEntryOutlivesTheSession(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		b.acquire(p, hourly(b.request("a", "", Forever))).granted()
		b.acquire(p, b.request("a", "", Forever)).waiting() // p judges
		arrives := make(chan struct{})
		late(view, arrives)
		b.acquire(q, b.request("a", "x", Forever)).failed(store.ErrUnavailable)
		time.Sleep(2 * sessionIdle)
		close(arrives)
		synctest.Wait()
		place := b.entries("a")[2].entry.Created
		c := b.acquire(q, b.request("a", "x", Forever))
		time.Sleep(3 * sessionTTL)
		c.waiting()
		if got := b.entries("a")[2].entry.Created; got != place {
			t.Errorf("waits with index %d, want the place that it found, %d", got, place)
		}
	})
}

// A create that was given up takes effect behind a holder. The same value comes
// again and keeps that place for as long as it waits, although the entry was
// created to be held.
func TestQueue_LateCreateBehindAHolder(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		x := b.request("a", "x", Forever)
		arrives := make(chan struct{})
		late(view, arrives)
		b.acquire(q, x).failed(store.ErrUnavailable)
		time.Sleep(time.Second)
		first := b.acquire(p, hourly(b.request("a", "", Forever))).granted()
		close(arrives)
		synctest.Wait()
		place := b.entries("a")[1].entry.Created
		c := b.acquire(q, x)
		time.Sleep(2 * x.TTL)
		b.release(p, "a", first)
		if got := c.granted().Index; got != place {
			t.Errorf("index %d, want the place that it found, %d", got, place)
		}
	})
}
