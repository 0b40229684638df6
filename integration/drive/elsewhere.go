package drive

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// WriteElsewhere makes n writes in etcd, and so n events, that have nothing to
// do with modhost.
func WriteElsewhere(t testing.TB, etcd string, n int) {
	t.Helper()
	c := NewHTTPClient(t)
	const writers = 32
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < n; i += writers {
				r, err := Send(t.Context(), c, http.MethodPut, fmt.Sprintf("%s/v2/keys/elsewhere/%d", etcd, i%100), "value", "x")
				if err != nil || r.Status >= http.StatusMultipleChoices {
					t.Errorf("write %d elsewhere in etcd = %v, %v, want success", i, r, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
