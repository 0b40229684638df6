package faults

import (
	"net/http"
	"testing"

	"github.com/etcd-modules/modhost/integration/drive"
)

// askEtcd makes a request of a host's etcd about a key.
func askEtcd(t testing.TB, h *drive.Host, method, key string, parameters ...string) drive.Reply {
	t.Helper()
	r, err := drive.Send(t.Context(), http.DefaultClient, method, h.Etcd+"/v2/keys"+key, parameters...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// removeEntry takes an entry out of a host's etcd behind the plugin's back.
func removeEntry(t testing.TB, h *drive.Host, e drive.Entry) {
	t.Helper()
	if r := askEtcd(t, h, http.MethodDelete, e.Key); r.Status != http.StatusOK {
		t.Fatalf("etcd: DELETE %s = %v, want 200", e.Key, r)
	}
}
