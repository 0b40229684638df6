package queuemetrics_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/etcd-modules/modhost/sdk/queue"
	"github.com/etcd-modules/modhost/sdk/queuemetrics"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// start makes a queue whose metrics are in the registry.
func start(t *testing.T, s store.Store) (*queue.Queue, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	m := queuemetrics.New(reg)
	q, err := queue.New(queue.Options{Store: s, Session: "s", Observer: m.Observer()})
	if err != nil {
		t.Fatal(err)
	}
	m.Follow(q)
	t.Cleanup(func() { q.Close(context.Background()) }) //nolint:errcheck // the store may be out of reach
	return q, reg
}

func request(value string, wait time.Duration) queue.Request {
	return queue.Request{Name: "a", Value: value, TTL: time.Minute, Wait: wait}
}

func TestMetrics_TellOfALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, reg := start(t, memory.New())
		g, err := q.Acquire(t.Context(), request("x", queue.Forever))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Acquire(t.Context(), request("x", 0)); err != nil { // renews
			t.Fatal(err)
		}
		q.Acquire(t.Context(), request("y", 0))           //nolint:errcheck // refused
		q.Acquire(t.Context(), request("y", time.Second)) //nolint:errcheck // over
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		q.Acquire(ctx, request("y", queue.Forever)) //nolint:errcheck // left
		granted := make(chan error)
		go func() {
			_, err := q.Acquire(t.Context(), request("y", queue.Forever))
			granted <- err
		}()
		synctest.Wait()
		const counters = `
# HELP modhost_queue_abandoned_total Requests whose client left while they waited.
# TYPE modhost_queue_abandoned_total counter
modhost_queue_abandoned_total 1
# HELP modhost_queue_entries_waiting Entries in the whole store that wait for their turn. Absent when the store does not answer.
# TYPE modhost_queue_entries_waiting gauge
modhost_queue_entries_waiting 1
# HELP modhost_queue_grants_total Requests of this process that obtained what they asked for.
# TYPE modhost_queue_grants_total counter
modhost_queue_grants_total 1
# HELP modhost_queue_locks_held Locks or offices in the whole store that are held. Absent when the store does not answer.
# TYPE modhost_queue_locks_held gauge
modhost_queue_locks_held 1
# HELP modhost_queue_refusals_total Requests that would not wait and did not obtain it at once.
# TYPE modhost_queue_refusals_total counter
modhost_queue_refusals_total 1
# HELP modhost_queue_relists_total Lines read anew because their watch could not go on (compacted) or showed nothing (silent).
# TYPE modhost_queue_relists_total counter
modhost_queue_relists_total{reason="compacted"} 0
modhost_queue_relists_total{reason="silent"} 0
# HELP modhost_queue_renewals_total New TTLs for what is held, also by a holder's own repeated request.
# TYPE modhost_queue_renewals_total counter
modhost_queue_renewals_total 1
# HELP modhost_queue_requests_waiting Requests of this process that wait at this moment.
# TYPE modhost_queue_requests_waiting gauge
modhost_queue_requests_waiting 1
# HELP modhost_queue_timeouts_total Requests whose time to wait was over before they obtained it.
# TYPE modhost_queue_timeouts_total counter
modhost_queue_timeouts_total 1
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(counters), "modhost_queue_abandoned_total", "modhost_queue_entries_waiting",
			"modhost_queue_grants_total", "modhost_queue_locks_held", "modhost_queue_refusals_total", "modhost_queue_relists_total",
			"modhost_queue_renewals_total", "modhost_queue_requests_waiting", "modhost_queue_timeouts_total"); err != nil {
			t.Error(err)
		}

		time.Sleep(2 * time.Second)
		if err := q.Release(t.Context(), "a", queue.Target{Index: g.Index}); err != nil {
			t.Fatal(err)
		}
		if err := <-granted; err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"modhost_queue_wait_seconds": "0s 2s", "modhost_queue_hold_seconds": "4s"} {
			count, sum := histogram(t, reg, name)
			if n := len(strings.Fields(want)); int(count) != n || sum != map[int]float64{1: 4, 2: 2}[n] {
				t.Errorf("%s: %d samples, sum %v, want %s", name, count, sum, want)
			}
		}
		if n, _ := histogram(t, reg, "modhost_queue_mirror_lag_seconds"); n == 0 {
			t.Error("no lag was measured")
		}
		if lint, err := testutil.GatherAndLint(reg); err != nil || len(lint) > 0 {
			t.Errorf("lint: %v, %v", lint, err)
		}
	})
}

// histogram returns the number of its samples and their sum.
func histogram(t *testing.T, reg *prometheus.Registry, name string) (uint64, float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			h := f.GetMetric()[0].GetHistogram()
			return h.GetSampleCount(), h.GetSampleSum()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0, 0
}

// gauge returns a gauge's value; false if it is absent.
func gauge(t *testing.T, reg *prometheus.Registry, name string) (float64, bool) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue(), true
		}
	}
	return 0, false
}

func TestMetrics_CensusIsBoundedAndNeverOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := memory.New()
		view := db.Sub("")
		var lists atomic.Int32
		fault := func(memory.Op, string) memory.Fault { return memory.Fault{} }
		counting := func(op memory.Op, key string) memory.Fault {
			if op == memory.OpList && key == "q" {
				lists.Add(1)
				return fault(op, key)
			}
			return memory.Fault{}
		}
		q, reg := start(t, view)
		time.Sleep(time.Minute) // what the queue itself lists at its start is over
		view.SetHook(counting)
		const name = "modhost_queue_locks_held"

		if v, ok := gauge(t, reg, name); !ok || v != 0 {
			t.Errorf("%s = %v, %t, want 0", name, v, ok)
		}
		if _, err := q.Acquire(t.Context(), request("x", 0)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		if v, ok := gauge(t, reg, name); !ok || v != 0 || lists.Load() != 1 {
			t.Errorf("%s = %v, %t after 4 s and %d listings, want what it was", name, v, ok, lists.Load())
		}
		time.Sleep(time.Second)
		if v, ok := gauge(t, reg, name); !ok || v != 1 || lists.Load() != 2 {
			t.Errorf("%s = %v, %t after 5 s and %d listings, want 1", name, v, ok, lists.Load())
		}

		// A store that hangs takes a second, and what was known is not shown.
		time.Sleep(5 * time.Second)
		fault = func(memory.Op, string) memory.Fault { return memory.Fault{Pause: make(chan struct{})} }
		began := time.Now()
		if v, ok := gauge(t, reg, name); ok || time.Since(began) != time.Second {
			t.Errorf("%s = %v after %v, want it to be absent after a second", name, v, time.Since(began))
		}
		fault = func(memory.Op, string) memory.Fault { return memory.Fault{} }
		if v, ok := gauge(t, reg, name); !ok || v != 1 {
			t.Errorf("%s = %v, %t when the store is back, want 1", name, v, ok)
		}
	})
}

// A module's own test may have no registry.
func TestNew_WithoutARegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := queuemetrics.New(nil)
		q, err := queue.New(queue.Options{Store: memory.New(), Session: "s", Observer: m.Observer()})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close(t.Context()) //nolint:errcheck // in memory
		m.Follow(q)
		if _, err := q.Acquire(t.Context(), request("x", 0)); err != nil {
			t.Error(err)
		}
	})
}
