package wire_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/etcd-modules/modhost/sdk/wire"
)

const (
	traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	tracestate  = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"
)

// traced is a request that belongs to a trace.
func traced(t *testing.T) *http.Request {
	r, err := http.NewRequest("GET", "http://host/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("traceparent", traceparent)
	r.Header.Set("tracestate", tracestate)
	return r
}

// Trace headers are the client's: the host starts no span of its own, so it
// must not touch them.
func TestServe_TraceHeadersAreUntouched(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Seen"] = append(r.Header.Values("traceparent"), r.Header.Values("tracestate")...)
		})
		resp, _ := h.send(t, traced(t))
		if got := resp.Header.Values("Seen"); len(got) != 2 || got[0] != traceparent || got[1] != tracestate {
			t.Errorf("the module has seen %q", got)
		}
	})
}

func TestServe_PanicIsLoggedWithItsRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(http.ResponseWriter, *http.Request) { panic("boom") })
		h.send(t, traced(t))
		h.processes[0].kill()
		line, _, _ := strings.Cut(h.processes[0].log.String(), "\n")
		if !strings.Contains(line, "request_id=id-1 trace_id=4bf92f3577b34da6a3ce929d0e0e4736 ") {
			t.Errorf("log line: %s", line)
		}
	})
}

func TestClient_MetricsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		plugin := &fakePlugin{metrics: bytes.Repeat([]byte("#"), wire.MaxMetrics-100)}
		p := startProcess(t, plugin)
		if text, err := p.client.Metrics(t.Context()); err != nil || len(text) > 0 {
			t.Errorf("Metrics = %d bytes, %v before the capability is known", len(text), err)
		}
		if _, err := p.client.Info(t.Context(), "v1"); err != nil {
			t.Fatal(err)
		}
		if text, err := p.client.Metrics(t.Context()); err != nil || len(text) != len(plugin.metrics) {
			t.Errorf("Metrics = %d bytes, %v", len(text), err)
		}
		plugin.metrics = append(plugin.metrics, plugin.metrics...)
		if _, err := p.client.Metrics(t.Context()); !errors.Is(err, wire.ErrTooLarge) {
			t.Errorf("Metrics = %v, want ErrTooLarge", err)
		}
		plugin.metrics = []byte("a 1\n") // the connection has not suffered
		if text, err := p.client.Metrics(t.Context()); err != nil || string(text) != "a 1\n" {
			t.Errorf("Metrics = %q, %v", text, err)
		}
	})
}
