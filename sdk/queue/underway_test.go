package queue

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// Of two entries created held at the same moment the later one does not hold
// the lock, and a renewal must not say so.
func TestQueue_RenewalOfARacingCreate(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, pview := b.process("p")
		q, qview := b.process("q")
		gate := make(chan struct{})
		hook := on(memory.OpCreate, "q", memory.Fault{Pause: gate})
		pview.SetHook(hook)
		qview.SetHook(hook)
		one := b.acquire(p, b.request("a", "x", Forever))
		two := b.acquire(q, b.request("a", "y", Forever))
		slow := make(chan struct{})
		look := on(memory.OpList, "q", memory.Fault{Pause: slow})
		qview.SetHook(look) // q does not learn that p was earlier
		pview.SetHook(look)
		close(gate)
		synctest.Wait()
		line := b.entries("a")
		if len(line) != 2 || line[1].rec.State != held {
			t.Fatalf("line %+v, want two held", line)
		}
		other, _ := b.process("other")
		for _, target := range []Target{{Value: line[1].rec.Value}, {Index: line[1].entry.Created}} {
			if g, err := other.Renew(context.Background(), "a", target, time.Minute); g != nil || !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Renew(%v) = %+v, %v, with index %d ahead", target, g, err, line[0].entry.Created)
			}
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if g, err := other.Renew(context.Background(), "a", Target{Index: line[1].entry.Created}, 5*time.Second); g != nil || err != nil {
				t.Errorf("Renew = %+v, %v, want it to find a waiter", g, err)
			}
		}()
		synctest.Wait()
		pview.SetHook(nil)
		qview.SetHook(nil)
		close(slow)
		<-done
		if line[0].rec.Value != "x" {
			one, two = two, one
		}
		b.release(p, "a", one.granted())
		if got := two.granted().TTL; got != 5*time.Second {
			t.Errorf("granted with TTL %v, want the renewed 5s", got)
		}
	})
}

// A grant is relied on from the write on that made the entry what it is. One
// that came to nothing, after it, starts no TTL.
func TestQueue_FailedWriteStartsNoTTL(t *testing.T) {
	for name, story := range map[string]func(b *bench, p, q *Queue, view *memory.Store) *call{
		"renewal": func(b *bench, _, q *Queue, view *memory.Store) *call {
			slow := make(chan struct{}) // so slow that the grant has to be renewed
			refuse := onceOn(memory.OpSwap, "q", memory.Fault{Refuse: store.ErrUnavailable})
			view.SetHook(func(op memory.Op, key string) memory.Fault {
				if op == memory.OpCreate {
					return memory.Fault{Hold: slow}
				}
				return refuse(op, key)
			})
			c := b.acquire(q, b.request("a", "x", Forever))
			time.Sleep(31 * time.Second)
			close(slow)
			return c
		},
		"conversion": func(b *bench, p, q *Queue, view *memory.Store) *call {
			heart := make(chan struct{})
			refuse := onceOn(memory.OpSwap, "q", memory.Fault{Refuse: store.ErrUnavailable})
			first, c := b.race(p, q, view, b.request("a", "x", Forever), func(op memory.Op, key string) memory.Fault {
				if strings.HasPrefix(key, sessionsDir) {
					return memory.Fault{Pause: heart} // q has no session yet and can't wait
				}
				return refuse(op, key)
			})
			time.Sleep(3 * time.Second)
			close(heart)
			b.release(p, "a", first)
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, view := b.process("q")
				c := story(b, p, q, view)
				time.Sleep(time.Second)
				b.stands(c.granted())
			})
		})
	}
}

// Of two entries created held at the same moment the later one is made to
// wait. That write is late; meanwhile the first one goes and the later one is
// granted the lock. It must not be made to wait then.
func TestQueue_LateConversionMeetsTheGrant(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		arrives := make(chan struct{})
		first, c := b.race(p, q, view, hourly(b.request("a", "x", Forever)), onceOn(memory.OpSwap, "q", memory.Fault{Late: arrives}))
		b.release(p, "a", first)
		time.Sleep(time.Second)
		g := c.granted()
		close(arrives)
		synctest.Wait()
		b.stands(g)
	})
}

