package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/host/metrics"
	"github.com/etcd-modules/modhost/host/supervisor"
	"github.com/hashicorp/go-hclog"
)

const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent = "traceparent: 00-" + traceID + "-00f067aa0ba902b7-01"
)

// A tally is a Meter that keeps what it is told.
type tally []string

func (l *tally) Began(module string) { *l = append(*l, "began "+module) }
func (l *tally) Ended(module, method string, status int, _ time.Duration) {
	*l = append(*l, fmt.Sprintf("ended %q %s %d", module, method, status))
}

func TestServer_CountsEveryRequestOnce(t *testing.T) {
	for _, c := range []struct {
		method, target string
		want           []string
	}{
		{"POST", "/mod/m?answer=423", []string{"began m", `ended "m" POST 423`}},
		{"GET", "/mod/m/a", []string{"began m", `ended "m" GET 200`}},
		{"GET", "/mod/m?panic=oh", []string{"began m", `ended "m" GET 500`}},
		{"GET", "/mod/m?abort=1", []string{"began m", `ended "m" GET 0`}},
		{"GET", "/mod/m?answer=200&abort=1", []string{"began m", `ended "m" GET 0`}},
		{"GET", "/mod/", []string{`ended "" GET 200`}},
		{"GET", "/metrics", []string{`ended "" GET 418`}},
		{"POST", "/metrics", []string{`ended "" POST 405`}},
		{"GET", "/nowhere", []string{`ended "" GET 404`}},
	} {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			var got tally
			s := newServer(t, Options{
				Meter:   &got,
				Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
				Mounts: []Mount{{Path: "/mod/m", Module: "m", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					q := r.URL.Query()
					switch q.Get("answer") {
					case "423":
						w.WriteHeader(http.StatusLocked)
					case "200":
						w.WriteHeader(http.StatusOK)
					}
					if q.Has("panic") {
						panic("oh no")
					}
					if q.Has("abort") {
						panic(http.ErrAbortHandler)
					}
				})}},
			})
			func() {
				defer func() { recover() }() //nolint:errcheck // net/http would
				get(s, c.method, c.target)
			}()
			if !slices.Equal(got, c.want) {
				t.Errorf("counted %q, want %q", got, c.want)
			}
		})
	}
}

func TestServer_WithoutMetrics(t *testing.T) {
	if w := get(newServer(t, Options{}), "GET", "/metrics"); w.Code != 404 {
		t.Errorf("answer = %d %s", w.Code, w.Body)
	}
}

func TestServer_LogLinesNameTheTrace(t *testing.T) {
	var log strings.Builder
	s := newServer(t, Options{
		Logger: hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Debug, JSONFormat: true}),
		Mounts: []Mount{{Path: "/mod/m", Module: "m", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oh no") })}},
	})
	for header, want := range map[string]any{
		traceparent: traceID, "traceparent: " + traceID: nil, "tracestate: a=1": nil,
	} {
		log.Reset()
		id := get(s, "GET", "/mod/m", header).Header().Get("X-Request-Id")
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 {
			t.Fatalf("log: %s", log.String())
		}
		for _, text := range lines {
			var line map[string]any
			if err := json.Unmarshal([]byte(text), &line); err != nil || line["trace_id"] != want || line["request_id"] != id || line["module"] != "m" {
				t.Errorf("with %q: %s; want trace_id %v, request_id %s", header, text, want, id)
			}
		}
	}
}

// What counting costs a request that does nothing else.
func BenchmarkServer(b *testing.B) {
	logger := hclog.NewNullLogger()
	for name, meter := range map[string]Meter{"unmetered": nil, "metered": metrics.New("", logger)} {
		b.Run(name, func(b *testing.B) {
			s, err := New(Options{Logger: logger, Meter: meter, Modules: func() []supervisor.Status { return nil },
				Mounts: []Mount{{Path: "/mod/lock", Module: "lock", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}}})
			if err != nil {
				b.Fatal(err)
			}
			r := httptest.NewRequest("GET", "/mod/lock/a", nil)
			b.ReportAllocs()
			for b.Loop() {
				s.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}
