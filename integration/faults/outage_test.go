package faults

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// While etcd is down every request gets 503 within five seconds, and never old
// news. When it is back after half a minute, those who wait go on by themselves
// and are served in their order.
func TestOutage_EtcdDownAndUp(t *testing.T) {
	t.Parallel()
	p := programs(t)
	etcd := p.StartCluster(t, 1)
	hosts := []*drive.Host{p.Start(t, drive.Joined(etcd.Endpoints()...)), p.Start(t, drive.Joined(etcd.Endpoints()...))}
	c := drive.NewHTTPClient(t)
	const path = "/mod/v2/lock/outage"
	holder := drive.Must(t, c, http.MethodPost, hosts[0].URL+path, "ttl", "600", "value", "holder")
	brief := drive.Must(t, c, http.MethodPost, hosts[0].URL+path+"brief", "ttl", "5")
	brief.Token(t)
	var line []*asker
	for i := range 6 {
		line = append(line, ask(t, c, hosts[i%2].URL+path, "ttl", "600"))
		drive.AwaitWaiting(t, c, hosts[i%2].URL+path, i+1)
	}
	places := mustLine(t, etcd.Members[0].URL, "outage")
	etcd.Members[0].Kill()
	down := time.Now()
	for time.Since(down) < 30*time.Second { // as long as the promise says
		want503(t, c, hosts[0].URL+path, holder.Body)
		want503(t, c, hosts[1].URL+path+"brief", brief.Body)
		<-time.After(time.Second)
	}
	etcd.Members[0].Restart()
	index := holder.Body
	drive.Eventually(t, func() error {
		r := drive.Must(t, c, http.MethodDelete, hosts[1].URL+path, "index", index)
		if r.Status != http.StatusOK {
			return fmt.Errorf("release: %v", r)
		}
		return nil
	})
	for i, a := range line {
		r := a.granted()
		if r.Body != fmt.Sprint(places[i+1].Index) {
			t.Errorf("grant %d has index %v, want %d", i, r, places[i+1].Index)
		}
		for _, behind := range line[i+1:] {
			behind.waits()
		}
		release(t, c, hosts[i%2].URL+path, r.Body)
	}
	if s := drive.StateOf(t, c, hosts[0].URL+path+"brief"); s.State != "free" {
		t.Errorf("the lock whose TTL was over in the outage is %+v", s)
	}
}

// want503 makes every kind of request of a lock at once, on an etcd that does
// not answer.
func want503(t *testing.T, c *http.Client, lock, index string) {
	t.Helper()
	var calls sync.WaitGroup
	for _, call := range [][]string{
		{http.MethodGet}, {http.MethodGet, "field", "index"},
		{http.MethodPost, "ttl", "60", "timeout", "0"},
		{http.MethodPost, "ttl", "60", "value", "first"},
		{http.MethodPost, "ttl", "60", "value", "holder"},
		{http.MethodPut, "ttl", "60", "value", "first"},
		{http.MethodPut, "ttl", "60", "index", index},
		{http.MethodDelete, "value", "first"},
		{http.MethodDelete, "index", index},
	} {
		calls.Go(func() {
			sent := time.Now()
			r, err := drive.Send(t.Context(), c, call[0], lock, call[1:]...)
			took := time.Since(sent)
			if err != nil || r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || took > 5*time.Second {
				t.Errorf("%v = %v, %v after %v, want 503 with Retry-After within 5 s", call, r, err, took)
			}
		})
	}
	calls.Wait()
}

// A member that is cut off from the others knows old news only, and says so.
func TestOutage_MemberCutOffFromTheOthersAnswers503(t *testing.T) {
	t.Parallel()
	p := programs(t)
	etcd := p.StartCluster(t, 3)
	alone := etcd.Members[0]
	h := p.Start(t, drive.Joined(alone.URL))
	beside := p.Start(t, drive.Joined(etcd.Members[1].URL, etcd.Members[2].URL))
	c := drive.NewHTTPClient(t)
	const path = "/mod/v2/lock/cutoff"
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
	want503(t, c, h.URL+path, first.Body)
	etcd.Heal()
	drive.Eventually(t, func() error {
		if r := drive.Must(t, c, http.MethodGet, h.URL+path); r.Body != "second" {
			return fmt.Errorf("%v", r)
		}
		return nil
	})
	// What was asked meanwhile may have reached the others late. Who was told
	// 503 must not stand in anybody's way.
	drive.Eventually(t, func() error {
		if line := mustLine(t, alone.URL, "cutoff"); len(line) != 1 || line[0].Value != "second" {
			return fmt.Errorf("line %+v, want the holder only", line)
		}
		return nil
	})
}
