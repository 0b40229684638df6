package faults

import (
	"fmt"
	"net/http"
	"strings"
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
	locks[1].Insist(http.MethodDelete, "index", index)
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

// unavailableWithin is the five seconds of the promise, with two for a machine
// that stalls: the store gives up after four.
const unavailableWithin = 7 * time.Second

// wantUnavailable checks that each call is answered with 503 in time.
func wantUnavailable(t *testing.T, calls ...*drive.Call) {
	t.Helper()
	for _, c := range calls {
		r := c.Answer()
		took := c.Answered.Sub(c.Sent)
		if r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || took > unavailableWithin {
			t.Errorf("%v = %v after %v, want 503 with Retry-After within %v", c, r, took, unavailableWithin)
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
	others.Insist(http.MethodDelete, "value", "first")
	others.Must(http.MethodPost, "ttl", 600, "value", "second").Token(t)
	want503(t, l, first)
	etcd.Heal()
	drive.Eventually(t, func() error {
		if r := l.Ask(http.MethodGet); r.Body != "second" {
			return fmt.Errorf("%v", r)
		}
		return nil
	})
}

// A create that etcd gets when its request has long been told 503 makes an
// entry that nobody wants. It must not be in anybody's way.
func TestOutage_LateCreateIsTakenBack(t *testing.T) {
	t.Parallel()
	p := programs(t)
	etcd := p.Start(t, drive.Embedded)
	between := drive.NewTamperer(t, etcd.Etcd)
	h := p.Start(t, drive.Joined(between.URL))
	free, busy := etcd.Lock(t, "latefree"), etcd.Lock(t, "latebusy")
	holder := busy.Take()
	between.Hold(func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/q/") && r.URL.Query().Get("prevExist") == "false"
	})
	wantUnavailable(t, h.Lock(t, "latefree").Post(), h.Lock(t, "latebusy").Post())
	<-time.After(time.Second) // in which the plugin looks for them in vain
	if n := between.LetGo(t, http.StatusCreated); n != 2 {
		t.Fatalf("%d creates came late, want 2", n)
	}
	free.AwaitLine(0)
	busy.AwaitLine(1)
	busy.Release(holder)
	free.Take()
	busy.Take()
}

// What a slow etcd eats of the TTL is taken off what the client may rely on: it
// may do so no longer than until somebody else gets the lock.
func TestOutage_SlowEtcdShortensTheValidity(t *testing.T) {
	t.Parallel()
	p := programs(t)
	etcd := p.Start(t, drive.Embedded)
	link := drive.NewLink(t, strings.TrimPrefix(etcd.Etcd, "http://"))
	far := p.Start(t, drive.Joined(link.URL)).Lock(t, "far")
	near := etcd.Lock(t, "far")
	slow := drive.Trouble{Delay: 450 * time.Millisecond} // of each piece, each way
	for _, waits := range []bool{false, true} {
		var c *drive.Call
		if waits {
			holder := near.Take()
			c = far.Post("ttl", 4)
			near.AwaitWaiting(1, c)
			link.Set(slow)
			near.Release(holder)
		} else {
			link.Set(slow)
			c = far.Post("ttl", 4)
		}
		c.Granted()
		valid := c.Sent.Add(c.Answer().ValidFor(t))
		link.Set(drive.Trouble{})
		next := near.Post()
		index := next.Granted()
		if !next.Answered.After(valid) {
			t.Errorf("waits %v: somebody else got the lock %v before the end of its validity", waits, valid.Sub(next.Answered))
		}
		near.Release(index)
	}
}
