package sdk_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"

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
