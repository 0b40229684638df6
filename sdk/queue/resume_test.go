package queue

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

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

// The first call for a request that was resumed fails. It has its place already,
// and keeps it.
func TestQueue_ResumedRequestMeetsAnOutage(t *testing.T) {
	for how, value := range map[string]string{"handed over": "", "crash": "x", "crash at the grant": ""} {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, view := b.process("q")
				first := b.acquire(p, hourly(b.request("a", "", Forever))).granted()
				r := b.request("a", value, Forever)
				b.acquire(q, r)
				place := b.entries("a")[1].entry.Created
				var ended []string
				switch how {
				case "handed over":
					q.Drain(true)
				case "crash at the grant":
					view.SetHook(on(memory.OpSwap, "q", memory.Fault{Hold: make(chan struct{})}))
					b.release(p, "a", first)
					synctest.Wait()
					fallthrough
				default:
					b.crash(q, view)
					ended = []string{"q"}
				}
				next, view := b.process("next", ended...)
				view.SetHook(onceOn(memory.OpSwap, "q", memory.Fault{Refuse: store.ErrUnavailable}))
				c := b.acquire(next, r)
				time.Sleep(time.Second)
				if how != "crash at the grant" {
					c.waiting()
					b.release(p, "a", first)
				}
				if got := c.granted().Index; got != place {
					t.Errorf("index %d, want the place kept, %d", got, place)
				}
			})
		})
	}
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
		b.acquire(q, b.request("a", "", Forever)).granted()
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
