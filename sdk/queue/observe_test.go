package queue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// A book has what an Observer was told; lags apart.
type book struct {
	mu    sync.Mutex // guards what follows
	lines []string
	lags  []time.Duration
}

func (b *book) note(what ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, strings.TrimSpace(fmt.Sprintln(what...)))
}

func (b *book) observer() Observer {
	return Observer{
		Granted:  func(d time.Duration) { b.note("granted", d) },
		TimedOut: func(d time.Duration) { b.note("timed out", d) },
		Refused:  func() { b.note("refused") },
		Left:     func(d time.Duration) { b.note("left", d) },
		Renewed:  func() { b.note("renewed") },
		Released: func(d time.Duration) { b.note("released", d) },
		Expired:  func() { b.note("expired") },
		Relisted: func(why string) { b.note("relisted", why) },
		Lag: func(d time.Duration) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.lags = append(b.lags, d)
		},
	}
}

// wants checks what was told since the last time, in whatever order.
func (b *book) wants(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.Sort(b.lines)
	slices.Sort(want)
	if got := strings.Join(b.lines, ", "); got != strings.Join(want, ", ") {
		t.Errorf("observed: %s; want %s", got, strings.Join(want, ", "))
	}
	b.lines = nil
}

// observed is process with an observer.
func (b *bench) observed(name string) (*Queue, *memory.Store, *book) {
	b.t.Helper()
	told := new(book)
	view := b.db.Sub("")
	q, err := New(Options{Store: view, Session: name, Observer: told.observer()})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		view.SetHook(nil)
		if err := q.Close(context.Background()); err != nil {
			b.t.Errorf("Close = %v", err)
		}
	})
	return q, view, told
}

func TestObserver_TellsWhatBecomesOfRequests(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _, told := b.observed("s")
		time.Sleep(250 * time.Millisecond) // time is not counted in whole seconds
		g := b.acquire(q, b.request("a", "x", Forever)).granted()
		told.wants(t, "granted 0s")
		b.acquire(q, b.request("a", "y", 0)).refused()
		told.wants(t, "refused")

		waits, leaves, late := b.acquire(q, b.request("a", "y", Forever)), b.acquire(q, b.request("a", "z", Forever)), b.request("a", "y", 20*time.Second)
		b.acquire(q, b.request("a", "x", Forever)).granted()
		told.wants(t, "renewed") // a repeat by the holder is no grant
		if n := q.Waiting(); n != 2 {
			t.Errorf("Waiting = %d, want 2", n)
		}
		over := b.acquire(q, late) // shares the place of waits
		time.Sleep(10 * time.Second)
		leaves.cancel()
		leaves.fails(context.Canceled)
		told.wants(t, "left 10s")
		over.failedLate()
		told.wants(t, "timed out 20s")

		if _, err := q.Renew(t.Context(), "a", Target{Value: "x"}, time.Minute); err != nil {
			t.Fatal(err)
		}
		told.wants(t, "renewed")
		if _, err := q.Renew(t.Context(), "a", Target{Value: "y"}, time.Minute); err != nil {
			t.Fatal(err)
		}
		told.wants(t) // that one waits
		removed := b.acquire(q, b.request("a", "w", Forever))
		if err := q.Release(t.Context(), "a", Target{Value: "w"}); err != nil {
			t.Fatal(err)
		}
		removed.fails(ErrRemoved)
		told.wants(t) // and that one has
		resumed := b.request("a", "y", Forever)
		resumed.Since = time.Now().Add(-time.Hour)
		b.acquire(q, resumed).waiting()
		time.Sleep(500 * time.Millisecond)
		b.release(q, "a", g)
		waits.granted()
		told.wants(t, "released 20.5s", "granted 20.5s", "granted 1h0m0.5s")
		if n := q.Waiting(); n != 0 {
			t.Errorf("Waiting = %d, want 0", n)
		}
	})
}

// Which of two processes that share a place has written the grant does not
// matter: its request has waited and was granted.
func TestObserver_SharedGrantIsOneInBothProcesses(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _, atP := b.observed("p")
		q, _, atQ := b.observed("q")
		g := b.holder(p)
		b.acquire(p, b.request("a", "x", Forever)).waiting()
		b.acquire(q, b.request("a", "x", Forever)).waiting()
		time.Sleep(time.Second)
		b.release(p, "a", g)
		atP.wants(t, "granted 0s", "released 1s", "granted 1s")
		atQ.wants(t, "granted 1s")
	})
}

