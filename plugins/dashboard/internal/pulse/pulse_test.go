package pulse

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// A patient is a pulse with a store that can be broken.
type patient struct {
	*Pulse
	streams live.Var[int64]
	asked   atomic.Int64
	fault   atomic.Pointer[memory.Fault]
}

// examine runs f in a bubble, with a pulse that runs.
func examine(t *testing.T, f func(t *testing.T, p *patient)) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		s := memory.New()
		s.SetHook(func(op memory.Op, key string) memory.Fault {
			p.asked.Add(1)
			if f := p.fault.Load(); f != nil {
				return *f
			}
			return memory.Fault{}
		})
		p.Pulse = &Pulse{Store: s, Streams: p.streams.Get}
		ctx, end := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() {
			defer close(over)
			p.Run(ctx)
		}()
		defer func() {
			end()
			<-over
		}()
		f(t, p)
	})
}

// now returns the state when all has come to rest.
func (p *patient) now() State {
	synctest.Wait()
	s, _ := p.State()
	return s
}

func TestPulse_SilentStoreIsToldWithinTwoSeconds(t *testing.T) {
	examine(t, func(t *testing.T, p *patient) {
		p.streams.Set(1)
		time.Sleep(10 * time.Second)
		if s := p.now(); s.Why != "" || s.Since.IsZero() {
			t.Fatalf("state = %+v, want that it answers", s)
		}
		p.fault.Store(&memory.Fault{Pause: make(chan struct{})})
		gone := time.Now()
		_, changed := p.State()
		<-changed
		if took := time.Since(gone); took > 2*time.Second {
			t.Errorf("it was told after %v, want 2 s at most", took)
		}
		s := p.now()
		if s.Why == "" || s.Since.After(gone) || gone.Sub(s.Since) > time.Second {
			t.Errorf("state = %+v, want that it has not answered since just before %v", s, gone)
		}
		since := s.Since
		_, changed = p.State()
		time.Sleep(time.Minute)
		select {
		case <-changed:
			t.Error("the same was told again")
		default:
		}
		if s := p.now(); s.Why == "" || !s.Since.Equal(since) {
			t.Errorf("state = %+v a minute later, want since %v still", s, since)
		}
		p.fault.Store(nil)
		back := time.Now()
		_, changed = p.State()
		<-changed
		if took := time.Since(back); took > 2*time.Second {
			t.Errorf("its coming back was told after %v, want 2 s at most", took)
		}
		if s := p.now(); s.Why != "" {
			t.Errorf("state = %+v, want that it answers", s)
		}
	})
}

func TestPulse_RefusedIsToldAtTheNextQuestion(t *testing.T) {
	examine(t, func(t *testing.T, p *patient) {
		p.streams.Set(1)
		time.Sleep(10 * time.Second)
		cause := fmt.Errorf("%w: dial tcp 127.0.0.1:2379: connect: connection refused", store.ErrUnavailable)
		p.fault.Store(&memory.Fault{Refuse: cause})
		time.Sleep(every)
		if s := p.now(); s.Why != "127.0.0.1:2379: connect: connection refused" {
			t.Errorf("state = %+v, want the innermost cause", s)
		}
	})
}

// A member that can read but has no quorum.
type minority struct{ store.Store }

func (m minority) Get(ctx context.Context, key string, c store.Consistency) (store.Entry, error) {
	if c == store.Local {
		return store.Entry{}, store.ErrNotFound
	}
	<-ctx.Done()
	return store.Entry{}, ctx.Err()
}

func TestPulse_LossOfQuorumIsNamed(t *testing.T) {
	examine(t, func(t *testing.T, p *patient) {
		p.Store = minority{}
		p.streams.Set(1)
		time.Sleep(10 * time.Second)
		if s := p.now(); s.Why != "its members have no quorum, so nothing can be written" {
			t.Errorf("state = %+v, want that there is no quorum", s)
		}
	})
}

func TestPulse_NobodyLooks(t *testing.T) {
	examine(t, func(t *testing.T, p *patient) {
		time.Sleep(time.Hour)
		if n := p.asked.Load(); n != 0 {
			t.Errorf("etcd was asked %d times while there were no streams", n)
		}
		p.streams.Set(2)
		time.Sleep(time.Minute)
		p.streams.Set(0)
		time.Sleep(time.Second)
		n := p.asked.Load()
		if n < 50 || n > 100 {
			t.Errorf("etcd was asked %d times in a minute, want about once a second", n)
		}
		time.Sleep(time.Hour)
		if more := p.asked.Load() - n; more != 0 {
			t.Errorf("etcd was asked %d times after the last stream was gone", more)
		}
	})
}
