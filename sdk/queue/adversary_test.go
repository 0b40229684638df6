package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// on returns a hook that answers calls of op below prefix with f, others not
// at all.
func on(op memory.Op, prefix string, f memory.Fault) memory.Hook {
	return func(o memory.Op, key string) memory.Fault {
		if o == op && strings.HasPrefix(key, prefix) {
			return f
		}
		return memory.Fault{}
	}
}

func refuseAll(memory.Op, string) memory.Fault {
	return memory.Fault{Refuse: store.ErrUnavailable}
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
		held := b.acquire(q, b.request("a", "", Forever)).granted()
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
		held := b.acquire(q, b.request("a", "", Forever)).granted()
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

// A create that took effect long after it was given up leaves an entry that
// names this process. The next request of that owner takes it, and is woken.
func TestQueue_TakesItsOwnLateEntry(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		held := b.acquire(p, b.request("a", "", Forever)).granted()
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

// Who does not wait, or has no place to keep, is told of an outage; also on a
// value that waits here or holds the lock.
func TestQueue_OutageIsToldToWhoHasNoPlace(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		b.acquire(p, b.request("a", "h", Forever)).granted()
		c := b.acquire(q, b.request("a", "x", Forever))
		view.SetHook(refuseAll)
		b.acquire(q, b.request("a", "x", 0)).failed(store.ErrUnavailable)
		b.acquire(q, b.request("a", "h", Forever)).failed(store.ErrUnavailable)
		c.waiting()
	})
}

// A timeout during an outage must not be answered with who held the lock
// before it, nor with nobody.
func TestQueue_TimeoutInAnOutage(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		b.acquire(p, b.request("a", "h", Forever)).granted()
		c := b.acquire(q, b.request("a", "x", 10*time.Second))
		view.SetHook(func(memory.Op, string) memory.Fault {
			return memory.Fault{Pause: after(4 * time.Second), Refuse: store.ErrUnavailable}
		})
		b.acquire(q, b.request("b", "x", time.Second)).fails(store.ErrUnavailable)
		c.fails(store.ErrUnavailable)
	})
}

func (c *call) fails(want error) { c.t.Helper(); <-c.done; c.failed(want) }

func after(d time.Duration) <-chan struct{} {
	over := make(chan struct{})
	time.AfterFunc(d, func() { close(over) })
	return over
}

// When every call takes its time to fail, those who come in great number are
// told in bounded time all the same.
func TestQueue_OutageIsToldInBoundedTime(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, view := b.process("p")
		view.SetHook(func(memory.Op, string) memory.Fault {
			return memory.Fault{Pause: after(4 * time.Second), Refuse: store.ErrUnavailable}
		})
		var calls []*call
		for range 50 * maxWorkers {
			calls = append(calls, b.start(q, b.request("a", "", Forever)))
		}
		time.Sleep(10 * time.Second)
		for _, c := range calls {
			c.failed(store.ErrUnavailable)
		}
	})
}

// A reload must not cost the requests that went over their clean leaving: the
// drained process is named by their entries and waits on them no more.
func TestQueue_HandedOverWaiterLeaves(t *testing.T) {
	for _, value := range []string{"", "x"} {
		t.Run("value "+value, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, err := New(Options{Store: b.db.Sub(""), Session: "old"})
				if err != nil {
					t.Fatal(err)
				}
				b.acquire(p, b.request("a", "", Forever)).granted()
				r := b.request("a", value, Forever)
				c := b.acquire(q, r)
				next, _ := b.process("next")
				q.Drain(true)
				c.failed(ErrHandover)
				again := b.acquire(next, r)
				if err := q.Close(context.Background()); err != nil {
					t.Fatal(err)
				}
				again.waiting()
				again.cancel()
				again.failed(context.Canceled)
				if got := b.entries("a"); len(got) != 1 {
					t.Errorf("left in the line: %+v", got)
				}
			})
		})
	}
}

// A client that hung up before the handover leaves nothing, even if its entry
// was only being deleted then.
func TestQueue_LeavesDuringHandover(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		b.acquire(p, b.request("a", "", Forever)).granted()
		c := b.acquire(q, b.request("a", "", Forever))
		gate := make(chan struct{})
		changed := on(memory.OpDelete, "q", memory.Fault{Pause: gate, Refuse: store.ErrUnavailable})
		view.SetHook(changed)
		c.cancel()
		c.failed(context.Canceled)
		q.Drain(true)
		view.SetHook(nil)
		close(gate)
		time.Sleep(time.Second)
		if got := b.entries("a"); len(got) != 1 {
			t.Errorf("left in the line: %+v", got)
		}
	})
}

