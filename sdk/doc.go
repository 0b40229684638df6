// Package sdk is what the author of a module imports. A module is an ordinary
// [net/http.Handler], made by an ordinary function from its decoded config and
// an [Env]; [Serve] is the whole main. This is a whole module:
//
//	package main
//
//	import (
//		"fmt"
//		"net/http"
//
//		"github.com/etcd-modules/modhost/sdk"
//		"github.com/etcd-modules/modhost/sdk/store"
//	)
//
//	// Config is the module's block in the host's config.
//	type Config struct {
//		Greeting string `hcl:"greeting,optional"` // what to say, "Hello"
//	}
//
//	func New(cfg Config, env *sdk.Env) (http.Handler, error) {
//		mux := http.NewServeMux()
//		mux.HandleFunc("GET "+env.Mounts[0]+"/{name}", func(w http.ResponseWriter, r *http.Request) {
//			e, err := env.Store.Get(r.Context(), "names/"+r.PathValue("name"), store.Linearizable)
//			if err != nil {
//				sdk.WriteError(w, sdk.StoreError(err))
//				return
//			}
//			fmt.Fprintf(w, "%s, %s!\n", cfg.Greeting, e.Value)
//		})
//		return mux, nil
//	}
//
//	func main() { sdk.Serve("hello", Config{Greeting: "Hello"}, New) }
//
// Built as modhost-hello into the host's plugin_dir it answers below
// /mod/hello once the config has
//
//	module "hello" {
//	  config {
//	    greeting = "Good morning"
//	  }
//	}
//
// # Requests
//
// Handlers see the request as net/http gives it: the whole path, mount
// included, bodies and answers of any size, trailers, and a context that ends
// when the client leaves. A panic answers 500 and is logged; the process lives
// on. [net/http.ResponseController.Flush] returns when the host has handed
// everything so far to the client's connection, or says that it could not. A
// client that has a complete answer, by its Content-Length, counts as served
// even if it leaves at once; so set Content-Length where that matters.
//
// # Privileges
//
// A module has its own part of the store and nothing else. More is there if its
// block in the config says so: with privileges = ["keys", "cluster", "modules"]
// it has [Env.Keys], the store with the keys and directories of all programs, and
// [Env.StoreOf], those of the host's other modules, [Env.Cluster], the members of
// etcd's cluster and how they are, and [Env.Modules], the states, metrics and
// switches of the host's modules. They are nil without, so ask before use, and say in the
// constructor's error what the module can't do without:
//
//	if env.Modules == nil {
//		return nil, errors.New(`add privileges = ["modules"] to the module's block`)
//	}
//
// # Who asks
//
// A module with privileges is guarded by the host: by a token, by certificates,
// or by letting nothing be changed. [Exchange.ReadOnly] says so and why, so that
// a page need not offer what would be refused; [Exchange.User] is who asks, for
// people to read. A page whose user has signed in, see [Exchange.SignedIn], lets
// them sign out by a form, which the host answers:
//
//	<form method="post"><input type="hidden" name="modhost_sign_out" value="1"><button>Sign out</button></form>
//
// What must not be changed by a page of another site must not be changed on GET:
// all else is refused by the host before it comes here.
//
// # Metrics and log lines
//
// What a module registers with [Env.Metrics] is shown at the host's /metrics,
// with the module's name as the label module:
//
//	greeted := promauto.With(env.Metrics).NewCounter(prometheus.CounterOpts{
//		Name: "hello_greetings_total",
//		Help: "Greetings said.",
//	})
//
// The host asks when it is asked, waits two seconds and takes four MiB: gather
// what is at hand, and don't make a label of what clients choose.
//
// Lines that are logged by [LoggerOf] name the request and the trace that they
// are about, as the host's own do. The headers traceparent and tracestate come
// through unchanged; pass them on where the module calls others.
//
// # The end of a process
//
// Any process may die at any time, so state belongs into [Env.Store]. In an
// orderly end [Env.Draining] is closed first. A handler that waits should
// listen to it: on [DrainStop] answer with [CodeDraining], on [DrainReplace]
// let the successor have the request, if it was marked in time:
//
//	x := sdk.RequestOf(r)
//	if err := x.Resumable(); err != nil { ... }
//	select {
//	case <-env.Draining():
//		if env.DrainReason() == sdk.DrainReplace && x.Handover() == nil {
//			return
//		}
//		sdk.WriteError(w, sdk.NewError(sdk.CodeDraining, "try again"))
//	...
//
// The next process sees the same request with the same RequestID, so what was
// written to the store under that name is found again. A module of which that
// holds for every request of a method says so in its constructor with
// [Env.Resumable]: then not even a request is lost that no handler has seen.
package sdk
