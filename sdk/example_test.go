package sdk_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// Config is the module's block in the host's config.
type Config struct {
	Greeting string        `hcl:"greeting,optional"` // what to say
	Patience time.Duration `hcl:"patience,optional"` // how long to wait, "10s"
}

// Validate is called after decoding.
func (c *Config) Validate() error {
	if c.Patience <= 0 {
		return sdk.Invalid("patience", "%q is not positive; leave it out for 10s", c.Patience)
	}
	return nil
}

func newHello(cfg Config, env *sdk.Env) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+env.Mounts[0]+"/{name}", func(w http.ResponseWriter, r *http.Request) {
		e, err := env.Store.Get(r.Context(), "names/"+r.PathValue("name"), store.Linearizable)
		if err != nil {
			sdk.WriteError(w, sdk.StoreError(err))
			return
		}
		fmt.Fprintf(w, "%s, %s!\n", cfg.Greeting, e.Value)
	})
	return mux, nil
}

// A module's main is one call.
func ExampleServe() {
	main := func() {
		sdk.Serve("hello", Config{Greeting: "Hello", Patience: 10 * time.Second}, newHello)
	}
	_ = main
}

// A constructor is an ordinary function: call it in a test.
func ExampleEnv() {
	env := &sdk.Env{Store: memory.New(), Logger: hclog.NewNullLogger(), Mounts: []string{"/mod/hello"}}
	h, err := newHello(Config{Greeting: "Hello"}, env)
	fmt.Println(h != nil, err)
	// Output: true <nil>
}

// A module counts with Prometheus' client. Through promauto its tests need no
// registry.
func ExampleEnv_metrics() {
	newGreeter := func(env *sdk.Env) http.Handler {
		greeted := promauto.With(env.Metrics).NewCounterVec(prometheus.CounterOpts{
			Name: "hello_greetings_total",
			Help: "Greetings said, by language.",
		}, []string{"language"})
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			greeted.WithLabelValues("en").Inc()
			fmt.Fprint(w, "Hello!")
		})
	}
	registry := prometheus.NewRegistry()
	newGreeter(&sdk.Env{}).ServeHTTP(httptest.NewRecorder(), nil)
	newGreeter(&sdk.Env{Metrics: registry}).ServeHTTP(httptest.NewRecorder(), nil)
	n, err := testutil.GatherAndCount(registry, "hello_greetings_total")
	fmt.Println(n, err)
	// Output: 1 <nil>
}

// What is logged about a request names it, and its trace.
func ExampleLoggerOf() {
	logger := hclog.New(&hclog.LoggerOptions{Output: os.Stdout, DisableTime: true})
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		sdk.LoggerOf(r, logger).Warn("nobody to greet", "path", r.URL.Path)
	})
	r := httptest.NewRequest("GET", "/mod/hello/", nil)
	r.Header.Set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	h.ServeHTTP(nil, r)
	// Output: [WARN]  nobody to greet: trace_id=4bf92f3577b34da6a3ce929d0e0e4736 path=/mod/hello/
}

// Waiting lets the next process have a request that waits.
func ExampleRequestOf() {
	waiting := func(env *sdk.Env, granted <-chan string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x := sdk.RequestOf(r)
			if err := x.Resumable(); err != nil {
				env.Logger.Debug("can't be resumed", "error", err)
			}
			select {
			case text := <-granted:
				fmt.Fprint(w, text)
			case <-env.Draining():
				if env.DrainReason() == sdk.DrainReplace && x.Handover() == nil {
					return
				}
				sdk.WriteError(w, sdk.NewError(sdk.CodeDraining, "the module is ending; try again"))
			case <-r.Context().Done():
			}
		})
	}
	_ = waiting
}
