// Command privileged is a module that uses what the config grants it, and says
// what it has not got.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/store"
)

func main() { sdk.Serve("privileged", struct{}{}, newModule) }

func newModule(_ struct{}, env *sdk.Env) (http.Handler, error) {
	m := &module{Env: env, views: make(map[string]*view)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+env.Mounts[0]+"/granted", m.granted)
	mux.HandleFunc(env.Mounts[0]+"/access", m.access)
	mux.HandleFunc("GET "+env.Mounts[0]+"/keys/", m.keys)
	mux.HandleFunc("PUT "+env.Mounts[0]+"/keys/", m.keys)
	mux.HandleFunc("GET "+env.Mounts[0]+"/members", m.members)
	mux.HandleFunc("GET "+env.Mounts[0]+"/modules", m.modules)
	mux.HandleFunc("POST "+env.Mounts[0]+"/{order}/{name}", m.order)
	mux.HandleFunc("GET "+env.Mounts[0]+"/logs/{name}", m.logs)
	mux.HandleFunc("GET "+env.Mounts[0]+"/modules/{name}", m.detail)
	mux.HandleFunc("GET "+env.Mounts[0]+"/follow", m.follow)
	mux.HandleFunc("GET "+env.Mounts[0]+"/metrics/{name}", m.metrics)
	mux.HandleFunc("GET "+env.Mounts[0]+"/view/{module}", m.view)
	mux.HandleFunc("POST "+env.Mounts[0]+"/force/{module}/{line}/{index}", m.force)
	return mux, nil
}

type module struct {
	*sdk.Env

	mu    sync.Mutex // guards views
	views map[string]*view
}

// granted says what there is, beside what the config has said.
func (m *module) granted(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "%s keys=%t cluster=%t modules=%t", strings.Join(m.Privileges, ","), m.Keys != nil, m.Cluster != nil, m.Modules != nil)
}

// access says what the host tells of who asks, and shows what a client's proof
// would be if the host handed it on.
func (m *module) access(w http.ResponseWriter, r *http.Request) {
	x := sdk.RequestOf(r)
	why, readOnly := x.ReadOnly()
	fmt.Fprintf(w, "readonly=%t why=%q user=%q signedin=%t authorization=%q cookie=%q", readOnly, why, x.User(), x.SignedIn(), r.Header.Get("Authorization"), r.Header.Get("Cookie"))
}

func (m *module) keys(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, m.Mounts[0]+"/keys/")
	if r.Method == http.MethodPut {
		answer(w, func() (any, error) { return m.Keys.Put(r.Context(), key, r.FormValue("value"), time.Minute) })
		return
	}
	answer(w, func() (any, error) {
		e, err := m.Keys.Get(r.Context(), key, store.Linearizable)
		return e.Value, err
	})
}

func (m *module) members(w http.ResponseWriter, r *http.Request) {
	answer(w, func() (any, error) { return m.Cluster.Members(r.Context()) })
}

func (m *module) modules(w http.ResponseWriter, r *http.Request) {
	answer(w, func() (any, error) { return m.Modules.Modules(r.Context()) })
}

func (m *module) detail(w http.ResponseWriter, r *http.Request) {
	answer(w, func() (any, error) { return m.Modules.Module(r.Context(), r.PathValue("name")) })
}

// follow passes the listings on as they come.
func (m *module) follow(w http.ResponseWriter, r *http.Request) {
	err := m.Modules.Follow(r.Context(), func(list []sdk.ModuleStatus) error {
		if err := json.NewEncoder(w).Encode(list); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	})
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

func (m *module) metrics(w http.ResponseWriter, r *http.Request) {
	answer(w, func() (any, error) {
		all, err := m.Modules.Metrics(r.Context())
		return all[r.PathValue("name")], err
	})
}

func (m *module) order(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	wait := name != m.Name
	answer(w, func() (any, error) {
		if r.PathValue("order") == "restart" {
			return m.Modules.Restart(r.Context(), name, wait)
		}
		return m.Modules.Switch(r.Context(), name, r.PathValue("order") == "enable", wait)
	})
}

func (m *module) logs(w http.ResponseWriter, r *http.Request) {
	answer(w, func() (any, error) {
		var lines []sdk.LogLine
		err := m.Modules.Logs(r.Context(), r.PathValue("name"), false, func(l sdk.LogLine) error {
			lines = append(lines, l)
			return nil
		})
		return lines, err
	})
}

// answer shows what f returns. Without the privilege f panics, which is a 500.
func answer(w http.ResponseWriter, f func() (any, error)) {
	v, err := f()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the test sees
}
