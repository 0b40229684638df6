package queue

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

func TestQueue_UncontendedCostsTwoWrites(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		for i := range 10 {
			before := b.db.Writes()
			g := b.holder(q)
			g.Delivered(nil)
			b.release(q, "a", g)
			if got := b.db.Writes() - before; got != 2 {
				t.Fatalf("round %d: %d writes, want 2", i, got)
			}
		}
		if got := len(b.entries("")); got != 0 {
			t.Errorf("%d entries left", got)
		}
	})
}

func TestQueue_ContendedCostsThreeWrites(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		g := b.holder(q)
		var calls []*call
		before := b.db.Writes()
		for range 20 {
			calls = append(calls, b.acquire(q, b.request("a", "", Forever)))
		}
		b.release(q, "a", g)
		for _, c := range calls {
			g := c.granted()
			g.Delivered(nil)
			b.release(q, "a", g)
		}
		// One session entry, and its release of the first holder above.
		if got := b.db.Writes() - before - 2; got != 3*20 {
			t.Errorf("%d writes for 20 contended rounds, want 60", got)
		}
	})
}

func TestQueue_ReleaseBeforeTheWatchCostsOneWrite(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, view := b.process("p")
		q, _ := b.process("q")
		holder := b.holder(q)
		next := b.acquire(p, b.request("a", "", Forever))
		b.acquire(p, b.request("a", "", Forever)).waiting()
		b.release(q, "a", holder)
		blind := make(chan struct{})
		defer close(blind)
		view.SetHook(func(op memory.Op, _ string) memory.Fault {
			if op == memory.OpWatch {
				return memory.Fault{Pause: blind}
			}
			return memory.Fault{}
		})
		g := next.granted()
		if _, err := p.Renew(context.Background(), "a", Target{Index: g.Index}, time.Minute); err != nil {
			t.Fatal(err)
		}
		before := b.db.Writes()
		b.release(p, "a", g)
		if got := b.db.Writes() - before; got != 1 {
			t.Errorf("%d writes, want 1", got)
		}
	})
}

func TestQueue_FirstComeFirstServed(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		var calls []*call
		for i := range 20 {
			calls = append(calls, b.acquire([]*Queue{p, q}[i%2], b.request("a", "", Forever)))
		}
		last := store.Revision(0)
		for i, c := range calls {
			g := c.granted()
			if g.Index <= last {
				t.Fatalf("grant %d has index %d after %d", i, g.Index, last)
			}
			last = g.Index
			for _, later := range calls[i+1:] {
				later.waiting()
			}
			b.release(p, "a", g)
		}
	})
}

func TestQueue_NamesAreApart(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		for _, name := range []string{"a", "ab", "a/b", "a/", "/a", "a%2Fb", "~61", "_a", ".", "..", "a b", "Ä", "\x00", " "} {
			b.acquire(q, b.request(name, "", 0)).granted()
		}
	})
}

func TestQueue_WaiterHangsUp(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		g := b.holder(q)
		middle := b.acquire(q, b.request("a", "", Forever))
		last := b.acquire(q, b.request("a", "", Forever))
		middle.cancel()
		middle.failed(context.Canceled)
		if got := len(b.entries("a")); got != 2 {
			t.Fatalf("%d entries, want holder and last", got)
		}
		last.waiting()
		b.release(q, "a", g)
		last.granted()
	})
}

func TestQueue_Timeout(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		start := time.Now()
		g := b.acquire(q, b.request("a", "x", Forever)).granted()
		c := b.acquire(q, b.request("a", "", 2*time.Second))
		behind := b.acquire(q, b.request("a", "", 7*time.Second))
		<-c.done
		var late *NotObtainedError
		if !errors.As(c.err, &late) {
			t.Fatalf("Acquire = %v", c.err)
		}
		if took := c.at.Sub(start); took != 2*time.Second {
			t.Errorf("took %v, want 2s", took)
		}
		if late.Position != 1 || late.Status.Index != g.Index || late.Status.Value != "x" || late.Status.Waiting != 2 {
			t.Errorf("told %+v", late)
		}
		if late.Status.Remaining > 58*time.Second || late.Status.Remaining < 57*time.Second {
			t.Errorf("remaining %v, want 58s", late.Status.Remaining)
		}
		if got := len(b.entries("a")); got != 2 {
			t.Errorf("%d entries after the timeout, want 2", got)
		}
		<-behind.done
		if got := len(b.entries("a")); got != 1 {
			t.Errorf("%d entries after both timeouts, want 1", got)
		}
	})
}

