package samples

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// parse reads metrics as the host prints them.
func parse(t *testing.T, text string) Families {
	t.Helper()
	p := expfmt.NewTextParser(model.LegacyValidation)
	f, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// calls are the metrics of one module after so many quick and slow calls of its
// store, and requests.
func calls(module string, quick, slow, requests int) string {
	return fmt.Sprintf(`# TYPE modhost_store_call_duration_seconds histogram
modhost_store_call_duration_seconds_bucket{module=%[1]q,operation="get",le="0.001"} %[2]d
modhost_store_call_duration_seconds_bucket{module=%[1]q,operation="get",le="0.01"} %[2]d
modhost_store_call_duration_seconds_bucket{module=%[1]q,operation="get",le="0.1"} %[3]d
modhost_store_call_duration_seconds_bucket{module=%[1]q,operation="get",le="+Inf"} %[3]d
modhost_store_call_duration_seconds_sum{module=%[1]q,operation="get"} 1
modhost_store_call_duration_seconds_count{module=%[1]q,operation="get"} %[3]d
# TYPE modhost_http_requests_total counter
modhost_http_requests_total{module=%[1]q,code="200",method="GET"} %[4]d
# TYPE modhost_queue_requests_waiting gauge
modhost_queue_requests_waiting{module=%[1]q} 7
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes{module=%[1]q} 1000
`, module, quick, quick+slow, requests)
}

func TestQuantile(t *testing.T) {
	old, now := parse(t, calls("lock", 100, 100, 0)), parse(t, calls("lock", 190, 110, 0))
	list := increases(old, now, "modhost_store_call_duration_seconds")
	for q, want := range map[float64]float64{.5: .001 * 50 / 90, .9: .001, .95: .055, 1: .1} {
		if got := quantile(q, list); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v = %v, want %v", q, got, want)
		}
	}
	if got := quantile(.5, increases(now, now, "modhost_store_call_duration_seconds")); !math.IsNaN(got) {
		t.Errorf("quantile of nothing = %v, want NaN", got)
	}
}

func TestIncreases_ProcessBeganAnew(t *testing.T) {
	old, now := parse(t, calls("lock", 100, 100, 50)), parse(t, calls("lock", 4, 0, 3))
	if in := increases(old, now, "modhost_store_call_duration_seconds"); len(in) != 1 || in[0].count != 4 || in[0].buckets[.001] != 4 {
		t.Errorf("increases = %+v, want 4", in)
	}
	if in := increases(old, now, "modhost_http_requests_total"); len(in) != 1 || in[0].count != 3 {
		t.Errorf("increases = %+v, want 3", in)
	}
}

// meter answers with one reading after the other, the last one again and again.
type meter struct{ readings []func() (Families, error) }

func (m *meter) Metrics(context.Context) (Families, error) {
	next := m.readings[0]
	if len(m.readings) > 1 {
		m.readings = m.readings[1:]
	}
	return next()
}

func run(t *testing.T, r *Ring, f func()) {
	ctx, end := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		r.Run(ctx)
	}()
	defer func() {
		end()
		<-over
	}()
	f()
}

func TestRing_Reckons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		of := func(text string) func() (Families, error) {
			f := parse(t, text)
			return func() (Families, error) { return f, nil }
		}
		m := &meter{[]func() (Families, error){of(calls("lock", 0, 0, 0)), of(calls("lock", 10, 0, 20)), func() (Families, error) { return nil, fmt.Errorf("oh") }}}
		r := &Ring{Meter: m, Writes: func() float64 { return 2.5 }}
		run(t, r, func() {
			time.Sleep(step + time.Second)
			synctest.Wait()
			s, _ := r.State()
			if len(s.Samples) != 2 || s.Err != nil {
				t.Fatalf("state = %+v, want 2 samples", s)
			}
			a, b := s.Samples[0], s.Samples[1]
			if !math.IsNaN(a.P50) || a.Writes != 2.5 || a.Waiting != 7 {
				t.Errorf("the first sample = %+v, want no latencies", a)
			}
			if b.P50 != .5 || b.Requests != 4 || b.Waiting != 7 || !math.IsNaN(b.Wait99) {
				t.Errorf("the second sample = %+v, want a p50 of 0.5 ms and 4 requests a second", b)
			}
			if u := s.Usage["lock"]; u.Requests != 4 || u.Memory != 1000 || !math.IsNaN(u.P99) {
				t.Errorf("usage = %+v", u)
			}
			time.Sleep(step)
			synctest.Wait()
			if s, _ := r.State(); len(s.Samples) != 3 || s.Err == nil || !math.IsNaN(s.Samples[2].P50) || s.Usage != nil {
				t.Errorf("state = %+v, want a sample without numbers and why", s)
			}
		})
	})
}

func TestRing_KeepsItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Ring{}
		run(t, r, func() {
			time.Sleep(time.Hour)
			synctest.Wait()
			s, _ := r.State()
			if n := len(s.Samples); n != int(window/step) || s.Samples[n-1].At.Sub(s.Samples[0].At) >= window {
				t.Errorf("%d samples after an hour, want %d", n, window/step)
			}
		})
	})
}

func TestRing_Source(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Ring{}
		run(t, r, func() {
			time.Sleep(time.Minute - time.Second)
			ctx, end := context.WithCancel(t.Context())
			var sent []string
			over := make(chan struct{})
			go func() {
				defer close(over)
				r.Source(ctx, func(data any) error { //nolint:errcheck // it is ctx's
					text, err := json.Marshal(data)
					sent = append(sent, string(text))
					return err
				})
			}()
			time.Sleep(2 * step)
			end()
			<-over
			if len(sent) != 3 || strings.Count(sent[0], "null") != 12*7 || !strings.HasPrefix(sent[0], `{"step":5000,"window":900000,"all":[[`) ||
				!strings.HasPrefix(sent[1], `{"add":[[`) || strings.Count(sent[2], "null") != 7 {
				t.Errorf("sent = %q, want twelve samples, then one and one", sent)
			}
		})
	})
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]any{0: 0, 1.23456: 1.235, 123456: 123500.0, -0.00012345: -0.0001235, 5e-324: 0, -1e-310: 0} {
		if got := number(v); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("number(%v) = %v, want %v", v, got, want)
		}
	}
}
