package faults

import (
	"fmt"
	"net/http"
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
	one, two := p.Start(t, drive.Joined(etcd.Endpoints()...)), p.Start(t, drive.Joined(etcd.Endpoints()...))
	locks := []*drive.Lock{one.Lock(t, "outage"), two.Lock(t, "outage")}
	index := locks[0].Take("value", "holder")
	expiring := []*drive.Lock{one.Lock(t, "outagebrief"), two.Lock(t, "outagebrief")}
	brief := expiring[0].Take("ttl", 5)
	var calls []*drive.Call
	for i := range 6 {
		calls = append(calls, locks[i%2].Queue(i+1))
	}
	places := locks[0].Line()
	etcd.Members[0].Kill()
	down := time.Now()
	for time.Since(down) < 30*time.Second { // as long as the promise says
		want503(t, locks[0], index)
		want503(t, expiring[1], brief)
		<-time.After(time.Second)
	}
	etcd.Members[0].Restart()
	drive.Eventually(t, func() error {
		if r := locks[1].Ask(http.MethodDelete, "index", index); r.Status != http.StatusOK {
			return fmt.Errorf("release: %v", r)
		}
		return nil
	})
	for i, c := range calls {
		index := c.Granted()
		if index != places[i+1].Index {
			t.Errorf("grant %d has index %d, want %d", i, index, places[i+1].Index)
		}
		for _, behind := range calls[i+1:] {
			behind.StillWaits()
		}
		locks[i%2].Release(index)
	}
	if s := expiring[0].State(); s.State != "free" {
		t.Errorf("the lock whose TTL was over in the outage is %+v", s)
	}
}

// want503 makes every kind of request of a lock at once, on an etcd that does
// not answer.
func want503(t *testing.T, l *drive.Lock, index uint64) {
	t.Helper()
	wantUnavailable(t,
		l.Begin(http.MethodGet), l.Begin(http.MethodGet, "field", "index"),
		l.Begin(http.MethodPost, "ttl", 60, "timeout", 0),
		l.Begin(http.MethodPost, "ttl", 60, "value", "first"),
		l.Begin(http.MethodPost, "ttl", 60, "value", "holder"),
		l.Begin(http.MethodPut, "ttl", 60, "value", "first"),
		l.Begin(http.MethodPut, "ttl", 60, "index", index),
		l.Begin(http.MethodDelete, "value", "first"),
		l.Begin(http.MethodDelete, "index", index),
	)
}

// wantUnavailable checks that each call is answered with 503 in time.
func wantUnavailable(t *testing.T, calls ...*drive.Call) {
	t.Helper()
	for _, c := range calls {
		r := c.Answer()
		took := c.Answered.Sub(c.Sent)
		if r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || took > 5*time.Second {
			t.Errorf("%v = %v after %v, want 503 with Retry-After within 5 s", c, r, took)
		}
	}
}

// A member that is cut off from the others knows old news only, and says so.
func TestOutage_MemberCutOffFromTheOthersAnswers503(t *testing.T) {
	t.Parallel()
	p := programs(t)
	etcd := p.StartCluster(t, 3)
	alone := etcd.Members[0]
	h := p.Start(t, drive.Joined(alone.URL))
	beside := p.Start(t, drive.Joined(etcd.Members[1].URL, etcd.Members[2].URL))
	l, others := h.Lock(t, "cutoff"), beside.Lock(t, "cutoff")
	first := l.Take("value", "first")
	etcd.Isolate(alone)
	// The others go on; what the cut off member has is old from here on.
	drive.Eventually(t, func() error {
		r, err := others.Send(t.Context(), http.MethodDelete, "value", "first")
		if err == nil && r.Status != http.StatusOK {
			err = fmt.Errorf("%v", r)
		}
		return err
	})
	others.Must(http.MethodPost, "ttl", 600, "value", "second").Token(t)
	want503(t, l, first)
	etcd.Heal()
	drive.Eventually(t, func() error {
		if r := l.Ask(http.MethodGet); r.Body != "second" {
			return fmt.Errorf("%v", r)
		}
		return nil
	})
	// What was asked meanwhile may have reached the others late. Who was told
	// 503 must not stand in anybody's way.
	drive.Eventually(t, func() error {
		if line := l.Line(); len(line) != 1 || line[0].Value != "second" {
			return fmt.Errorf("line %+v, want the holder only", line)
		}
		return nil
	})
}