// What was handed over is not an orphan, as long as the successor takes.
func TestQueue_SweepSparesWhatWasHandedOver(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		b.acquire(p, b.request("a", "", Forever)).granted()
		c := b.acquire(q, b.request("a", "", Forever))
		q.Drain(true)
		c.failed(ErrHandover)
		q.session.suspect()
		time.Sleep(2 * suspectEvery)
		if got := b.entries("a"); len(got) != 2 {
			t.Errorf("line %+v, want the entry that was handed over in it", got)
		}
		q.Close(context.Background()) //nolint:errcheck // only for its session to end
		b.acquire(p, b.request("a", "", 3*sessionTTL)).failedLate()
	})
}

// The successor does not give up when a removal fails.
func TestQueue_SuccessorClearsInTheEnd(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		b.acquire(p, b.request("a", "", Forever)).granted()
		b.acquire(q, b.request("a", "", Forever))
		b.crash(q, view)
		_, view = b.process("next", "q")
		view.SetHook(on(memory.OpDelete, "q", memory.Fault{Refuse: store.ErrUnavailable}))
		time.Sleep(graceAnonymous + time.Second)
		view.SetHook(nil)
		time.Sleep(graceAnonymous)
		if got := b.entries("a"); len(got) != 1 {
			t.Errorf("left in the line: %+v", got)
		}
	})
}

// A resumed request that is slow to join keeps its place.
func TestQueue_SlowlyResumedKeepsItsPlace(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		g := b.acquire(p, b.request("a", "", Forever)).granted()
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
				if got := b.entries("a"); len(got) != 0 {
					t.Errorf("left in the line: %+v", got)
				}
			})
		})
	}
}

// Whoever clears away the many entries of a dead process keeps its own session
// up meanwhile.
func TestQueue_JudgeKeepsItsOwnSession(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, view := b.process("p")
		q, qview := b.process("q")
		b.acquire(p, b.request("a", "", Forever)).granted()
		for range 300 {
			b.acquire(q, b.request("a", "", Forever))
		}
		alive := b.acquire(p, b.request("a", "", Forever))
		b.crash(q, qview)
		view.SetHook(func(op memory.Op, key string) memory.Fault {
			if op == memory.OpDelete {
				return memory.Fault{Pause: after(100 * time.Millisecond)}
			}
			return memory.Fault{}
		})
		for n := len(b.entries("a")); n > 2; n = len(b.entries("a")) {
			time.Sleep(beat)
			if _, err := b.db.Get(context.Background(), sessionKey("p"), store.Linearizable); err != nil {
				t.Fatalf("session of the judge: %v, with %d entries left", err, n)
			}
			if _, err := p.Renew(context.Background(), "a", Target{Index: b.entries("a")[0].entry.Created}, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		alive.waiting()
	})
}

// An entry that a living and a dead process share is no reason to look through
// all lines again and again.
func TestQueue_NoEndlessSweep(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, view := b.process("p")
		q, qview := b.process("q")
		g := b.acquire(p, b.request("a", "", Forever)).granted()
		b.acquire(q, b.request("a", "x", Forever))
		c := b.acquire(p, b.request("a", "x", Forever))
		b.crash(q, qview)
		time.Sleep(4 * sessionTTL)
		var lists atomic.Int32
		view.SetHook(func(op memory.Op, key string) memory.Fault {
			if op == memory.OpList && key == linesDir {
				lists.Add(1)
			}
			return memory.Fault{}
		})
		p.Renew(context.Background(), "a", Target{Index: g.Index}, time.Hour) //nolint:errcheck // seen below
		time.Sleep(2 * time.Minute)
		if n := lists.Load(); n > 1 {
			t.Errorf("%d sweeps in two minutes", n)
		}
		c.waiting()
		c.cancel() // now only the dead one is named
		time.Sleep(2 * sessionTTL)
		if got := b.entries("a"); len(got) != 1 {
			t.Errorf("left in the line: %+v", got)
		}
	})
}

