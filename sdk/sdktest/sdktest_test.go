package sdktest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/sdktest"
)

type config struct{ Word string }

// waits answers after an hour, and lets its successor do so.
func waits(cfg config, env *sdk.Env) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := sdk.RequestOf(r)
		if err := x.Resumable(); err != nil {
			env.Logger.Error("resumable", "error", err)
		}
		select {
		case <-time.After(time.Hour - time.Since(x.Received())):
			fmt.Fprint(w, cfg.Word, " ", env.ProcessID, " ", env.Ended, " ", x.Attempt())
			if err := http.NewResponseController(w).Flush(); err != nil {
				env.Logger.Error("flush", "error", err)
			}
		case <-env.Draining():
			if env.DrainReason() == sdk.DrainReplace && x.Handover() == nil {
				return
			}
			sdk.WriteError(w, sdk.NewError(sdk.CodeDraining, "later"))
		case <-r.Context().Done():
		}
	}), nil
}

func TestModule(t *testing.T) {
	for name, tt := range map[string]struct {
		during func(m *sdktest.Module)
		want   string
	}{
		"undisturbed": {func(*sdktest.Module) {}, "200 hi process-1 [] 0"},
		"replaced":    {(*sdktest.Module).Replace, "200 hi process-2 [] 1"},
		"crashed":     {(*sdktest.Module).Restart, "200 hi process-2 [process-1] 1"},
		"stopped":     {func(m *sdktest.Module) { m.Drain(sdk.DrainStop) }, "503 "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := sdktest.New(t, config{"hi"}, waits)
				c := m.Begin("POST", "/x")
				time.Sleep(time.Minute)
				if !c.Waits() {
					t.Fatalf("answer %v, want it to wait", c.End())
				}
				tt.during(m)
				r := c.End()
				if r.Status != 200 {
					r.Body = ""
				}
				if got := fmt.Sprint(r.Status, " ", r.Body); r.Err != nil || got != tt.want {
					t.Errorf("answer %v, want %q", r, tt.want)
				}
				if r.Status == 200 && r.Took != time.Hour {
					t.Errorf("answered after %v, want an hour", r.Took)
				}
			})
		})
	}
}

func TestModule_AccessIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := sdktest.New(t, config{}, func(config, *sdk.Env) (http.Handler, error) {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				why, yes := sdk.RequestOf(r).ReadOnly()
				fmt.Fprint(w, why, " ", yes, " ", sdk.RequestOf(r).User())
			}), nil
		})
		m.Do("GET", "/").Expect(t, 200, " false ")
		m.SetAccess(sdk.Access{ReadOnly: "no token", User: "ada"})
		m.Do("GET", "/").Expect(t, 200, "no token true ada")
	})
}

// A module is tested over HTTP, with the memory store behind it.
func ExampleNew() {
	_ = func(t *testing.T) {
		m := sdktest.New(t, config{Word: "hi"}, waits)
		m.Do("GET", "/x").Expect(t, 200, "hi")
	}
}

// A process begins to count when it starts.
func TestModule_MetricsAreTheProcesss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := sdktest.New(t, config{}, func(_ config, env *sdk.Env) (http.Handler, error) {
			asked := promauto.With(env.Metrics).NewCounter(prometheus.CounterOpts{Name: "asked_total", Help: "Requests."})
			return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Inc() }), nil
		})
		for _, want := range []string{"asked_total 1", "asked_total 2"} {
			resp, err := m.Client().Get(m.URL)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if text := m.Metrics(); !strings.Contains(text, "\n"+want+"\n") {
				t.Errorf("metrics lack %q:\n%s", want, text)
			}
		}
		m.Restart()
		if text := m.Metrics(); !strings.Contains(text, "\nasked_total 0\n") {
			t.Errorf("metrics of the next process:\n%s", text)
		}
	})
}
