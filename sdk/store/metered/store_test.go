package metered_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
	"github.com/etcd-modules/modhost/sdk/store/metered"
	"github.com/etcd-modules/modhost/sdk/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.RunBubble(t, func(*testing.T) store.Store {
		return metered.New(memory.New(), prometheus.NewRegistry())
	})
}

// plain is a store without any ability beside the interface, whose Close is
// counted.
type plain struct {
	store.Store
	closed int
}

func (p *plain) Close() error { p.closed++; return io.ErrClosedPipe }

func TestNew_KeepsAbilities(t *testing.T) {
	if _, ok := metered.New(memory.New(), prometheus.NewRegistry()).(store.Pruner); !ok {
		t.Error("a Pruner is none any more")
	}
	p := &plain{Store: memory.New()}
	s := metered.New(p, prometheus.NewRegistry())
	if _, ok := s.(store.Pruner); ok {
		t.Error("what is no Pruner has become one")
	}
	if err := s.(io.Closer).Close(); p.closed != 1 || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Close = %v, closed %d times", err, p.closed)
	}
	if err := metered.New(memory.New(), prometheus.NewRegistry()).(io.Closer).Close(); err != nil {
		t.Errorf("Close of a store that can't be closed = %v", err)
	}
}

func TestStore_CountsByOperationAndResult(t *testing.T) {
	reg := prometheus.NewRegistry()
	db := memory.New()
	s, ctx := metered.New(db, reg), t.Context()
	var wrong error
	db.SetHook(func(memory.Op, string) memory.Fault { return memory.Fault{Refuse: wrong} })
	over, cancel := context.WithCancel(ctx)
	cancel()

	w := s.Watch("a", 0)
	first, _ := s.Create(ctx, "a/x", "1", 0)
	e := first
	s.Create(ctx, "a/x", "2", 0)            //nolint:errcheck // the results are what is looked at below
	e, _ = s.Swap(ctx, e, "3", 0)           //nolint:errcheck
	s.Swap(ctx, first, "4", 0)              //nolint:errcheck // changed since
	s.Renew(ctx, e, 0)                      //nolint:errcheck
	s.Get(ctx, "a/x", store.Local)          //nolint:errcheck
	s.Get(ctx, "a/y", store.Local)          //nolint:errcheck
	s.Get(ctx, "a//", store.Local)          //nolint:errcheck
	s.Get(over, "a/x", store.Local)         //nolint:errcheck
	s.List(ctx, "a", store.Local)           //nolint:errcheck
	s.DeleteCreation(ctx, "a/x", e.Created) //nolint:errcheck
	s.Delete(ctx, e)                        //nolint:errcheck
	s.Put(ctx, "a/z", "5", 0)               //nolint:errcheck
	s.(store.Pruner).Prune(ctx, "a")        //nolint:errcheck
	events, _ := w.Next(ctx)                //nolint:errcheck
	w.Next(over)                            //nolint:errcheck
	wrong = store.ErrUnavailable
	s.List(ctx, "a", store.Local)                                                //nolint:errcheck
	wrong = fmt.Errorf("%w: %w", store.ErrUnavailable, context.DeadlineExceeded) // as the driver's own limit has it
	s.List(ctx, "a", store.Local)                                                //nolint:errcheck
	wrong = errors.New("what nobody expects")
	s.List(ctx, "a", store.Local) //nolint:errcheck
	if len(events) == 0 {
		t.Fatal("the watch shows nothing")
	}

	want := `
# HELP modhost_store_calls_total Calls of the module's store that have ended, by operation and result.
# TYPE modhost_store_calls_total counter
modhost_store_calls_total{operation="create",result="exists"} 1
modhost_store_calls_total{operation="create",result="ok"} 1
modhost_store_calls_total{operation="delete",result="not_found"} 1
modhost_store_calls_total{operation="delete",result="ok"} 1
modhost_store_calls_total{operation="get",result="canceled"} 1
modhost_store_calls_total{operation="get",result="invalid"} 1
modhost_store_calls_total{operation="get",result="not_found"} 1
modhost_store_calls_total{operation="get",result="ok"} 1
modhost_store_calls_total{operation="list",result="error"} 1
modhost_store_calls_total{operation="list",result="ok"} 1
modhost_store_calls_total{operation="list",result="unavailable"} 2
modhost_store_calls_total{operation="prune",result="ok"} 1
modhost_store_calls_total{operation="put",result="ok"} 1
modhost_store_calls_total{operation="renew",result="ok"} 1
modhost_store_calls_total{operation="swap",result="changed"} 1
modhost_store_calls_total{operation="swap",result="ok"} 1
modhost_store_calls_total{operation="watch",result="canceled"} 1
modhost_store_calls_total{operation="watch",result="ok"} 1
# HELP modhost_store_watches Watches of the module's store that are open.
# TYPE modhost_store_watches gauge
modhost_store_watches 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "modhost_store_calls_total", "modhost_store_watches"); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]float64{"modhost_store_watches": 0, "modhost_store_watch_events_total": float64(len(events))} {
		if got := value(t, reg, name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	// All but the watch are timed.
	if n := samples(t, reg, "modhost_store_call_duration_seconds"); n != 17 {
		t.Errorf("%d calls were timed, want 17", n)
	}
	if lint, err := testutil.GatherAndLint(reg); err != nil || len(lint) > 0 {
		t.Errorf("lint: %v, %v", lint, err)
	}
}

// value is what the one metric of that name is.
func value(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// samples is how many there are in a histogram, over all its labels.
func samples(t *testing.T, reg *prometheus.Registry, name string) (n uint64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				n += m.GetHistogram().GetSampleCount()
			}
		}
	}
	return n
}

// What the counting costs: the difference to the bare store, which is the
// fastest there is. A call to etcd takes a hundred times as long as both.
func BenchmarkStore(b *testing.B) {
	for name, open := range map[string]func(store.Store) store.Store{
		"bare":    func(s store.Store) store.Store { return s },
		"metered": func(s store.Store) store.Store { return metered.New(s, prometheus.NewRegistry()) },
	} {
		b.Run(name, func(b *testing.B) {
			s := open(memory.New())
			if _, err := s.Create(b.Context(), "x", "", 0); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := s.Get(b.Context(), "x", store.Local); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
