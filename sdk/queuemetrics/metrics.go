// Package queuemetrics shows what a [queue.Queue] does as Prometheus metrics,
// for modules that are built on one: the label module, which the host adds,
// tells the lock's from the leader's.
//
//	m := queuemetrics.New(env.Metrics)
//	q, err := queue.New(queue.Options{..., Observer: m.Observer()})
//	...
//	m.Follow(q)
//
// What has waited is a request; an entry is a place in a line, which requests
// with the same value share. Counters and histograms tell about the requests of
// this process, and add up over hosts, but for expiries. The gauges
// modhost_queue_locks_held and modhost_queue_entries_waiting are about the whole
// store: every host that reaches it says the same.
package queuemetrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/etcd-modules/modhost/sdk/queue"
)

const (
	// censusEvery is how often the store is read for the gauges about it,
	// however often they are asked for. Until then they keep their values.
	censusEvery = 5 * time.Second

	// censusTime is how long that may take: less than the host waits for all
	// metrics of a module.
	censusTime = time.Second
)

// Metrics are those of one queue. Its methods are safe for concurrent use.
type Metrics struct {
	reg prometheus.Registerer

	grants, timeouts, refusals, abandoned prometheus.Counter
	renewals, releases, expiries          prometheus.Counter
	waited, held, lag                     prometheus.Histogram
	relists                               *prometheus.CounterVec
}

// New registers the metrics in reg, which may be nil: then they are counted,
// and nobody sees it. It panics if reg has the metrics of a queue already.
func New(reg prometheus.Registerer) *Metrics {
	in := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return in.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &Metrics{
		reg:       reg,
		grants:    counter("modhost_queue_grants_total", "Requests of this process that obtained what they asked for."),
		timeouts:  counter("modhost_queue_timeouts_total", "Requests whose time to wait was over before they obtained it."),
		refusals:  counter("modhost_queue_refusals_total", "Requests that would not wait and did not obtain it at once."),
		abandoned: counter("modhost_queue_abandoned_total", "Requests whose client left while they waited."),
		renewals:  counter("modhost_queue_renewals_total", "New TTLs for what is held, also by a holder's own repeated request."),
		releases:  counter("modhost_queue_releases_total", "Held entries that were released by request."),
		expiries: counter("modhost_queue_expiries_total",
			"Held entries that the store ended because their TTL was over. Known only where somebody waits, and counted by each host where somebody does."),
		waited: in.NewHistogram(prometheus.HistogramOpts{
			Name:    "modhost_queue_wait_seconds",
			Help:    "How long requests have waited that obtained what they asked for, since the host received them.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 12 * 3600},
		}),
		held: in.NewHistogram(prometheus.HistogramOpts{
			Name:    "modhost_queue_hold_seconds",
			Help:    "How long entries were held that were released by request, by the clocks of the hosts that granted and released.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600},
		}),
		lag: in.NewHistogram(prometheus.HistogramOpts{
			Name:    "modhost_queue_mirror_lag_seconds",
			Help:    "Time from sending a heartbeat to the store until the watch has shown it. Measured every second while somebody waits.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 3, 5},
		}),
		relists: in.NewCounterVec(prometheus.CounterOpts{
			Name: "modhost_queue_relists_total",
			Help: "Lines read anew because their watch could not go on (compacted) or showed nothing (silent).",
		}, []string{"reason"}),
	}
	for _, why := range []string{queue.RelistCompacted, queue.RelistSilent} {
		m.relists.WithLabelValues(why)
	}
	return m
}

// Observer is for the queue's Options.
func (m *Metrics) Observer() queue.Observer {
	return queue.Observer{
		Granted: func(waited time.Duration) {
			m.grants.Inc()
			m.waited.Observe(waited.Seconds())
		},
		TimedOut: func(time.Duration) { m.timeouts.Inc() },
		Refused:  m.refusals.Inc,
		Left:     func(time.Duration) { m.abandoned.Inc() },
		Renewed:  m.renewals.Inc,
		Released: func(held time.Duration) {
			m.releases.Inc()
			m.held.Observe(held.Seconds())
		},
		Expired:  m.expiries.Inc,
		Lag:      func(lag time.Duration) { m.lag.Observe(lag.Seconds()) },
		Relisted: func(why string) { m.relists.WithLabelValues(why).Inc() },
	}
}

// Follow adds the gauges, which ask q when they are asked. Call it once.
func (m *Metrics) Follow(q *queue.Queue) {
	if m.reg != nil {
		m.reg.MustRegister(&gauges{
			queue: q,
			requests: prometheus.NewDesc("modhost_queue_requests_waiting",
				"Requests of this process that wait at this moment.", nil, nil),
			held: prometheus.NewDesc("modhost_queue_locks_held",
				"Locks or offices in the whole store that are held. Absent when the store does not answer.", nil, nil),
			waiting: prometheus.NewDesc("modhost_queue_entries_waiting",
				"Entries in the whole store that wait for their turn. Absent when the store does not answer.", nil, nil),
		})
	}
}

// gauges is a collector of what holds at the moment.
type gauges struct {
	queue                   *queue.Queue
	requests, held, waiting *prometheus.Desc

	mu    sync.Mutex // guards what follows, also while the store is read
	last  queue.Census
	taken time.Time // when last was; the zero time: there is none
}

var _ prometheus.Collector = (*gauges)(nil)

func (g *gauges) Describe(to chan<- *prometheus.Desc) {
	to <- g.requests
	to <- g.held
	to <- g.waiting
}

func (g *gauges) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(g.requests, prometheus.GaugeValue, float64(g.queue.Waiting()))
	if c, ok := g.census(); ok {
		to <- prometheus.MustNewConstMetric(g.held, prometheus.GaugeValue, float64(c.Held))
		to <- prometheus.MustNewConstMetric(g.waiting, prometheus.GaugeValue, float64(c.Waiting))
	}
}

// census counts what is in the store, at most every censusEvery. False if the
// store does not tell: what it told before that is not shown as if it still
// held.
func (g *gauges) census() (queue.Census, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.taken.IsZero() && time.Since(g.taken) < censusEvery {
		return g.last, true
	}
	g.taken = time.Time{}
	ctx, cancel := context.WithTimeout(context.Background(), censusTime)
	defer cancel()
	c, err := g.queue.Census(ctx)
	if err != nil {
		return c, false
	}
	g.last, g.taken = c, time.Now()
	return c, true
}