// A process that was cut off for so long that others miss its session writes
// it again before anything waits on it.
func TestQueue_WaitsForItsSessionAfterAnOutage(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		r := b.request("a", "", Forever)
		r.TTL = time.Hour
		g := b.acquire(p, r).granted()
		b.acquire(p, b.request("a", "", Forever)).waiting() // p judges
		old := b.acquire(q, b.request("a", "", Forever))
		view.SetHook(refuseAll)
		time.Sleep(3 * sessionTTL)
		heart := make(chan struct{})
		view.SetHook(func(op memory.Op, key string) memory.Fault {
			if strings.HasPrefix(key, "s/") && op != memory.OpWatch {
				return memory.Fault{Pause: heart}
			}
			return memory.Fault{}
		})
		time.Sleep(beat)
		c := b.acquire(q, b.request("a", "", Forever))
		time.Sleep(2500 * time.Millisecond)
		close(heart)
		view.SetHook(nil)
		old.fails(ErrRemoved)
		time.Sleep(2 * sessionTTL)
		c.waiting()
		_ = g
	})
}

// The last one to learn of a shared grant must not shorten what the first one
// has renewed meanwhile and relies on.
func TestQueue_SharedGrantNeverShortensARenewal(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		held := b.acquire(p, b.request("a", "", Forever)).granted()
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

// A try that is refused leaves nothing behind, not even its TTL.
func TestQueue_RefusedTryChangesNothing(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		held := b.acquire(q, b.request("a", "", Forever)).granted()
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

// Requests that never wait find a line that only the dead stand in. They have
// no mirror that would be judged, and get the lock all the same.
func TestQueue_TriesClearWhatIsLeftOver(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		held := b.acquire(p, b.request("a", "", Forever)).granted()
		b.acquire(q, b.request("a", "", Forever))
		b.crash(q, view)
		time.Sleep(3 * sessionTTL) // nobody cares
		b.release(p, "a", held)
		b.acquire(p, b.request("a", "", 0)).failedLate()
		time.Sleep(3 * sessionTTL)
		b.acquire(p, b.request("a", "", 0)).granted()
	})
}

// To say who holds a lock takes one key, however many wait for it here.
func TestQueue_LongLinesAreNotListed(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, view := b.process("p")
		g := b.acquire(q, b.request("a", "h", Forever)).granted()
		for i := range 100 {
			b.acquire(q, b.request("a", fmt.Sprint(i), Forever))
		}
		view.SetHook(on(memory.OpList, linesDir, memory.Fault{Refuse: errors.New("listed")}))
		s, err := q.Status(context.Background(), "a")
		if err != nil || !s.Held || s.Index != g.Index || s.Value != "h" || s.Waiting != 100 || s.Remaining != time.Minute {
			t.Errorf("Status = %+v, %v", s, err)
		}
		b.acquire(q, b.request("a", "", 0)).failedLate()
		b.acquire(q, b.request("a", "99", 0)).failedLate()
		b.acquire(q, b.request("a", "h", 0)).granted()
		b.release(q, "a", g)
		if s, err := q.Status(context.Background(), "a"); err != nil || !s.Held || s.Value != "0" || s.Waiting != 99 {
			t.Errorf("Status = %+v, %v", s, err)
		}
	})
}

// A repeat renews a grant that others brought about and were told of. It must
// not count as its own when the reply of the renewal was lost.
func TestQueue_LostRenewalReleasesNothing(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		g := b.acquire(p, b.request("a", "x", Forever)).granted()
		g.Delivered(nil)
		view.SetHook(on(memory.OpSwap, "q", memory.Fault{Lose: store.ErrUnavailable}))
		b.acquire(q, b.request("a", "x", Forever)).failed(store.ErrUnavailable)
		view.SetHook(nil)
		time.Sleep(5 * time.Second)
		if s, err := p.Status(context.Background(), "a"); err != nil || s.Index != g.Index {
			t.Errorf("Status = %+v, %v, want index %d held", s, err, g.Index)
		}
	})
}