func TestObserver_ExpiryIsSeenByWhoeverWaits(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _, atP := b.observed("p")
		q, _, atQ := b.observed("q")
		b.holder(p) // for a minute
		waits := b.acquire(q, b.request("a", "", Forever))
		time.Sleep(time.Minute)
		waits.granted()
		atP.wants(t, "granted 0s") // nobody waits here
		atQ.wants(t, "expired", "granted 1m0s")

		// A waiting entry that goes, and a release, are no expiries.
		b.acquire(q, b.request("a", "y", Forever)).cancel()
		b.release(q, "a", waits.granted())
		atQ.wants(t, "left 0s", "released 0s")
	})
}

func TestObserver_MirrorLag(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, view, told := b.observed("s")
		b.holder(q)
		b.acquire(q, b.request("a", "", Forever)).waiting()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		told.mu.Lock()
		n := len(told.lags)
		if n < 4 || told.lags[n-1] != 0 {
			t.Errorf("lags in five seconds: %v", told.lags)
		}
		told.mu.Unlock()

		view.SetHook(func(op memory.Op, key string) (f memory.Fault) {
			if op == memory.OpWatch && strings.HasPrefix(key, sessionsDir) {
				f.Pause = after(700 * time.Millisecond)
			}
			return f
		})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		told.mu.Lock()
		defer told.mu.Unlock()
		last := told.lags[len(told.lags)-1]
		if len(told.lags) == n || last <= 0 || last > 2*time.Second {
			t.Errorf("lags behind a slow watch: %v", told.lags[n:])
		}
	})
}

func TestObserver_RelistsSayWhy(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, view, told := b.observed("s")
		b.holder(q)
		b.acquire(q, b.request("a", "", Forever)).waiting()
		told.wants(t, "granted 0s")

		gate := make(chan struct{})
		view.SetHook(on(memory.OpWatch, linesDir, memory.Fault{Pause: gate}))
		b.db.Touch(1)
		if _, err := b.db.Put(t.Context(), lineDir("a")+"/other", "", 0); err != nil { // wakes the watch
			t.Fatal(err)
		}
		synctest.Wait()
		b.db.Touch(100)
		view.SetHook(nil)
		close(gate)
		told.wants(t, "relisted compacted")

		view.SetHook(on(memory.OpWatch, sessionsDir, memory.Fault{Pause: make(chan struct{})}))
		time.Sleep(beatLost + 2*beat)
		told.wants(t, "relisted silent")
	}, memory.Window(20))
}

// A queue that is closed reads nothing anew.
func TestObserver_EndIsNoRelist(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _, told := b.observed("s")
		g := b.holder(q)
		waits := b.acquire(q, b.request("a", "", Forever))
		b.release(q, "a", g)
		b.release(q, "a", waits.granted())
		told.wants(t, "granted 0s", "released 0s", "granted 0s", "released 0s")
	})
}

func TestCensus_CountsAllLines(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		for _, name := range []string{"a", "a/b", "c"} {
			b.acquire(p, b.request(name, "", Forever)).granted()
		}
		b.acquire(q, b.request("a", "x", Forever)).waiting()
		b.acquire(q, b.request("a", "x", Forever)).waiting() // the same place
		b.acquire(p, b.request("a", "y", Forever)).waiting()
		b.put("nobody-yet", "z", "p", "q") // first, and not granted

		// Created held behind another, and not yet converted.
		r := record{Value: "late"}.with(held, time.Minute, nil)
		if _, err := b.db.Create(t.Context(), lineDir("c")+"/"+entryID("late", ""), r.encode(), time.Minute); err != nil {
			t.Fatal(err)
		}
		c, err := q.Census(t.Context())
		if err != nil || c.Held != 3 || c.Waiting != 4 || c.Revision == 0 {
			t.Errorf("Census = %+v, %v, want 3 held, 4 waiting", c, err)
		}
		view.SetHook(refuseAll)
		if c, err := q.Census(t.Context()); err == nil {
			t.Errorf("Census without a store = %+v", c)
		}
		view.SetHook(nil)
		e, err := b.db.Get(t.Context(), lineDir("nobody-yet")+"/"+entryID("z", ""), store.Local)
		if err == nil {
			err = b.db.Delete(t.Context(), e)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

func TestCensus_OfNothing(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("s")
		if c, err := q.Census(t.Context()); err != nil || c.Held != 0 || c.Waiting != 0 {
			t.Errorf("Census = %+v, %v", c, err)
		}
	})
}
