package queue

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

func TestQueue_Drain(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		b.holder(p)
		c := b.acquire(q, b.request("a", "", Forever))
		q.Drain(false)
		c.failed(ErrDraining)
		if got := len(b.entries("a")); got != 1 {
			t.Errorf("%d entries, want the holder", got)
		}
		b.acquire(q, b.request("a", "", Forever)).failed(ErrDraining)
	})
}

func TestQueue_DrainForSuccessorKeepsPlaces(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		g := b.holder(p)
		r := b.request("a", "", Forever)
		c := b.acquire(q, r)
		behind := b.acquire(p, b.request("a", "", Forever))
		place := b.entries("a")[1].entry.Created
		next, _ := b.process("next")
		q.Drain(true)
		c.failed(ErrHandover)
		again := b.acquire(next, r)
		if err := q.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		b.release(p, "a", g)
		if got := again.granted().Index; got != place {
			t.Errorf("index %d, want the place kept, %d", got, place)
		}
		behind.waiting()
	})
}

// A reload must not cost the requests that went over their clean leaving: the
// drained process is named by their entries and waits on them no more. So it is
// whenever that one ends, and however late its successor looks for sessions.
func TestQueue_HandedOverWaiterLeaves(t *testing.T) {
	for _, value := range []string{"", "x"} {
		for _, adopted := range []string{"before the end", "after it", "after an outage"} {
			t.Run(fmt.Sprintf("value %s adopted %s", value, adopted), func(t *testing.T) {
				inBubble(t, func(b *bench) {
					p, _ := b.process("p")
					q, err := New(Options{Store: b.db.Sub(""), Session: "old"})
					if err != nil {
						t.Fatal(err)
					}
					b.acquire(p, hourly(b.request("a", "", Forever))).granted()
					r := b.request("a", value, Forever)
					c := b.acquire(q, r)
					next, view := b.process("next")
					q.Drain(true)
					c.failed(ErrHandover)
					var again *call
					if adopted == "before the end" {
						again = b.acquire(next, r)
					}
					if err := q.Close(context.Background()); err != nil {
						t.Fatal(err)
					}
					if adopted != "before the end" {
						again = b.acquire(next, r)
					}
					if adopted == "after an outage" { // all that was watched is forgotten
						time.Sleep(2 * farewellTTL)
						view.SetHook(refuseAll)
						time.Sleep(2 * beatLost)
						view.SetHook(nil)
						time.Sleep(2 * beat)
					}
					again.waiting()
					again.cancel()
					again.failed(context.Canceled)
					b.left(1)
				})
			})
		}
	}
}

// A client that hung up before the handover leaves nothing, even if its entry
// was only being deleted then.
func TestQueue_LeavesDuringHandover(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		b.holder(p)
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
		b.left(1)
	})
}

// What was handed over is not an orphan, as long as the successor takes.
func TestQueue_SweepSparesWhatWasHandedOver(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		b.holder(p)
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
