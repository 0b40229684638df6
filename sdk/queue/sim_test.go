package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// A referee knows what clients were told and when they gave it up, and notices
// when two were told the same thing at once.
type referee struct {
	t       *testing.T
	mu      sync.Mutex
	relying map[store.Revision]time.Time // what somebody relies on, and until when
	gone    map[store.Revision]bool      // released by an owner
	last    store.Revision               // highest index ever granted
	owner   map[store.Revision]string
	grants  int
}

// granted is called when a client learns of its grant, on which it relies until
// then.
func (r *referee) granted(g *Grant, owner string, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.grants++
	now := time.Now()
	if !now.Before(until) || r.gone[g.Index] {
		return // told too late to rely on it at all
	}
	for index, end := range r.relying {
		if index != g.Index && now.Before(end) {
			r.t.Errorf("%v: index %d granted to %s while %s relies on index %d", now, g.Index, owner, r.owner[index], index)
		}
	}
	if g.Index < r.last {
		r.t.Errorf("index %d granted after %d", g.Index, r.last)
	}
	if who, ok := r.owner[g.Index]; ok && who != owner {
		r.t.Errorf("index %d granted to %s and to %s", g.Index, who, owner)
	}
	r.last = max(r.last, g.Index)
	r.owner[g.Index] = owner
	if until.After(r.relying[g.Index]) {
		r.relying[g.Index] = until
	}
}

// released is called before an owner releases the lock, for all that share it.
func (r *referee) released(index store.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.relying, index)
	r.gone[index] = true
}

// A chaotic view pauses a process now and then, refuses some of its calls and
// loses some replies.
func chaos(rnd func(n int) int) memory.Hook {
	var mu sync.Mutex
	var paused chan struct{}
	return func(op memory.Op, key string) memory.Fault {
		mu.Lock()
		defer mu.Unlock()
		var f memory.Fault
		select {
		case <-paused:
			paused = nil
		default:
		}
		if paused == nil && rnd(400) == 0 {
			until := make(chan struct{})
			paused = until
			time.AfterFunc(time.Duration(rnd(25_000))*time.Millisecond, func() { close(until) })
		}
		if rnd(4) == 0 { // slow
			slow := make(chan struct{})
			time.AfterFunc(time.Duration(rnd(300))*time.Millisecond, func() { close(slow) })
			f.Pause = slow
		}
		if paused != nil {
			f.Pause = paused
		}
		switch rnd(40) {
		case 0:
			f.Refuse = store.ErrUnavailable
		case 1:
			f.Lose = store.ErrUnavailable
		}
		return f
	}
}

// Random clients on three processes that pause, lose replies and are drained
// and replaced: nobody may ever be told what another relies on, and everybody
// who goes on asking is served in the end.
func TestQueue_RandomStories(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { randomStory(t, seed) })
	}
}

func randomStory(t *testing.T, seed uint64) {
	inBubble(t, func(b *bench) {
		source := rand.New(rand.NewPCG(seed, 7))
		var mu sync.Mutex
		rnd := func(n int) int { mu.Lock(); defer mu.Unlock(); return source.IntN(n) }

		const processes, clients, rounds = 3, 12, 15
		queues := make([]*Queue, processes)
		views := make([]*memory.Store, processes)
		for i := range queues {
			queues[i], views[i] = b.process(fmt.Sprintf("p%d", i))
			views[i].SetHook(chaos(rnd))
		}
		ref := &referee{t: t, relying: make(map[store.Revision]time.Time), gone: make(map[store.Revision]bool), owner: make(map[store.Revision]string)}
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				for n := range rounds {
					q := queues[rnd(processes)]
					r := Request{Name: "a", ID: fmt.Sprintf("c%d-%d", c, n), TTL: time.Duration(2+rnd(10)) * time.Second, Wait: Forever}
					owner := r.ID
					if c%3 == 0 { // shares a value with others
						r.Value = fmt.Sprintf("value%d-%d", c%2, n)
						owner = r.Value
						r.TTL = 5 * time.Second // one that shortens it takes from the others
					}
					switch rnd(5) {
					case 0:
						r.Wait = time.Duration(rnd(5)) * time.Second
					}
					ctx, cancel := context.WithCancel(context.Background())
					if rnd(4) == 0 {
						time.AfterFunc(time.Duration(rnd(8000))*time.Millisecond, cancel)
					}
					sent := time.Now()
					g, err := q.Acquire(ctx, r)
					if err != nil {
						cancel()
						time.Sleep(time.Duration(rnd(1000)) * time.Millisecond)
						continue
					}
					if ctx.Err() != nil || rnd(10) == 0 {
						g.Delivered(errors.New("client gone"))
						cancel()
						continue
					}
					ref.granted(g, owner, sent.Add(g.ValidFor(sent)))
					g.Delivered(nil)
					time.Sleep(time.Duration(rnd(3000)) * time.Millisecond)
					switch rnd(3) {
					case 0: // let it expire
					case 1:
						if rg, err := q.Renew(ctx, "a", Target{Index: g.Index}, r.TTL); err == nil && rg == nil {
							t.Errorf("Renew of a grant says that it waits")
						}
						fallthrough
					default:
						ref.released(g.Index)
						q.Release(ctx, "a", Target{Index: g.Index}) //nolint:errcheck // may be lost, then it expires
					}
					cancel()
				}
			})
		}
		wg.Wait()
		for _, v := range views {
			v.SetHook(nil)
		}
		time.Sleep(3 * sessionTTL) // paused calls and left-overs settle
		if got := b.entries("a"); len(got) != 0 {
			t.Errorf("left in the line: %+v", got)
		}
		if ref.grants < clients {
			t.Errorf("only %d grants", ref.grants)
		}
		synctest.Wait()
	})
}