func TestQueue_TryCostsNothingWhenHeld(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		b.acquire(q, b.request("a", "x", Forever)).granted()
		before := b.db.Writes()
		c := b.acquire(q, b.request("a", "", 0))
		var late *NotObtainedError
		if !errors.As(c.err, &late) || late.Status.Value != "x" {
			t.Fatalf("Acquire = %v", c.err)
		}
		if got := b.db.Writes() - before; got != 0 {
			t.Errorf("%d writes, want 0", got)
		}
	})
}

func TestQueue_TTLRunsFromTheGrant(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		g := b.holder(q)
		r := b.request("a", "", Forever)
		r.TTL = 5 * time.Second
		c := b.acquire(q, r)
		behind := b.acquire(q, b.request("a", "", Forever))
		for range 24 { // hours, the holder renewing
			time.Sleep(50 * time.Second)
			if _, err := q.Renew(context.Background(), "a", Target{Index: g.Index}, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		c.waiting()
		b.release(q, "a", g)
		granted := time.Now()
		c.granted()
		behind.waiting()
		<-behind.done
		if behind.err != nil {
			t.Fatal(behind.err)
		}
		if took := behind.at.Sub(granted); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("the next was granted after %v, want 5s to 6s", took)
		}
	})
}

func TestQueue_HolderExpires(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		g := b.acquire(q, b.request("a", "x", Forever)).granted()
		c := b.acquire(q, b.request("a", "y", Forever))
		<-c.done
		if c.err != nil || c.grant.Index <= g.Index {
			t.Fatalf("Acquire = %+v, %v", c.grant, c.err)
		}
		if _, err := q.Renew(context.Background(), "a", Target{Index: g.Index}, time.Minute); !errors.Is(err, ErrNotInLine) {
			t.Errorf("Renew of the expired = %v", err)
		}
	})
}

func TestQueue_RenewalNeverGrants(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		ctx := context.Background()
		g := b.acquire(q, b.request("a", "x", Forever)).granted()
		c := b.acquire(q, b.request("a", "y", Forever))
		for range 3 {
			if _, err := q.Renew(ctx, "a", Target{Value: "x"}, time.Minute); err != nil {
				t.Fatal(err)
			}
			if got, err := q.Renew(ctx, "a", Target{Value: "y"}, 5*time.Second); err != nil || got != nil {
				t.Fatalf("Renew of a waiter = %+v, %v", got, err)
			}
			c.waiting()
		}
		b.release(q, "a", g)
		if got := c.granted().TTL; got != 5*time.Second {
			t.Errorf("granted with TTL %v, want the renewed 5s", got)
		}
	})
}

func TestQueue_DeletedWaiterIsTold(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		g := b.acquire(q, b.request("a", "x", Forever)).granted()
		c := b.acquire(q, b.request("a", "y", Forever))
		behind := b.acquire(q, b.request("a", "z", Forever))
		if err := q.Release(context.Background(), "a", Target{Value: "y"}); err != nil {
			t.Fatal(err)
		}
		c.failed(ErrRemoved)
		behind.waiting()
		b.release(q, "a", g)
		behind.granted()
	})
}

