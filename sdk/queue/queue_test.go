package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// A bench is a database in memory with one queue per process, on a fake clock.
type bench struct {
	t  *testing.T
	db *memory.Store
	n  int // requests made, for their IDs
	mu sync.Mutex
}

// inBubble runs a story on the fake clock.
func inBubble(t *testing.T, story func(b *bench), opts ...memory.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, db: memory.New(opts...)}
		t.Cleanup(func() { // runs last: all processes are closed by then
			for _, it := range b.entries("") {
				if it.rec.State == waiting {
					t.Errorf("left waiting at the end: %+v", it)
				}
			}
		})
		story(b)
	})
}

// process starts another process on the same database. It is closed at the
// end of the test, which must leave no waiting entry and no session.
func (b *bench) process(name string, ended ...string) (*Queue, *memory.Store) {
	b.t.Helper()
	view := b.db.Sub("")
	q, err := New(Options{Store: view, Session: name, Ended: ended})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		view.SetHook(nil)
		if err := q.Close(context.Background()); err != nil {
			b.t.Errorf("Close = %v", err)
		}
	})
	return q, view
}

// crash ends a process without any of its clean-up.
func (b *bench) crash(q *Queue, view *memory.Store) {
	view.SetHook(func(memory.Op, string) memory.Fault { return memory.Fault{Refuse: store.ErrUnavailable} })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	q.Close(ctx) //nolint:errcheck // it can't clear what it left
	synctest.Wait()
}

func (b *bench) request(name, value string, wait time.Duration) Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	return Request{Name: name, Value: value, ID: fmt.Sprintf("request-%d", b.n), TTL: time.Minute, Wait: wait}
}

// entries returns a line as the store has it.
func (b *bench) entries(name string) []item {
	b.t.Helper()
	dir := linesDir
	if name != "" {
		dir = lineDir(name)
	}
	list, err := b.db.List(context.Background(), dir, store.Linearizable)
	if err != nil {
		b.t.Fatal(err)
	}
	return decodeAll(list.Entries)
}

// A call is an Acquire under way.
type call struct {
	t      *testing.T
	cancel context.CancelFunc
	done   chan struct{}
	grant  *Grant
	err    error
	at     time.Time
}

// acquire starts an Acquire and waits until it can't go on by itself.
func (b *bench) acquire(q *Queue, r Request) *call {
	b.t.Helper()
	c := b.start(q, r)
	synctest.Wait()
	return c
}

// start starts an Acquire.
func (b *bench) start(q *Queue, r Request) *call {
	ctx, cancel := context.WithCancel(context.Background())
	c := &call{t: b.t, cancel: cancel, done: make(chan struct{})}
	b.t.Cleanup(func() { cancel(); <-c.done })
	go func() {
		defer close(c.done)
		c.grant, c.err = q.Acquire(ctx, r)
		c.at = time.Now()
	}()
	return c
}

func (c *call) waiting() {
	c.t.Helper()
	synctest.Wait()
	select {
	case <-c.done:
		c.t.Fatalf("Acquire = %+v, %v; want it to wait", c.grant, c.err)
	default:
	}
}

func (c *call) granted() *Grant {
	c.t.Helper()
	synctest.Wait()
	select {
	case <-c.done:
	default:
		c.t.Fatal("Acquire still waits; want a grant")
	}
	if c.err != nil {
		c.t.Fatalf("Acquire = %v; want a grant", c.err)
	}
	return c.grant
}

func (c *call) failed(want error) {
	c.t.Helper()
	synctest.Wait()
	select {
	case <-c.done:
	default:
		c.t.Fatalf("Acquire still waits; want %v", want)
	}
	if !errors.Is(c.err, want) {
		c.t.Fatalf("Acquire = %+v, %v; want %v", c.grant, c.err, want)
	}
}

func (b *bench) release(q *Queue, name string, g *Grant) {
	b.t.Helper()
	if err := q.Release(context.Background(), name, Target{Index: g.Index}); err != nil {
		b.t.Fatalf("Release(%d) = %v", g.Index, err)
	}
	synctest.Wait()
}

func TestQueue_UncontendedCostsTwoWrites(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		for i := range 10 {
			before := b.db.Writes()
			g := b.acquire(q, b.request("a", "", Forever)).granted()
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
		g := b.acquire(q, b.request("a", "", Forever)).granted()
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
		holder := b.acquire(q, b.request("a", "", Forever)).granted()
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
		holder := b.acquire(p, b.request("a", "", Forever)).granted()
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

func TestQueue_WaiterHangsUp(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		g := b.acquire(q, b.request("a", "", Forever)).granted()
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
		g := b.acquire(q, b.request("a", "", Forever)).granted()
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
		g := b.acquire(q, b.request("a", "", Forever)).granted()
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

func TestQueue_SurvivesHistoryOverrun(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		g := b.acquire(p, b.request("a", "", Forever)).granted()
		c := b.acquire(q, b.request("a", "", Forever))
		for range 50 {
			b.db.Touch(100)
			synctest.Wait()
		}
		b.release(p, "a", g)
		c.granted()
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

func TestQueue_LostReplies(t *testing.T) {
	for _, op := range []memory.Op{memory.OpCreate, memory.OpSwap} {
		t.Run(string(op), func(t *testing.T) {
			inBubble(t, func(b *bench) {
				p, _ := b.process("p")
				q, view := b.process("q")
				g := b.acquire(p, b.request("a", "", Forever)).granted()
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
		g := b.acquire(p, b.request("a", "", Forever)).granted()
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

func TestQueue_DeadProcessIsCleared(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		g := b.acquire(p, b.request("a", "", Forever)).granted()
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
		g := b.acquire(p, b.request("a", "", Forever)).granted()
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

func TestQueue_PausedProcessFailsItsGrant(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		g := b.acquire(p, b.request("a", "", Forever)).granted()
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

func TestQueue_Drain(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		b.acquire(p, b.request("a", "", Forever)).granted()
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
		g := b.acquire(p, b.request("a", "", Forever)).granted()
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

func TestQueue_SessionEndsWhenIdle(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		g := b.acquire(q, b.request("a", "", Forever)).granted()
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

func (c *call) failedLate() {
	c.t.Helper()
	<-c.done
	var late *NotObtainedError
	if !errors.As(c.err, &late) {
		c.t.Fatalf("Acquire = %v; want it not obtained", c.err)
	}
}

func TestQueue_OldMirrorGrantsNothing(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		holder := b.acquire(p, b.request("a", "", Forever)).granted()
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
		now := b.acquire(p, b.request("a", "", Forever)).granted() // ... and does not see this
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
