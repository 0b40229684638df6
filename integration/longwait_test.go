package integration

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// TestLock_WaiterSurvivesUnrelatedWrites lets somebody wait while etcd takes
// five times as many other writes as its v2 API remembers for watchers.
func TestLock_WaiterSurvivesUnrelatedWrites(t *testing.T) {
	h := programs(t).Start(t, drive.Embedded)
	c := drive.NewHTTPClient(t)
	address := h.URL + "/mod/v2/lock/patient"
	holder := drive.Must(t, c, http.MethodPost, address, "ttl", "600")

	granted := make(chan drive.Reply, 1)
	go func() {
		r, err := drive.Send(t.Context(), c, http.MethodPost, address, "ttl", "600")
		if err != nil {
			r.Body = err.Error()
		}
		granted <- r
	}()
	drive.AwaitWaiting(t, c, address, 1)

	before := entriesOf(t, h.Etcd)
	writeOthers(t, c, h.Etcd, 5000)
	if n := entriesOf(t, h.Etcd) - before; n < 5000 {
		t.Fatalf("etcd has taken %d writes, want 5000", n)
	}
	select {
	case r := <-granted:
		t.Fatalf("the waiter was answered %v while the lock was held", r)
	default:
	}
	if s := drive.StateOf(t, c, address); s.Waiting != 1 {
		t.Fatalf("%d are waiting, want 1", s.Waiting)
	}

	released := time.Now()
	if r := drive.Must(t, c, http.MethodDelete, address, "index", holder.Body); r.Status != http.StatusOK {
		t.Fatalf("release: %v", r)
	}
	select {
	case r := <-granted:
		if took := time.Since(released); took > 2*drive.Soon() {
			t.Errorf("the grant took %v, want about a second at most", took)
		}
		if r.Token(t) <= holder.Token(t) {
			t.Errorf("token %v after %v", r, holder)
		}
	case <-time.After(drive.Patience):
		t.Fatal("the waiter was not granted the lock")
	}
}

func entriesOf(t *testing.T, etcd string) int {
	t.Helper()
	return int(drive.Metric(t, etcd, "etcd_server_proposals_applied_total"))
}

// writeOthers writes n times to keys that have nothing to do with modhost.
func writeOthers(t *testing.T, c *http.Client, etcd string, n int) {
	t.Helper()
	const writers = 32
	work := make(chan int)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range work {
				if err := writeOther(ctx, c, fmt.Sprintf("%s/v2/keys/other/%d", etcd, i%100)); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		t.Fatal(err)
	}
}

func writeOther(ctx context.Context, c *http.Client, address string) error {
	form := url.Values{"value": {"x"}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, address, strings.NewReader(form))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("etcd: %s: %s", resp.Status, body)
	}
	return err
}
