package queue

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// Writes that are under way, our own or another process's, meet a grant or a
// new request: here is what each of them may find, and must not spoil.

// onceOn is on for the first such call only.
func onceOn(op memory.Op, prefix string, f memory.Fault) memory.Hook {
	var n atomic.Int32
	return func(o memory.Op, key string) memory.Fault {
		if o == op && strings.HasPrefix(key, prefix) && n.Add(1) == 1 {
			return f
		}
		return memory.Fault{}
	}
}

// race has q create the entry of r held, although p was granted the lock a
// moment before. The hook is what q's view has from then on.
func (b *bench) race(p, q *Queue, view *memory.Store, r Request, hook memory.Hook) (first *Grant, second *call) {
	b.t.Helper()
	gate := make(chan struct{})
	view.SetHook(on(memory.OpCreate, "q", memory.Fault{Pause: gate}))
	second = b.acquire(q, r)
	first = b.acquire(p, hourly(b.request(r.Name, "", Forever))).granted()
	view.SetHook(hook)
	close(gate)
	synctest.Wait()
	return first, second
}

// stands fails the test unless g holds lock a, and its entry stays for as long
// as whoever was told of g relies on it.
func (b *bench) stands(g *Grant) {
	b.t.Helper()
	line := b.entries("a")
	if len(line) == 0 {
		b.t.Fatalf("nothing in the line, want index %d held", g.Index)
	}
	if first := line[0]; first.entry.Created != g.Index || first.rec.State != held || first.entry.TTL < g.left() {
		b.t.Fatalf("first in the line is %+v, want index %d held for %v", first, g.Index, g.left())
	}
}

// put has an entry wait in a line that names those sessions, without a request.
func (b *bench) put(name, value string, sessions ...string) {
	b.t.Helper()
	r := record{Value: value}.with(waiting, time.Minute, sessions)
	if _, err := b.db.Create(context.Background(), lineDir(name)+"/"+entryID(value, ""), r.encode(), 0); err != nil {
		b.t.Fatal(err)
	}
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
				first := b.acquire(p, b.request("a", "", Forever)).granted()
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
					first := b.acquire(p, b.request("a", "", Forever)).granted()
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
				first := b.acquire(p, b.request("a", "", Forever)).granted()
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
				first := b.acquire(p, b.request("a", "", Forever)).granted()
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
				if got := b.entries("a"); len(got) != 0 {
					t.Errorf("left in the line: %+v", got)
				}
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
				if got := b.entries("a"); len(got) != 0 {
					t.Errorf("left in the line: %+v", got)
				}
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
				if got := b.entries("a"); len(got) != 0 {
					t.Errorf("left in the line: %+v", got)
				}
			})
		})
	}
}
