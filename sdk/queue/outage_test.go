package queue

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

func TestQueue_SurvivesHistoryOverrun(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		g := b.holder(p)
		c := b.acquire(q, b.request("a", "", Forever))
		for range 50 {
			b.db.Touch(100)
			synctest.Wait()
		}
		b.release(p, "a", g)
		c.granted()
	})
}

func TestQueue_LostReplies(t *testing.T) {
	for _, op := range []memory.Op{memory.OpCreate, memory.OpSwap} {
		t.Run(string(op), func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, view := b.process("q")
				g := b.holder(p)
				lost := 0
				view.SetHook(func(o memory.Op, key string) memory.Fault {
					if o == op && lost < 2 && key[0] == 'q' {
						lost++
						return memory.Fault{Lose: store.ErrUnavailable}
					}
					return memory.Fault{}
				})
				c := b.acquire(q, b.request("a", "y", Forever))
				if op == memory.OpCreate {
					// No place yet: told at once, and what was created is removed.
					c.failed(store.ErrUnavailable)
					time.Sleep(5 * time.Second)
					if got := len(b.entries("a")); got != 1 {
						t.Errorf("%d entries, want the holder's", got)
					}
					return
				}
				b.release(p, "a", g)
				time.Sleep(5 * time.Second)
				c.granted()
				if got := len(b.entries("a")); got != 1 {
					t.Errorf("%d entries, want 1", got)
				}
			})
		})
	}
}

func TestQueue_OutageKeepsPlaces(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		g := b.holder(p)
		c := b.acquire(q, b.request("a", "", Forever))
		d := b.acquire(q, b.request("a", "", Forever))
		view.SetHook(func(memory.Op, string) memory.Fault { return memory.Fault{Refuse: store.ErrUnavailable} })
		time.Sleep(5 * time.Second) // less than a session TTL: nobody may clear the places
		b.acquire(q, b.request("b", "", Forever)).failed(store.ErrUnavailable)
		b.release(p, "a", g)
		c.waiting()
		view.SetHook(nil)
		time.Sleep(2 * time.Second)
		b.release(p, "a", c.granted())
		d.granted()
	})
}

func TestQueue_PausedProcessFailsItsGrant(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		g := b.holder(p)
		paused := b.acquire(q, b.request("a", "", Forever))
		behind := b.acquire(p, b.request("a", "", Forever))
		resume := make(chan struct{})
		view.SetHook(func(op memory.Op, key string) memory.Fault { return memory.Fault{Pause: resume} })
		b.release(p, "a", g) // q learns that it is first, and is paused in the write
		paused.waiting()
		time.Sleep(3 * sessionTTL)
		got := behind.granted()
		view.SetHook(nil)
		close(resume)
		paused.failed(ErrRemoved)
		if s, _ := p.Status(context.Background(), "a"); s.Index != got.Index {
			t.Errorf("holder %+v, want %d", s, got.Index)
		}
	})
}

func TestQueue_OldMirrorGrantsNothing(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		holder := b.holder(p)
		mirrored := b.acquire(q, b.request("a", "", Forever))

		create, watch := make(chan struct{}), make(chan struct{})
		var lag bool // guarded by the order of the story
		view.SetHook(func(op memory.Op, key string) memory.Fault {
			switch {
			case op == memory.OpCreate:
				return memory.Fault{Pause: create}
			case op == memory.OpWatch && lag:
				return memory.Fault{Pause: watch}
			}
			return memory.Fault{}
		})
		late := b.acquire(q, b.request("a", "", Forever)) // has seen a line that is held
		b.release(p, "a", holder)
		b.release(q, "a", mirrored.granted()) // the mirror shows an empty line ...
		lag = true
		b.db.Touch(1)
		synctest.Wait()
		now := b.holder(p) // ... and does not see this
		close(create)
		late.waiting()
		time.Sleep(beat)
		late.waiting()
		close(watch)
		late.waiting()
		b.release(p, "a", now)
		late.granted()
	})
}

func TestQueue_TimeoutDoesNotAnswerFromMemory(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, view := b.process("p")
		b.acquire(q, b.request("a", "x", Forever)).granted()
		c := b.acquire(q, b.request("a", "", 2*time.Second))
		time.Sleep(1500 * time.Millisecond)
		view.SetHook(func(memory.Op, string) memory.Fault { return memory.Fault{Refuse: store.ErrUnavailable} })
		<-c.done
		c.failed(store.ErrUnavailable)
		view.SetHook(nil)
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