// A heartbeat that a held-up watch shows late proves no contact: what it shows
// of other sessions is as old.
func TestQueue_OldHeartbeatJudgesNobody(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		b.acquire(q, b.request("a", "", Forever)).granted()
		b.acquire(q, b.request("a", "", Forever)).waiting() // for the session to be up
		time.Sleep(time.Minute)
		const gone = "x"
		s := q.session
		for _, age := range []time.Duration{0, 2 * sessionTTL} {
			sent := time.Now().Add(-age)
			s.mu.Lock()
			s.seen = time.Now().Add(-2 * sessionTTL)
			s.since[sessionKey(gone)] = []absence{{at: time.Now().Add(-2 * sessionTTL), rev: 1}}
			rev := s.rev
			s.mu.Unlock()
			s.apply(context.Background(), []store.Event{{Type: store.EventPut, Revision: rev + 1, Entry: store.Entry{
				Key: s.key, Value: fmt.Sprint("nonce ", int64(sent.Sub(s.born))),
			}}})
			if got, want := s.dead(gone, 1), age == 0; got != want {
				t.Errorf("with a heartbeat sent %v ago: dead = %v, want %v", age, got, want)
			}
		}
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
					g = b.acquire(p, b.request("a", "", Forever)).granted()
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

// The last request leaves a place whose entry has gone meanwhile. One that comes
// at this moment has nothing to do with that entry.
func TestQueue_JoinsAPlaceThatIsGone(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		r, _ := b.process("r")
		b.acquire(p, b.request("a", "", Forever)).granted()
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

// late has the next create of view take effect when arrives is closed.
func late(view *memory.Store, arrives <-chan struct{}) {
	var once sync.Once
	view.SetHook(func(op memory.Op, key string) (f memory.Fault) {
		if op == memory.OpCreate && strings.HasPrefix(key, linesDir) {
			once.Do(func() { f.Late = arrives })
		}
		return f
	})
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

func (c *call) refused() {
	c.t.Helper()
	<-c.done
	if !errors.As(c.err, new(*NotObtainedError)) {
		c.t.Fatalf("Acquire = %+v, %v; want it not to be obtained", c.grant, c.err)
	}
}

func hourly(r Request) Request {
	r.TTL = time.Hour
	return r
}

// An entry that living processes join and leave again and again names a dead
// one, too. That must not put off what else the dead one has left.
func TestQueue_BusyEntryOfADeadProcess(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, qview := b.process("q")
		r, _ := b.process("r")
		s, _ := b.process("s")
		b.acquire(p, hourly(b.request("a", "", Forever))).granted()
		b.acquire(p, hourly(b.request("b", "", Forever))).granted()
		b.acquire(q, b.request("a", "", Forever)).waiting()
		b.acquire(p, b.request("a", "", Forever)).waiting()
		b.acquire(q, b.request("b", "x", Forever)).waiting()
		stays := b.acquire(s, b.request("b", "x", Forever))
		b.crash(q, qview)
		for end := time.Now().Add(5 * time.Minute); len(b.entries("a")) != 2; {
			if time.Now().After(end) {
				t.Fatalf("line a is still %+v", b.entries("a"))
			}
			<-b.acquire(r, b.request("b", "x", time.Second)).done
			time.Sleep(time.Second)
		}
		stays.waiting()
		stays.cancel()
		time.Sleep(3 * sessionTTL)
	})
}

// A place that was handed over is kept for a repeat as long as after a crash.
func TestQueue_HandedOverPlaceIsKept(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		b.acquire(p, hourly(b.request("a", "", Forever))).granted()
		b.acquire(p, b.request("a", "", Forever)).waiting()
		c := b.acquire(q, b.request("a", "x", Forever))
		q.Drain(true)
		c.failed(ErrHandover)
		if err := q.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{3, 2} {
			time.Sleep(graceValue - beat)
			if got := len(b.entries("a")); got != want {
				t.Errorf("%d entries, want %d", got, want)
			}
		}
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
		g := b.acquire(p, b.request("a", "", Forever)).granted()
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

// A session that was missed for long, and whose process then writes an entry,
// was not missed in a view that has the entry.
func TestQueue_EntryAfterTheSessionIsNoLeftOver(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		b.acquire(p, b.request("a", "", Forever)).granted()
		b.acquire(p, b.request("a", "", Forever)).waiting() // p judges
		add := func(value string) {
			e := record{Value: value}.with(waiting, time.Minute, []string{"q"})
			if _, err := b.db.Create(context.Background(), lineDir("a")+"/"+entryID(value, ""), e.encode(), 0); err != nil {
				t.Fatal(err)
			}
		}
		add("x")
		time.Sleep(sessionTTL - beat/2) // between two looks of p
		add("y")
		if _, err := b.db.Put(context.Background(), sessionKey("z"), "its heartbeat", sessionTTL); err != nil {
			t.Fatal(err) // p's view of sessions is as new as y now
		}
		time.Sleep(sessionTTL - 2*beat)
		if got := b.entries("a"); got[len(got)-1].rec.Value != "y" {
			t.Errorf("line %+v, want the entry that came last to be in it", got)
		}
		time.Sleep(5 * beat)
		if got := b.entries("a"); len(got) != 2 {
			t.Errorf("%d entries, want 2", len(got))
		}
	})
}
