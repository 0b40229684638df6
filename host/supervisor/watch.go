package supervisor

import (
	"context"
	"reflect"
	"sync"
)

// A bell wakes whoever waits for it, all at once. The zero value is ready, and a
// nil one is never heard. Safe for concurrent use.
type bell struct {
	mu sync.Mutex
	c  chan struct{} // closed by ring; nil until somebody waits
}

func (b *bell) ring() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c != nil {
		close(b.c)
		b.c = nil
	}
}

// next returns what the next ring closes.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c == nil {
		b.c = make(chan struct{})
	}
	return b.c
}

// Watch calls f with what Modules returns, and again whenever that has changed,
// until ctx ends, f returns an error, which it returns, or all modules have
// ended after Drain. What changes while f runs comes together.
func (s *Supervisor) Watch(ctx context.Context, f func([]Status) error) error {
	var told []Status
	for {
		rung := s.news.next()
		over := s.over()
		if list := s.Modules(); told == nil || !reflect.DeepEqual(list, told) {
			if err := f(list); err != nil {
				return err
			}
			told = list
		}
		if over {
			return nil
		}
		select {
		case <-rung:
		case <-ctx.Done():
			return nil
		}
	}
}

// over reports whether nothing will change any more.
func (s *Supervisor) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ending {
		return false
	}
	for _, m := range s.modules {
		if v := m.now.Load(); v.over == nil || v.state != Disabled {
			return false
		}
	}
	return true
}
