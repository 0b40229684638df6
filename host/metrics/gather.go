package metrics

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

// moduleTime is how long a module has to tell its metrics: much less than
// Prometheus waits for all.
const moduleTime = 2 * time.Second

// Handler answers GET /metrics: the host's metrics, and those of the modules
// that s knows. Call it once.
func (m *Metrics) Handler(s Source) http.Handler {
	m.registry.MustRegister(newModules(s))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return m.gather(r.Context(), s) })
		w.Header().Set("X-Content-Type-Options", "nosniff")
		promhttp.HandlerFor(all, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	})
}

// gather asks everybody. Modules come first, so that what fails there counts
// already.
func (m *Metrics) gather(ctx context.Context, s Source) ([]*dto.MetricFamily, error) {
	accounts := ask(ctx, s)
	if ctx.Err() != nil {
		return nil, ctx.Err() // who asks has left; that is nobody's fault
	}
	for _, a := range accounts {
		m.blame(a)
	}
	own, err := m.registry.Gather()
	if err != nil {
		return nil, err
	}
	all := make(map[string]*dto.MetricFamily, len(own))
	for _, f := range own {
		all[f.GetName()] = f
	}
	for _, a := range accounts {
		m.add(all, a)
	}
	return slices.SortedFunc(maps.Values(all), func(a, b *dto.MetricFamily) int {
		return strings.Compare(a.GetName(), b.GetName())
	}), nil
}

// reserved reports whether a name is the host's: those of the SDK, which begin
// with modhost_ too, are the modules'.
func reserved(name string) bool {
	return slices.ContainsFunc([]string{
		"modhost_http_", "modhost_rpc_", "modhost_module_", "modhost_reloads_", "modhost_last_reload_", "modhost_build_",
	}, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// blame counts a module that did not tell, and logs that it has begun not to.
func (m *Metrics) blame(a account) {
	failed := m.scrapeErrors.WithLabelValues(a.module) // shown as 0 for the others
	if a.err == nil {
		m.forget(a.module, "")
		return
	}
	failed.Inc()
	if m.tell(a.module, "") {
		m.logger.Warn("metrics of a module not gathered", "module", a.module, "error", a.err)
	}
}

// add adds what a module tells. The host's names are its own; but for those of
// the process and of the Go runtime, of which each process has its own values.
func (m *Metrics) add(all map[string]*dto.MetricFamily, a account) {
	for _, name := range slices.Sorted(maps.Keys(a.families)) {
		f, before := a.families[name], all[name]
		claim(f, a.module)
		why := ""
		switch err := showable(f); {
		case err != nil:
			why = err.Error()
		case reserved(name):
			why = "the name is the host's"
		case before != nil && before.GetType() != f.GetType():
			why = "of another type than the metric of that name of the host or of another module"
		case ambiguous(f):
			why = "it has the same labels twice"
		case before == nil:
			all[name] = f
		default:
			before.Metric = append(before.Metric, f.Metric...)
		}
		if why != "" && m.tell(a.module, name) {
			m.logger.Warn("metric of a module left out", "module", a.module, "metric", name, "reason", why)
		}
	}
}

// mostTold bounds what is remembered, should a module think of a new name each
// time.
const mostTold = 1000

// tell reports whether the log has yet to say something of a module, or of one
// of its metrics, and notes that it will.
func (m *Metrics) tell(module, metric string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := complaint{module, metric}
	if m.told[key] || len(m.told) >= mostTold {
		return false
	}
	m.told[key] = true
	return true
}

// forget lets tell begin anew.
func (m *Metrics) forget(module, metric string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.told, complaint{module, metric})
}
