package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
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

// A slot is where one host runs the module: one process after the other.
type slot struct {
	b     *bench
	name  string
	chaos memory.Hook

	mu    sync.Mutex // guards what follows
	q     *Queue
	view  *memory.Store
	next  chan struct{} // closed when q is replaced
	ended []string      // all before q
	old   sync.WaitGroup
}

// start replaces the process and returns the one before.
func (s *slot) start() (*Queue, *memory.Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldQ, oldView, ended := s.q, s.view, s.ended
	id := fmt.Sprintf("%s-%d", s.name, len(ended))
	s.view = s.b.db.Sub("")
	s.view.SetHook(s.chaos)
	q, err := New(Options{Store: s.view, Session: id, Ended: ended})
	if err != nil {
		panic(err)
	}
	s.q, s.ended = q, append(slices.Clone(ended), id)
	if s.next != nil {
		close(s.next)
	}
	s.next = make(chan struct{})
	return oldQ, oldView
}

func (s *slot) now() (*Queue, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.q, s.next
}

func (s *slot) crash(restart time.Duration) {
	s.mu.Lock()
	q, view := s.q, s.view
	s.mu.Unlock()
	view.SetHook(func(memory.Op, string) memory.Fault { return memory.Fault{Refuse: store.ErrUnavailable} })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	q.Close(ctx) //nolint:errcheck // it can't clear what it left
	time.Sleep(restart)
	s.start()
}

func (s *slot) reload() {
	old, _ := s.start()
	old.Drain(true)
	s.old.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		old.Close(ctx) //nolint:errcheck // the store may be away
	})
}

// close ends the last process, in order.
func (s *slot) close() {
	s.old.Wait()
	q, _ := s.now()
	if err := q.Close(context.Background()); err != nil {
		s.b.t.Errorf("Close = %v", err)
	}
}

// acquire makes the request, as the host does: again in the next process if
// this one ends before it has answered.
func (s *slot) acquire(ctx context.Context, r Request) (*Queue, *Grant, error) {
	for {
		q, next := s.now()
		g, err := q.Acquire(ctx, r)
		if !errors.Is(err, ErrHandover) && !errors.Is(err, ErrDraining) {
			return q, g, err
		}
		select {
		case <-next:
		case <-ctx.Done():
			return q, nil, ctx.Err()
		}
	}
}

// Random clients on three hosts whose processes pause, lose replies, crash and
// are replaced, while entries are renewed and deleted and histories overrun:
// nobody may ever be told what another relies on, and everybody who goes on
// asking is served in the end.
func TestQueue_RandomStories(t *testing.T) {
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { randomStory(t, seed) })
	}
}

const seeds = 30

func randomStory(t *testing.T, seed uint64) {
	inBubble(t, func(b *bench) {
		source := rand.New(rand.NewPCG(seed, 7))
		var mu sync.Mutex
		rnd := func(n int) int { mu.Lock(); defer mu.Unlock(); return source.IntN(n) }
		some := func(ms int) time.Duration { return time.Duration(rnd(ms)) * time.Millisecond }

		const hosts, clients, rounds = 3, 12, 15
		slots := make([]*slot, hosts)
		for i := range slots {
			slots[i] = &slot{b: b, name: fmt.Sprintf("p%d", i), chaos: chaos(rnd)}
			slots[i].start()
		}
		ref := &referee{t: t, relying: make(map[store.Revision]time.Time), gone: make(map[store.Revision]bool), owner: make(map[store.Revision]string)}

		over := make(chan struct{})
		var troubles sync.WaitGroup
		troubles.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-time.After(some(20_000)):
				}
				switch s := slots[rnd(hosts)]; rnd(4) {
				case 0:
					s.crash(some(3000))
				case 1:
					s.reload()
				default:
					b.db.Touch(rnd(2000))
				}
			}
		})

		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				for n := range rounds {
					s := slots[rnd(hosts)]
					r := Request{Name: "a", ID: fmt.Sprintf("c%d-%d", c, n), TTL: time.Duration(2+rnd(10)) * time.Second, Wait: Forever}
					owner, victim := r.ID, c == clients-1
					if c%3 == 0 || victim { // shares a value with others
						r.Value = fmt.Sprintf("value%d-%d", c%2, n)
						r.TTL = 5 * time.Second // one that shortens it takes from the others
						if victim {
							r.Value = r.ID
						}
						owner = r.Value
					}
					switch rnd(5) {
					case 0:
						r.Wait = time.Duration(rnd(5)) * time.Second
					}
					ctx, cancel := context.WithCancel(context.Background())
					if rnd(4) == 0 {
						time.AfterFunc(some(8000), cancel)
					}
					var asides sync.WaitGroup
					if r.Value != "" && rnd(2) == 0 { // meanwhile
						asides.Go(func() {
							time.Sleep(some(4000))
							q, _ := slots[rnd(hosts)].now()
							if victim {
								q.Release(ctx, "a", Target{Value: r.Value}) //nolint:errcheck // may not be there
								return
							}
							sent := time.Now()
							if g, err := q.Renew(ctx, "a", Target{Value: r.Value}, r.TTL); err == nil && g != nil {
								ref.granted(g, owner, sent.Add(g.ValidFor(sent)))
							}
						})
					}
					sent := time.Now()
					q, g, err := s.acquire(ctx, r)
					asides.Wait()
					if err != nil {
						cancel()
						time.Sleep(some(1000))
						continue
					}
					if ctx.Err() != nil || rnd(10) == 0 {
						g.Delivered(errors.New("client gone"))
						cancel()
						continue
					}
					if !victim { // whose entry somebody may have deleted
						ref.granted(g, owner, sent.Add(g.ValidFor(sent)))
					}
					g.Delivered(nil)
					time.Sleep(some(3000))
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
		close(over)
		troubles.Wait()
		for _, s := range slots {
			s.view.SetHook(nil)
		}
		time.Sleep(3 * sessionTTL) // paused calls and left-overs settle
		b.left(0)
		if ref.grants < clients {
			t.Errorf("only %d grants", ref.grants)
		}
		for _, s := range slots {
			s.close()
		}
	})
}
