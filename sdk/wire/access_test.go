package wire_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/etcd-modules/modhost/sdk/wire"
)

func TestServe_AccessIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			x := wire.FromContext(r.Context())
			why, yes := x.ReadOnly()
			fmt.Fprintf(w, "%q %t %q %t", why, yes, x.User(), x.SignedIn())
		})
		for _, tt := range []struct {
			access wire.Access
			want   string
		}{
			{wire.Access{}, `"" false "" false`},
			{wire.Access{ReadOnly: "why; remedy"}, `"why; remedy" true "" false`},
			{wire.Access{User: "Ren\xe9", SignedIn: true}, "\"\" false \"Ren\uFFFD\" true"},
		} {
			h.access = tt.access
			if _, got := h.do(t, "GET", "/", ""); got != tt.want {
				t.Errorf("%+v: handler saw %s, want %s", tt.access, got, tt.want)
			}
		}
	})
}
