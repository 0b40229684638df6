package sdk

import (
	"bytes"
	"context"
	"fmt"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

// metrics is what a module counts: [Env.Metrics] and the host's way to it.
type metrics struct {
	registry *prometheus.Registry
	logger   hclog.Logger
	turn     chan struct{} // holds one while metrics are gathered
}

// newMetrics makes a registry that already tells about the process.
func newMetrics(logger hclog.Logger) *metrics {
	m := &metrics{prometheus.NewRegistry(), logger, make(chan struct{}, 1)}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// text gathers, one call at a time: a collector that hangs holds one goroutine,
// not one for each time that the host has asked. What could not be gathered is
// left out, and the log says why.
func (m *metrics) text(ctx context.Context) ([]byte, error) {
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	families, err := m.registry.Gather()
	if err != nil {
		m.logger.Warn("metrics left out", "error", err)
	}
	var text bytes.Buffer
	encoder := expfmt.NewEncoder(&text, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if err := encoder.Encode(f); err != nil {
			return nil, fmt.Errorf("encode %s: %w", f.GetName(), err)
		}
	}
	return text.Bytes(), nil
}
