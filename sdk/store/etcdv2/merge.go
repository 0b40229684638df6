package etcdv2

import (
	"context"
	"sync"
)

// A merger lets reads of one thing share a request. A read never joins one
// that was on its way before it began, because that may miss a write that was
// answered in between; it shares the following one.
type merger struct {
	life    context.Context // of the Store, not of any call: the requests belong to nobody else
	end     context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex // guards flights
	flights map[mergeKey]*flights
}

func newMerger() *merger {
	m := &merger{flights: make(map[mergeKey]*flights)}
	m.life, m.end = context.WithCancel(context.Background())
	return m
}

type mergeKey struct {
	path      string
	recursive bool
}

// flights are the request on its way, by its being there, and the next.
type flights struct{ next *flight }

type flight struct {
	done  chan struct{} // closed when the rest is set
	state state
	err   error
}

// do returns what send answers to a request that was sent after do began. The
// request does not end with ctx, since others may wait for it too.
func (m *merger) do(ctx context.Context, key mergeKey, send func(context.Context) (state, error)) (state, error) {
	mine := m.board(key, send)
	select {
	case <-mine.done:
		return mine.state, mine.err
	case <-ctx.Done():
		return state{}, ctx.Err()
	}
}

func (m *merger) board(key mergeKey, send func(context.Context) (state, error)) *flight {
	m.mu.Lock()
	defer m.mu.Unlock()
	if under := m.flights[key]; under != nil {
		if under.next == nil {
			under.next = &flight{done: make(chan struct{})}
		}
		return under.next
	}
	f := &flight{done: make(chan struct{})}
	m.flights[key] = &flights{}
	m.running.Go(func() { m.run(key, f, send) }) // close waits
	return f
}

// run sends f and then what has gathered meanwhile, until nothing has.
func (m *merger) run(key mergeKey, f *flight, send func(context.Context) (state, error)) {
	for f != nil {
		ctx, cancel := context.WithTimeout(m.life, callTimeout)
		f.state, f.err = send(ctx)
		cancel()
		close(f.done)
		m.mu.Lock()
		f, m.flights[key].next = m.flights[key].next, nil
		if f == nil {
			delete(m.flights, key)
		}
		m.mu.Unlock()
	}
}

// close ends the requests under way and waits for that.
func (m *merger) close() {
	m.end()
	m.running.Wait()
}
