package sdk_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/wire"
)

func TestPlugin_TellsItsMetrics(t *testing.T) {
	p := plugin(t, func(_ settings, env *sdk.Env) (http.Handler, error) {
		promauto.With(env.Metrics).NewCounter(prometheus.CounterOpts{Name: "greetings_total", Help: "Said."}).Inc()
		env.Store.Get(t.Context(), "x", store.Local) //nolint:errcheck // it is there to be counted
		return http.NotFoundHandler(), nil
	}, sdk.Options{})
	if info, err := p.Info(t.Context()); err != nil || !slices.Contains(info.GetCapabilities(), wire.CapabilityMetrics) {
		t.Errorf("Info = %v, %v, want the capability", info, err)
	}
	if text, err := p.Metrics(t.Context()); err != nil || len(text) > 0 {
		t.Errorf("Metrics before Configure = %q, %v", text, err)
	}
	if diags := configure(t, p, ""); len(diags) > 0 {
		t.Fatal(diags)
	}
	text, err := p.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# HELP greetings_total Said.\n# TYPE greetings_total counter\ngreetings_total 1\n",
		"\ngo_goroutines ", "\nprocess_start_time_seconds ",
		"\n" + `modhost_store_calls_total{operation="get",result="not_found"} 1` + "\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("Metrics lack %q:\n%s", want, text)
		}
	}
}

// Two processes of one test, or two tries to configure one, share nothing.
func TestPlugin_EachHasItsOwnRegistry(t *testing.T) {
	fails := true
	p := plugin(t, func(_ settings, env *sdk.Env) (http.Handler, error) {
		promauto.With(env.Metrics).NewCounter(prometheus.CounterOpts{Name: "x_total", Help: "X."})
		if fails {
			return nil, errors.New("not yet")
		}
		return http.NotFoundHandler(), nil
	}, sdk.Options{})
	configure(t, p, "")
	fails = false
	if diags := configure(t, p, ""); len(diags) > 0 {
		t.Error(diags)
	}
}

// hanging is a collector that does not come back.
type hanging struct {
	prometheus.Gauge
	asked chan struct{}
	over  chan struct{}
}

func (h hanging) Collect(chan<- prometheus.Metric) {
	h.asked <- struct{}{}
	<-h.over
}

func TestPlugin_HangingCollectorIsAskedOnce(t *testing.T) {
	h := hanging{prometheus.NewGauge(prometheus.GaugeOpts{Name: "x", Help: "X."}), make(chan struct{}, 2), make(chan struct{})}
	p := plugin(t, func(_ settings, env *sdk.Env) (http.Handler, error) {
		return http.NotFoundHandler(), env.Metrics.Register(h)
	}, sdk.Options{})
	if diags := configure(t, p, ""); len(diags) > 0 {
		t.Fatal(diags)
	}
	done := make(chan error, 1)
	go func() {
		_, err := p.Metrics(t.Context())
		done <- err
	}()
	<-h.asked
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := p.Metrics(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Metrics meanwhile = %v, want its context's error", err)
	}
	close(h.over)
	if err := <-done; err != nil || len(h.asked) > 0 {
		t.Errorf("Metrics = %v, collector asked %d times more", err, len(h.asked))
	}
}
