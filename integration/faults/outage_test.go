package faults

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A member that is cut off from the others knows old news only, and says so.
func TestOutage_MemberCutOffFromTheOthersAnswers503(t *testing.T) {
	p := programs(t)
	etcd := p.StartCluster(t, 3)
	alone := etcd.Members[0]
	h := p.Start(t, drive.Joined(alone.URL))
	beside := p.Start(t, drive.Joined(etcd.Members[1].URL, etcd.Members[2].URL))
	c := drive.NewHTTPClient(t)
	const path = "/mod/v2/lock/a"
	first := drive.Must(t, c, http.MethodPost, h.URL+path, "ttl", "600", "value", "first")
	first.Token(t)
	etcd.Isolate(alone)
	// The others go on; what the cut off member has is old from here on.
	drive.Eventually(t, func() error {
		r, err := drive.Send(t.Context(), c, http.MethodDelete, beside.URL+path, "value", "first")
		if err == nil && r.Status != http.StatusOK {
			err = fmt.Errorf("%v", r)
		}
		return err
	})
	drive.Must(t, c, http.MethodPost, beside.URL+path, "ttl", "600", "value", "second").Token(t)
	var calls sync.WaitGroup
	for _, call := range [][]string{
		{http.MethodGet}, {http.MethodGet, "field", "index"},
		{http.MethodPost, "ttl", "60", "timeout", "0"},
		{http.MethodPost, "ttl", "60", "value", "first"},
		{http.MethodPut, "ttl", "60", "value", "first"},
		{http.MethodPut, "ttl", "60", "index", first.Body},
		{http.MethodDelete, "value", "first"},
		{http.MethodDelete, "index", first.Body},
	} {
		calls.Go(func() {
			sent := time.Now()
			r, err := drive.Send(t.Context(), c, call[0], h.URL+path, call[1:]...)
			if took := time.Since(sent); err != nil || r.Status != http.StatusServiceUnavailable || took > 5*time.Second {
				t.Errorf("%v = %v, %v after %v, want 503 within 5 s", call, r, err, took)
			}
		})
	}
	calls.Wait()
	etcd.Heal()
	drive.Eventually(t, func() error {
		if r := drive.Must(t, c, http.MethodGet, h.URL+path); r.Body != "second" {
			return fmt.Errorf("%v", r)
		}
		return nil
	})
}
