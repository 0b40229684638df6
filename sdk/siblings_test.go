package sdk_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// A part is a store that knows whether it is open.
type part struct {
	store.Store
	close func() error
}

func (p *part) Close() error { return p.close() }

// Stores of other modules are opened when asked for, once, and closed with the
// own one.
func TestEnv_StoreOf(t *testing.T) {
	db := memory.New()
	open := map[string]int{}
	refuse := errors.New("no way in")
	o := sdk.Options{OpenStore: func(c *wirepb.StoreConfig) (store.Store, error) {
		if strings.HasSuffix(c.GetPrefix(), "/closed") {
			return nil, refuse
		}
		if c.GetApi() != "v2" || c.GetUsername() != "me" {
			t.Errorf("opened with %v", c)
		}
		open[c.GetPrefix()]++
		return &part{db.Sub(strings.TrimPrefix(c.GetPrefix(), "/")), func() error { open[c.GetPrefix()]--; return nil }}, nil
	}}
	var env *sdk.Env
	p := plugin(t, func(_ settings, e *sdk.Env) (http.Handler, error) {
		env = e
		return http.NotFoundHandler(), nil
	}, o)
	resp, err := p.Configure(t.Context(), &wirepb.ConfigureRequest{
		Module: "own", Privileges: []string{"keys"},
		Store: &wirepb.StoreConfig{Api: "v2", Prefix: "/pre/mods/own", KeysPrefix: "/", Username: "me"},
	})
	if err != nil || len(resp.GetDiagnostics()) > 0 {
		t.Fatal(resp, err)
	}
	lock, err := env.StoreOf("lock")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Create(t.Context(), "q/x", "1", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Get(t.Context(), "pre/mods/lock/q/x", store.Local); err != nil {
		t.Errorf("the lock's entry is elsewhere: %v", err)
	}
	again, err := env.StoreOf("lock")
	if again != lock || err != nil || open["/pre/mods/lock"] != 1 {
		t.Errorf("opened again: %v, %d times", err, open["/pre/mods/lock"])
	}
	if s, err := env.StoreOf("own"); err != nil || s == nil {
		t.Errorf("StoreOf the own one = %v", err)
	}
	if _, err := env.StoreOf("closed"); !errors.Is(err, refuse) {
		t.Errorf("StoreOf(closed) = %v, want %v", err, refuse)
	}
	for _, name := range []string{"", "../own", "a/b", "Lock", "1a", "-", "a_b", "lock/", strings.Repeat("a", 64)} {
		if s, err := env.StoreOf(name); err == nil || s != nil || !strings.Contains(err.Error(), "not the name of a module") {
			t.Errorf("StoreOf(%.20q) = %v, %v", name, s, err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for prefix, n := range open {
		if n != 0 {
			t.Errorf("%s is open %d times after the end", prefix, n)
		}
	}
	if s, err := env.StoreOf("lock"); err == nil {
		t.Errorf("StoreOf after the end = %v", s)
	}
}

// Without the privilege there is no such thing, and with an unusual prefix of the
// own store nothing is guessed.
func TestEnv_StoreOfWhatIsNotKnown(t *testing.T) {
	for _, privileges := range [][]string{nil, {"cluster", "modules"}, {"keys"}} {
		p := plugin(t, func(_ settings, e *sdk.Env) (http.Handler, error) {
			if granted := slices.Contains(privileges, "keys"); granted != (e.StoreOf != nil) {
				t.Errorf("with privileges %q StoreOf is there: %v", privileges, !granted)
			} else if granted {
				if s, err := e.StoreOf("lock"); err == nil {
					t.Errorf("StoreOf = %v", s)
				}
			}
			return http.NotFoundHandler(), nil
		}, sdk.Options{})
		req := &wirepb.ConfigureRequest{Module: "own", Privileges: privileges, Store: &wirepb.StoreConfig{Prefix: "/somewhere/else"}}
		if resp, err := p.Configure(t.Context(), req); err != nil || len(resp.GetDiagnostics()) > 0 {
			t.Error(resp, err)
		}
	}
}
