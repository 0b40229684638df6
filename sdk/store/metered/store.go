// Package metered counts and times the calls of a store, whatever its driver.
//
//	modhost_store_calls_total{operation,result}        calls that have ended
//	modhost_store_call_duration_seconds{operation}     how long they took
//	modhost_store_watches                              watches that are open
//	modhost_store_watch_events_total                   changes they have shown
//
// The operations are get, list, put, create, swap, renew, delete (by creation
// too) and prune; watch is one return of a Watcher's Next, which waits for a
// change and therefore is not timed. Results are ok; not_found, exists, changed,
// compacted, unavailable and invalid, the store's sentinel errors; canceled,
// when the caller had given up or its time was over; and error.
//
// Guarded writes that fail are a normal part of what the queue does: only
// unavailable, and error, say that something is wrong.
package metered

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/etcd-modules/modhost/sdk/store"
)

// New returns s with its calls counted in reg, in which nothing else may have
// these names. It is a [store.Pruner] if s is one, and its Close closes s if
// that can be closed; for [store.Tree] and [store.Inspector] ask s itself. A call
// costs less than a microsecond more. The result is as safe for concurrent use as
// s.
func New(s store.Store, reg prometheus.Registerer) store.Store {
	in := promauto.With(reg)
	m := &metered{
		next: s,
		calls: in.NewCounterVec(prometheus.CounterOpts{
			Name: "modhost_store_calls_total",
			Help: "Calls of the module's store that have ended, by operation and result.",
		}, []string{"operation", "result"}),
		duration: in.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "modhost_store_call_duration_seconds",
			Help:    "How long calls of the module's store took, by operation.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"operation"}),
		watches: in.NewGauge(prometheus.GaugeOpts{
			Name: "modhost_store_watches",
			Help: "Watches of the module's store that are open.",
		}),
		events: in.NewCounter(prometheus.CounterOpts{
			Name: "modhost_store_watch_events_total",
			Help: "Changes that watches of the module's store have shown.",
		}),
	}
	if p, ok := s.(store.Pruner); ok {
		return &pruner{m, p}
	}
	return m
}

// metered is a store that counts. It embeds none, so that no method of
// [store.Store] can be added past it.
type metered struct {
	next     store.Store
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	watches  prometheus.Gauge
	events   prometheus.Counter
}

var (
	_ store.Store  = (*metered)(nil)
	_ io.Closer    = (*metered)(nil)
	_ store.Pruner = (*pruner)(nil)
)

// A pruner is metered for a driver that has this ability.
type pruner struct {
	*metered
	pruner store.Pruner
}

func (m *metered) note(operation string, began time.Time, err error) {
	m.duration.WithLabelValues(operation).Observe(time.Since(began).Seconds())
	m.calls.WithLabelValues(operation, result(err)).Inc()
}

// result is the label for how a call ended.
func result(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, store.ErrNotFound):
		return "not_found"
	case errors.Is(err, store.ErrExists):
		return "exists"
	case errors.Is(err, store.ErrChanged):
		return "changed"
	case errors.Is(err, store.ErrCompacted):
		return "compacted"
	case errors.Is(err, store.ErrUnavailable):
		return "unavailable"
	case errors.Is(err, store.ErrInvalid):
		return "invalid"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "canceled" // last: a driver's own limit is within unavailable
	}
	return "error"
}

func (m *metered) Get(ctx context.Context, key string, c store.Consistency) (store.Entry, error) {
	began := time.Now()
	e, err := m.next.Get(ctx, key, c)
	m.note("get", began, err)
	return e, err
}

func (m *metered) List(ctx context.Context, dir string, c store.Consistency) (store.Listing, error) {
	began := time.Now()
	l, err := m.next.List(ctx, dir, c)
	m.note("list", began, err)
	return l, err
}

func (m *metered) Put(ctx context.Context, key, value string, ttl time.Duration) (store.Entry, error) {
	began := time.Now()
	e, err := m.next.Put(ctx, key, value, ttl)
	m.note("put", began, err)
	return e, err
}

func (m *metered) Create(ctx context.Context, key, value string, ttl time.Duration) (store.Entry, error) {
	began := time.Now()
	e, err := m.next.Create(ctx, key, value, ttl)
	m.note("create", began, err)
	return e, err
}

func (m *metered) Swap(ctx context.Context, e store.Entry, value string, ttl time.Duration) (store.Entry, error) {
	began := time.Now()
	e, err := m.next.Swap(ctx, e, value, ttl)
	m.note("swap", began, err)
	return e, err
}

func (m *metered) Renew(ctx context.Context, e store.Entry, ttl time.Duration) (store.Entry, error) {
	began := time.Now()
	e, err := m.next.Renew(ctx, e, ttl)
	m.note("renew", began, err)
	return e, err
}

func (m *metered) Delete(ctx context.Context, e store.Entry) error {
	began := time.Now()
	err := m.next.Delete(ctx, e)
	m.note("delete", began, err)
	return err
}

func (m *metered) DeleteCreation(ctx context.Context, key string, created store.Revision) error {
	began := time.Now()
	err := m.next.DeleteCreation(ctx, key, created)
	m.note("delete", began, err)
	return err
}

func (p *pruner) Prune(ctx context.Context, dir string) (int, error) {
	began := time.Now()
	n, err := p.pruner.Prune(ctx, dir)
	p.note("prune", began, err)
	return n, err
}

func (m *metered) Watch(dir string, after store.Revision) store.Watcher {
	m.watches.Inc()
	return &watcher{m.next.Watch(dir, after), m}
}

// Close closes the driver, if that can be closed.
func (m *metered) Close() error {
	if c, ok := m.next.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// A watcher counts what a watch shows.
type watcher struct {
	next  store.Watcher
	store *metered
}

func (w *watcher) Next(ctx context.Context) ([]store.Event, error) {
	events, err := w.next.Next(ctx)
	w.store.calls.WithLabelValues("watch", result(err)).Inc()
	w.store.events.Add(float64(len(events)))
	return events, err
}

func (w *watcher) Close() error {
	w.store.watches.Dec()
	return w.next.Close()
}
