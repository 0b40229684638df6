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

// holder lets a request get the lock a, which must be free.
func (b *bench) holder(q *Queue) *Grant {
	b.t.Helper()
	return b.acquire(q, b.request("a", "", Forever)).granted()
}

// left checks how many entries the line a has.
func (b *bench) left(n int) {
	b.t.Helper()
	if got := b.entries("a"); len(got) != n {
		b.t.Errorf("left in the line: %+v; want %d entries", got, n)
	}
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

func (c *call) failedLate() {
	c.t.Helper()
	<-c.done
	var late *NotObtainedError
	if !errors.As(c.err, &late) {
		c.t.Fatalf("Acquire = %v; want it not obtained", c.err)
	}
}

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

func (c *call) fails(want error) { c.t.Helper(); <-c.done; c.failed(want) }

func after(d time.Duration) <-chan struct{} {
	over := make(chan struct{})
	time.AfterFunc(d, func() { close(over) })
	return over
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