// Nobody but who has created such an entry may make it wait: another process
// with the same value does not know whether its client was told meanwhile.
func TestQueue_SameValueUndoesNoGrant(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, qview := b.process("q")
		r, rview := b.process("r")
		look, swap := make(chan struct{}), make(chan struct{})
		first, c := b.race(p, r, rview, hourly(b.request("a", "x", Forever)), on(memory.OpList, "q", memory.Fault{Pause: look}))
		qview.SetHook(on(memory.OpSwap, "q", memory.Fault{Pause: swap}))
		same := b.acquire(q, hourly(b.request("a", "x", Forever)))
		behind := b.acquire(q, b.request("a", "", Forever))
		b.release(p, "a", first)
		close(look)
		g := c.granted()
		same.cancel()
		same.failed(context.Canceled)
		qview.SetHook(nil)
		close(swap)
		synctest.Wait()
		b.stands(g)
		behind.waiting()
	})
}

// A process that hears nothing of its line knows of a grant all the same, from
// a try or a renewal that it has served; in its view the one before is still
// there. A repeat that it is asked for must not undo the grant, but gets it.
func TestQueue_OldViewUndoesNoGrant(t *testing.T) {
	for name, tell := range map[string]func(b *bench, q *Queue) *Grant{
		"after a try": func(b *bench, q *Queue) *Grant {
			return b.acquire(q, hourly(b.request("a", "x", 0))).granted()
		},
		"after a renewal": func(b *bench, q *Queue) *Grant {
			g, err := q.Renew(context.Background(), "a", Target{Value: "x"}, time.Hour)
			if err != nil {
				b.t.Fatal(err)
			}
			return g
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, view := b.process("q")
				r, _ := b.process("r")
				first := b.holder(p)
				c := b.acquire(r, hourly(b.request("a", "x", Forever)))
				behind := b.acquire(q, b.request("a", "", Forever))
				deaf := make(chan struct{})
				view.SetHook(on(memory.OpWatch, "q", memory.Fault{Pause: deaf}))
				b.release(p, "a", first)
				c.granted()
				g := tell(b, q)
				again := b.acquire(q, hourly(b.request("a", "x", Forever)))
				b.stands(g)
				b.stands(again.granted())
				behind.waiting()
				close(deaf)
				behind.waiting()
			})
		})
	}
}

// Of two entries created held at the same moment the later one is left to who has
// created it. Another process waits for that with the same value: the lock
// reaches it too, however old what it is shown of the line.
func TestQueue_OldViewHidesNoGrant(t *testing.T) {
	for name, hook := range map[string]func(old *store.Listing) memory.Hook{
		"old list":   func(old *store.Listing) memory.Hook { return on(memory.OpList, "q", memory.Fault{Stale: old}) },
		"deaf watch": func(*store.Listing) memory.Hook { return on(memory.OpWatch, "", memory.Fault{Pause: after(time.Hour)}) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, qview := b.process("q")
				r, rview := b.process("r")
				x, look := hourly(b.request("a", "x", Forever)), make(chan struct{})
				first, c := b.race(p, r, rview, x, on(memory.OpList, "q", memory.Fault{Pause: look}))
				same := b.acquire(q, x)
				same.waiting()
				old, err := b.db.List(context.Background(), lineDir("a"), store.Local)
				if err != nil {
					t.Fatal(err)
				}
				qview.SetHook(hook(&old))
				b.release(p, "a", first)
				close(look)
				g := c.granted()
				time.Sleep(2 * beatLost) // a deaf watch is noticed
				b.stands(g)
				b.stands(same.granted())
			})
		})
	}
}

// A renewal meets the write that makes its entry wait. It must not say that
// the lock is held.
func TestQueue_RenewalMeetsAConversion(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, qview := b.process("q")
		r, rview := b.process("r")
		convert, renew, slow := make(chan struct{}), make(chan struct{}), make(chan struct{})
		first, c := b.race(p, r, rview, hourly(b.request("a", "x", Forever)), on(memory.OpSwap, "q", memory.Fault{Pause: convert}))
		b.release(p, "a", first)
		qview.SetHook(func(op memory.Op, _ string) (f memory.Fault) {
			if op == memory.OpSwap || op == memory.OpRenew {
				f.Pause = renew
			}
			return f
		})
		done := make(chan struct{})
		go func() {
			defer close(done)
			if g, err := q.Renew(context.Background(), "a", Target{Value: "x"}, 5*time.Second); g != nil || err != nil {
				t.Errorf("Renew = %+v, %v, want it to find a waiter", g, err)
			}
		}()
		synctest.Wait()
		rview.SetHook(on(memory.OpSwap, "q", memory.Fault{Pause: slow})) // it is not held again at once
		close(convert)
		synctest.Wait()
		qview.SetHook(nil)
		close(renew)
		<-done
		rview.SetHook(nil)
		close(slow)
		if got := c.granted().TTL; got != 5*time.Second {
			t.Errorf("granted with TTL %v, want the renewed 5s", got)
		}
	})
}

