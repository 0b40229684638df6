// Package metrics counts what the host does and gathers what its modules count:
// all of /metrics.
//
// The host's own metrics begin with modhost_, those of its process with go_ and
// process_. Each module that is ready is asked over the wire when /metrics is;
// what it answers gets the label module. A module can harm neither the others
// nor the host: it is asked beside them, for two seconds at most, and what it
// can't tell in good form is left out and counted. Its names can't stand for the
// host's.
package metrics

import (
	"runtime"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// patience are buckets, in seconds, for what may take a millisecond or a client
// that waits for a lock all night.
var patience = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 12 * 3600}

// Metrics are those of one host, in a registry of their own. Methods are safe
// for concurrent use.
type Metrics struct {
	logger   hclog.Logger
	registry *prometheus.Registry

	requests        *prometheus.CounterVec   // module, method, code
	requestDuration *prometheus.HistogramVec // module, code
	inFlight        *prometheus.GaugeVec     // module
	rpcs            *prometheus.CounterVec   // module, method, code
	rpcDuration     *prometheus.HistogramVec // module, method
	reloads         *prometheus.CounterVec   // result
	reloaded        prometheus.Gauge
	scrapeErrors    *prometheus.CounterVec // module

	mu   sync.Mutex         // guards what follows
	told map[complaint]bool // what the log has said already
}

// A complaint is about one metric of a module, or about all if it names none.
type complaint struct{ module, metric string }

// New returns the metrics of a host of that version, which has just read its
// config. What is wrong with the modules' metrics goes to logger.
func New(version string, logger hclog.Logger) *Metrics {
	reg := prometheus.NewRegistry()
	in := promauto.With(reg)
	m := &Metrics{
		logger:   logger,
		registry: reg,
		requests: in.NewCounterVec(prometheus.CounterOpts{
			Name: "modhost_http_requests_total",
			Help: "Requests answered, by module (empty: the host's own routes), method and status. Code aborted: broken off, mostly because the client left.",
		}, []string{"module", "method", "code"}),
		requestDuration: in.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "modhost_http_request_duration_seconds",
			Help:    "How long requests took, those included that waited for their turn.",
			Buckets: patience,
		}, []string{"module", "code"}),
		inFlight: in.NewGaugeVec(prometheus.GaugeOpts{
			Name: "modhost_http_requests_in_flight",
			Help: "Requests that a module has not answered yet.",
		}, []string{"module"}),
		rpcs: in.NewCounterVec(prometheus.CounterOpts{
			Name: "modhost_rpc_total",
			Help: "RPCs to the processes of a module that have ended, by method and gRPC code. Serve is one HTTP request, Lifeline one process.",
		}, []string{"module", "method", "code"}),
		rpcDuration: in.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "modhost_rpc_duration_seconds",
			Help:    "How long RPCs to the processes of a module took, Lifeline left out.",
			Buckets: patience,
		}, []string{"module", "method"}),
		reloads: in.NewCounterVec(prometheus.CounterOpts{
			Name: "modhost_reloads_total",
			Help: "Reloads of the config, by result: success, or failure when it was refused.",
		}, []string{"result"}),
		reloaded: in.NewGauge(prometheus.GaugeOpts{
			Name: "modhost_last_reload_success_timestamp_seconds",
			Help: "Unix time when the config in use was read.",
		}),
		scrapeErrors: in.NewCounterVec(prometheus.CounterOpts{
			Name: "modhost_module_scrape_errors_total",
			Help: "Times that a ready module did not tell its metrics, or not in good form.",
		}, []string{"module"}),
		told: make(map[complaint]bool),
	}
	in.NewGaugeVec(prometheus.GaugeOpts{
		Name: "modhost_build_info",
		Help: "Always 1; the labels are the host's version and Go's.",
	}, []string{"version", "go_version"}).WithLabelValues(version, runtime.Version()).Set(1)
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	for _, result := range []string{success, failure} {
		m.reloads.WithLabelValues(result)
	}
	m.reloaded.Set(now())
	return m
}

const (
	success = "success"
	failure = "failure"
)

// Reloaded counts a reload of the config, which was applied or refused.
func (m *Metrics) Reloaded(applied bool) {
	if !applied {
		m.reloads.WithLabelValues(failure).Inc()
		return
	}
	m.reloads.WithLabelValues(success).Inc()
	m.reloaded.Set(now())
}

// now is in seconds, as Prometheus counts time.
func now() float64 { return unix(time.Now()) }

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
