package queue

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

func TestQueue_DeadProcessIsCleared(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		g := b.holder(p)
		lost := b.acquire(q, b.request("a", "", Forever))
		shared := b.acquire(q, b.request("a", "y", Forever))
		alive := b.acquire(p, b.request("a", "y", Forever))
		b.crash(q, view)
		lost.failed(ErrDraining)
		shared.failed(ErrDraining)
		b.release(p, "a", g)
		time.Sleep(sessionTTL / 2)
		alive.waiting()
		time.Sleep(2*sessionTTL + sessionTTL/2)
		alive.granted()
		if got := len(b.entries("a")); got != 1 {
			t.Errorf("%d entries, want 1", got)
		}
	})
}

func TestQueue_SuccessorTakesOver(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		g := b.holder(p)
		resumed, lost, valued := b.request("a", "", Forever), b.request("a", "", Forever), b.request("a", "v", Forever)
		b.acquire(q, resumed)
		b.acquire(q, lost)
		b.acquire(q, valued)
		place := b.entries("a")[1].entry.Created
		b.crash(q, view)
		next, _ := b.process("next", "q")
		c := b.acquire(next, resumed)
		time.Sleep(graceAnonymous + time.Second)
		if got := len(b.entries("a")); got != 3 {
			t.Fatalf("%d entries, want holder, resumed and valued: %+v", got, b.entries("a"))
		}
		b.release(p, "a", g)
		if got := c.granted().Index; got != place {
			t.Errorf("resumed request was granted index %d, want its old place %d", got, place)
		}
		time.Sleep(graceValue)
		if got := len(b.entries("a")); got != 1 {
			t.Errorf("%d entries, want the holder only", got)
		}
	})
}

func TestQueue_SessionEndsWhenIdle(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		g := b.holder(q)
		b.acquire(q, b.request("a", "", time.Second)).failedLate()
		b.release(q, "a", g)
		time.Sleep(3 * pruneEvery) // the lock's directory goes too
		before := b.db.Writes()
		time.Sleep(time.Hour)
		if got := b.db.Writes() - before; got != 0 {
			t.Errorf("%d writes in an idle hour", got)
		}
		list, err := b.db.List(context.Background(), "", store.Linearizable)
		if err != nil || len(list.Entries) != 0 {
			t.Errorf("left in the store: %v, %v", list.Entries, err)
		}
	})
}

// The successor does not give up when a removal fails.
func TestQueue_SuccessorClearsInTheEnd(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		b.holder(p)
		b.acquire(q, b.request("a", "", Forever))
		b.crash(q, view)
		_, view = b.process("next", "q")
		view.SetHook(on(memory.OpDelete, "q", memory.Fault{Refuse: store.ErrUnavailable}))
		time.Sleep(graceAnonymous + time.Second)
		view.SetHook(nil)
		time.Sleep(graceAnonymous)
		b.left(1)
	})
}

// Whoever clears away the many entries of a dead process keeps its own session
// up meanwhile.
func TestQueue_JudgeKeepsItsOwnSession(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, view := b.process("p")
		q, qview := b.process("q")
		b.holder(p)
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
		g := b.holder(p)
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
		b.left(1)
	})
}

// Requests that never wait find a line that only the dead stand in. They have
// no mirror that would be judged, and get the lock all the same.
func TestQueue_TriesClearWhatIsLeftOver(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		held := b.holder(p)
		b.acquire(q, b.request("a", "", Forever))
		b.crash(q, view)
		time.Sleep(3 * sessionTTL) // nobody cares
		b.release(p, "a", held)
		b.acquire(p, b.request("a", "", 0)).failedLate()
		time.Sleep(3 * sessionTTL)
		b.acquire(p, b.request("a", "", 0)).granted()
	})
}

// A heartbeat that a held-up watch shows late proves no contact: what it shows
// of other sessions is as old.
func TestQueue_OldHeartbeatJudgesNobody(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		b.holder(q)
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

// A session that was missed for long, and whose process then writes an entry,
// was not missed in a view that has the entry.
func TestQueue_EntryAfterTheSessionIsNoLeftOver(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		b.holder(p)
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

// Should an entry name a process that does not wait on it all the same, that
// one takes itself out of it in the end. Others keep their place, and if they
// are dead it is cleared away.
func TestQueue_WithdrawsFromAnEntry(t *testing.T) {
	for _, other := range []string{"alive", "dead"} {
		t.Run(other, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, _ := b.process("q")
				first := b.acquire(p, hourly(b.request("a", "", Forever))).granted()
				b.acquire(p, hourly(b.request("b", "", Forever))).granted()
				b.acquire(q, b.request("b", "", Forever)).waiting() // q's session stays
				b.put("a", "x", other, "q")
				next := b.acquire(p, b.request("a", "", Forever))
				if other == "alive" {
					r, _ := b.process(other)
					next = b.acquire(r, b.request("a", "x", Forever))
				}
				time.Sleep(sweepEvery + 2*sessionTTL)
				next.waiting()
				if got := b.entries("a")[1].rec; slices.Contains(got.Sessions, "q") {
					t.Errorf("the next one is %+v, want it not to name q", got)
				}
				b.release(p, "a", first)
				b.stands(next.granted())
			})
		})
	}
}

// A process that takes itself out of many entries, which takes its time, keeps its
// session up meanwhile: its requests keep their places.
func TestQueue_WithdrawalsKeepTheSession(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		b.acquire(p, hourly(b.request("b", "", Forever))).granted()
		b.acquire(p, b.request("b", "", Forever)).waiting() // p judges
		c := b.acquire(q, b.request("b", "", Forever))
		for i := range 150 {
			b.put("a", strconv.Itoa(i), "dead", "q")
		}
		view.SetHook(func(op memory.Op, key string) (f memory.Fault) {
			if op == memory.OpSwap && strings.HasPrefix(key, "q") {
				f.Pause = after(2 * beat)
			}
			return f
		})
		q.session.suspect()
		time.Sleep(2 * time.Minute)
		if got := len(b.entries("a")); got != 0 {
			t.Errorf("%d entries that nobody waits on", got)
		}
		c.waiting()
	})
}

// Between two listings of the sessions one that was missed may have come and
// gone. Its time begins anew.
func TestQueue_MissedBetweenTwoListings(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		b.holder(q)
		b.acquire(q, b.request("a", "", Forever)).waiting() // its session is up
		const gone = "x"
		for range 2 { // the second time it has been missed for long
			list, err := b.db.List(context.Background(), sessionsDir, store.Linearizable)
			if err != nil {
				t.Fatal(err)
			}
			q.session.load(context.Background(), list, time.Now())
			for _, want := range []bool{false, true} {
				if got := q.session.dead(gone, 1); got != want {
					t.Errorf("dead = %v, want %v", got, want)
				}
				time.Sleep(sessionTTL)
			}
		}
	})
}