// A write is recognised by its content when its reply was lost. If the entry
// was renewed meanwhile, its TTL is no longer the one that was written.
func TestQueue_LostReplyOfWhatWasRenewed(t *testing.T) {
	for _, op := range []memory.Op{memory.OpCreate, memory.OpSwap} {
		t.Run(string(op), func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, view := b.process("q")
				x := hourly(b.request("a", "x", Forever))
				lose := onceOn(op, "q", memory.Fault{Lose: store.ErrUnavailable})
				var c *call
				if op == memory.OpSwap {
					first := b.holder(p)
					c = b.acquire(q, x)
					view.SetHook(lose)
					b.release(p, "a", first)
				} else {
					view.SetHook(lose)
					b.acquire(q, x).failed(store.ErrUnavailable)
				}
				g, err := p.Renew(context.Background(), "a", Target{Value: "x"}, 5*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				if op == memory.OpCreate {
					c = b.acquire(q, x)
				}
				time.Sleep(time.Second)
				b.stands(g)
				b.stands(c.granted())
			})
		})
	}
}

// What nobody here waits on is being removed when a request comes that finds it
// still there. That one waits on, and is not told of the removal.
func TestQueue_RemovalMeetsARequest(t *testing.T) {
	for name, leave := range map[string]func(b *bench, q *Queue, view *memory.Store){
		"of what came late": func(b *bench, q *Queue, view *memory.Store) {
			arrives := make(chan struct{})
			late(view, arrives)
			b.acquire(q, b.request("a", "x", Forever)).failed(store.ErrUnavailable)
			time.Sleep(time.Second / 2)
			close(arrives)
		},
		"of an orphan": func(b *bench, q *Queue, _ *memory.Store) {
			b.put("a", "x", "q")
			q.session.suspect()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, view := b.process("q")
				first := b.holder(p)
				leave(b, q, view)
				slow := make(chan struct{})
				var removals atomic.Int32
				view.SetHook(func(op memory.Op, key string) (f memory.Fault) {
					if op == memory.OpDelete && strings.HasPrefix(key, "q") {
						removals.Add(1)
						f.Pause = slow
					}
					return f
				})
				time.Sleep(suspectEvery + beat)
				if n := removals.Load(); n != 1 {
					t.Fatalf("%d removals under way, want 1", n)
				}
				place := b.entries("a")[1].entry.Created
				c := b.acquire(q, b.request("a", "x", Forever))
				close(slow)
				c.waiting()
				b.release(p, "a", first)
				if got := c.granted().Index; got != place {
					t.Errorf("index %d, want the place that it found, %d", got, place)
				}
			})
		})
	}
}

// A client hangs up, and the delete of its entry is late. A new request with
// its value comes before: it neither loses its place by that nor, if it finds
// itself the holder, the lock that it was told it has.
func TestQueue_LateDeleteMeetsARequest(t *testing.T) {
	for _, found := range []state{waiting, held} {
		t.Run(string(found), func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, view := b.process("q")
				if found == waiting {
					b.acquire(p, hourly(b.request("a", "", Forever))).granted()
				}
				reply, arrives := make(chan struct{}), make(chan struct{})
				view.SetHook(on(memory.OpCreate, "q", memory.Fault{Hold: reply}))
				c := b.acquire(q, b.request("a", "x", Forever))
				c.cancel()
				c.failed(context.Canceled)
				view.SetHook(onceOn(memory.OpDelete, "q", memory.Fault{Late: arrives}))
				close(reply)
				synctest.Wait()
				again := b.acquire(q, b.request("a", "x", Forever))
				time.Sleep(time.Second)
				if found == waiting {
					again.waiting()
					close(arrives)
					again.waiting()
				} else {
					g := again.granted()
					close(arrives)
					synctest.Wait()
					b.stands(g)
				}
			})
		})
	}
}
