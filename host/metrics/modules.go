package metrics

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/etcd-modules/modhost/host/supervisor"
)

// A Source knows the modules. [supervisor.Supervisor] is one.
type Source interface {
	// Modules returns what is known about each module at this moment.
	Modules() []supervisor.Status

	// Metrics returns what a module counts, in the Prometheus text format.
	Metrics(ctx context.Context, module string) ([]byte, error)
}

var _ Source = (*supervisor.Supervisor)(nil)

// modules is a collector of what the listing says.
type modules struct {
	source                       Source
	state, since, restarts, info *prometheus.Desc
}

var _ prometheus.Collector = (*modules)(nil)

func newModules(s Source) *modules {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"module"}, labels...), nil)
	}
	return &modules{
		source:   s,
		state:    desc("modhost_module_state", "1 for the state that a module is in, 0 for the others.", "state"),
		since:    desc("modhost_module_state_timestamp_seconds", "Unix time when a module's state was entered."),
		restarts: desc("modhost_module_restarts_total", "Starts of a module's process after a crash."),
		info:     desc("modhost_module_info", "Always 1, with the version of a module's plugin, while it has a process.", "version"),
	}
}

// states are all there are.
var states = []supervisor.State{
	supervisor.Disabled, supervisor.Starting, supervisor.Ready, supervisor.Draining, supervisor.Backoff, supervisor.Failed,
}

func (c *modules) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.state, c.since, c.restarts, c.info} {
		to <- d
	}
}

func (c *modules) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, m := range c.source.Modules() {
		for _, s := range states {
			is := 0.0
			if s == m.State {
				is = 1
			}
			gauge(c.state, is, m.Name, string(s))
		}
		gauge(c.since, unix(m.Since), m.Name)
		to <- prometheus.MustNewConstMetric(c.restarts, prometheus.CounterValue, float64(m.Restarts), m.Name)
		if m.Version != "" {
			gauge(c.info, 1, m.Name, m.Version)
		}
	}
}

// An account is what one module tells.
type account struct {
	module   string
	families map[string]*dto.MetricFamily
	err      error
}

// ask asks all ready modules at once. Each has moduleTime.
func ask(ctx context.Context, s Source) []account {
	var accounts []account
	for _, m := range s.Modules() {
		if m.State == supervisor.Ready {
			accounts = append(accounts, account{module: m.Name})
		}
	}
	ctx, cancel := context.WithTimeout(ctx, moduleTime)
	defer cancel()
	var all sync.WaitGroup
	for i := range accounts {
		a := &accounts[i]
		all.Go(func() {
			var text []byte
			if text, a.err = s.Metrics(ctx, a.module); a.err == nil {
				a.families, a.err = parse(text)
			}
		})
	}
	all.Wait()
	return accounts
}