func TestQueue_ManageWhatIsNotThere(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		ctx := context.Background()
		g := b.acquire(q, b.request("a", "x", Forever)).granted()
		b.acquire(q, b.request("a", "w", Forever)).waiting() // so that there is a mirror
		for _, target := range []Target{{Index: g.Index + 1000}, {Value: "y"}} {
			if err := q.Release(ctx, "a", target); !errors.Is(err, ErrNotInLine) {
				t.Errorf("Release(%v) = %v", target, err)
			}
			if _, err := q.Renew(ctx, "a", target, time.Minute); !errors.Is(err, ErrNotInLine) {
				t.Errorf("Renew(%v) = %v", target, err)
			}
		}
		if err := q.Release(ctx, "b", Target{Index: g.Index}); !errors.Is(err, ErrNotInLine) {
			t.Errorf("Release on another lock = %v", err)
		}
	})
}

func TestQueue_Status(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		ctx := context.Background()
		if s, err := q.Status(ctx, "a"); err != nil || s.Held {
			t.Errorf("Status of a lock never used = %+v, %v", s, err)
		}
		g := b.acquire(q, b.request("a", "x", Forever)).granted()
		b.acquire(q, b.request("a", "", Forever)).waiting()
		s, err := q.Status(ctx, "a")
		if err != nil || !s.Held || s.Value != "x" || s.Index != g.Index || s.Waiting != 1 {
			t.Errorf("Status = %+v, %v", s, err)
		}
	})
}

func TestQueue_UndeliveredGrantIsTakenBack(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		g := b.holder(q)
		one := b.acquire(q, b.request("a", "y", Forever))
		two := b.acquire(q, b.request("a", "y", Forever))
		next := b.acquire(q, b.request("a", "", Forever))
		b.release(q, "a", g)
		one.granted().Delivered(errors.New("client gone"))
		synctest.Wait()
		next.waiting()
		two.granted().Delivered(errors.New("client gone"))
		next.granted().Delivered(nil)
		time.Sleep(time.Second)
		if s, _ := q.Status(context.Background(), "a"); s.Index != next.grant.Index {
			t.Errorf("holder %+v, want the delivered grant", s)
		}
	})
}

func TestQueue_ValidForNeverOutlivesTheEntry(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, view := b.process("p")
		slow := make(chan struct{})
		view.SetHook(func(op memory.Op, key string) memory.Fault {
			if op == memory.OpCreate {
				return memory.Fault{Hold: slow}
			}
			return memory.Fault{}
		})
		r := b.request("a", "", Forever)
		r.TTL = 10 * time.Second
		sent := time.Now()
		c := b.acquire(q, r)
		time.Sleep(8 * time.Second) // the reply of the create is late: it has to be renewed
		close(slow)
		g := c.granted()
		valid := sent.Add(g.ValidFor(sent))
		for {
			if len(b.entries("a")) == 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if ended := time.Now(); valid.After(ended) {
			t.Errorf("valid until %v after the store's end of the entry", valid.Sub(ended))
		}
		if left := valid.Sub(sent); left < 15*time.Second {
			t.Errorf("valid for %v, want the renewed TTL counted in", left)
		}
	})
}

func TestQueue_RacingCreates(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, pv := b.process("p")
		q, qv := b.process("q")
		gate := make(chan struct{})
		hook := func(op memory.Op, key string) memory.Fault {
			if op == memory.OpCreate {
				return memory.Fault{Pause: gate}
			}
			return memory.Fault{}
		}
		pv.SetHook(hook)
		qv.SetHook(hook)
		one := b.acquire(p, b.request("a", "", Forever))
		two := b.acquire(q, b.request("a", "", Forever))
		before := b.db.Writes()
		close(gate)
		synctest.Wait()
		select {
		case <-one.done:
		default:
			one, two = two, one
		}
		g := one.granted()
		two.waiting()
		items := b.entries("a")
		if len(items) != 2 || items[1].rec.State != waiting || items[1].entry.TTL != 0 {
			t.Fatalf("line %+v, want the later one waiting without a TTL", items)
		}
		b.release(p, "a", g)
		b.release(q, "a", two.granted())
		// 4 for the one that lost the race, 2 for the winner, 1 session.
		if got := b.db.Writes() - before; got != 7 {
			t.Errorf("%d writes, want 7", got)
		}
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
