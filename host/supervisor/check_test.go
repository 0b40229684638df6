package supervisor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// A check that is under way when the host ends starts no process any more, and
// the end waits for it: what forks has its thread.
func TestCheck_EndsWithTheSupervisor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fork := newForker()
		asked := make(chan struct{}, 1)
		s := newSupervisor(hclog.NewNullLogger(), nil, func(ctx context.Context, _ Spec) ([]*wirepb.Diagnostic, error) {
			asked <- struct{}{}
			<-ctx.Done()
			return nil, fork.do(func() error { return ctx.Err() }) // is there until the check has ended
		}, fork)
		found := make(chan []Finding, 1)
		go func() { found <- s.Check(t.Context(), []Spec{{Name: "a"}}) }()
		<-asked
		if err := s.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		if f := <-found; f[0].Module != "a" || f[0].Err != errEnding {
			t.Errorf("given up: %+v", f)
		}
		if f := s.Check(t.Context(), []Spec{{Name: "a"}, {Name: "b"}}); len(f) != 2 || f[1].Module != "b" || f[1].Err != errEnding {
			t.Errorf("after Close: %+v", f)
		}
		synctest.Wait()
	})
}

// Plugins that hang when they are asked keep the others, and all orders, waiting
// for a moment only.
func TestCheck_HangingPluginsAreLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSupervisor(hclog.NewNullLogger(), nil, func(ctx context.Context, _ Spec) ([]*wirepb.Diagnostic, error) {
			time.Sleep(startTimeout) // on the clock of the bubble, which takes no time
			return nil, errors.New("hangs")
		}, newForker())
		const n = 40
		began := time.Now()
		for _, f := range s.Check(t.Context(), make([]Spec, n)) {
			if f.Err == nil || f.Err.Error() != "hangs" {
				t.Errorf("%+v", f)
			}
		}
		rounds := time.Duration((n+cap(newGate())-1)/cap(newGate()) - 1)
		if took := time.Since(began); took > rounds*gateTime+startTimeout {
			t.Errorf("took %s, want %s", took, rounds*gateTime+startTimeout)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		synctest.Wait()
	})
}
