package faults

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
	"github.com/etcd-modules/modhost/integration/history"
)

// leaderFirst are the endpoints of a cluster in the order that makes the loss
// of its leader hardest: everything is sent to that one first.
func leaderFirst(etcd *drive.Cluster) (leader *drive.Member, endpoints []string) {
	leader = etcd.Leader()
	endpoints = []string{leader.URL}
	for _, m := range etcd.Members {
		if m != leader {
			endpoints = append(endpoints, m.URL)
		}
	}
	return leader, endpoints
}

// A keeper is a holder that renews its lock again and again, as a good client
// does: after a failure it repeats itself until it can't rely on the lock.
type keeper struct {
	lock     *drive.Lock
	index    uint64
	renewals atomic.Int64
	worst    time.Duration // longest time for one renewal, repeats included; read when it has ended
}

// keep takes the lock and renews it until stop is closed.
func keep(t *testing.T, wg *sync.WaitGroup, stop <-chan struct{}, l *drive.Lock, ttl int, every time.Duration) *keeper {
	t.Helper()
	sent := time.Now()
	r := l.Must(http.MethodPost, "ttl", ttl, "timeout", 0)
	k := &keeper{lock: l, index: r.Token(t)}
	until := sent.Add(r.ValidFor(t))
	wg.Go(func() {
		due := time.Now() // of the renewal under way
		for {
			sent := time.Now()
			r, err := l.Send(t.Context(), http.MethodPut, "ttl", ttl, "index", k.index)
			pause := every
			switch {
			case err == nil && r.Status == http.StatusOK:
				until = sent.Add(r.ValidFor(t))
				k.renewals.Add(1)
				k.worst = max(k.worst, time.Since(due))
				due = time.Now().Add(every)
			case (err != nil || r.Status == http.StatusServiceUnavailable) && time.Now().Before(until):
				pause = 50 * time.Millisecond
			default:
				t.Errorf("PUT of %s with index %d = %v, %v, %v after the holder could rely on it: the lock is lost",
					l.URL, k.index, r, err, time.Since(until))
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(pause):
			}
		}
	})
	return k
}

// contend has clients take a lock in turn until stop is closed, and records
// what they are told.
func contend(t *testing.T, wg *sync.WaitGroup, stop <-chan struct{}, l *drive.Lock, clients int, h *history.History, grants *atomic.Int64) {
	for id := range clients {
		wg.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-stop:
					return
				default:
				}
				call := h.Now()
				r, err := l.Send(t.Context(), http.MethodPost, "ttl", 20)
				if err != nil || r.Status != http.StatusOK {
					if err != nil || r.Status != http.StatusServiceUnavailable {
						t.Errorf("POST of %s = %v, %v, want a grant or 503", l.URL, r, err)
					}
					<-time.After(20 * time.Millisecond) // not to ask in a tight loop
					continue
				}
				token := r.Token(t)
				h.Add(history.Op{
					Kind: history.Acquire, Client: id, Token: token, Owner: fmt.Sprintf("client%d-%d", id, round),
					Call: call, Return: h.Now(), Valid: call + r.ValidFor(t),
				})
				grants.Add(1)
				giveBack(t, l, id, token, h)
			}
		})
	}
}

// giveBack releases a lock, repeating itself until it is told that it has.
func giveBack(t *testing.T, l *drive.Lock, client int, token uint64, h *history.History) {
	for {
		o := history.Op{Kind: history.Doubt, Client: client, Token: token, Call: h.Now()}
		r, err := l.Send(t.Context(), http.MethodDelete, "index", token)
		o.Return = h.Now()
		switch {
		case err == nil && r.Status == http.StatusOK:
			o.Kind = history.Release
		case err == nil && r.Status == http.StatusNotFound:
			o.Kind = history.Missed
		case err == nil && r.Status != http.StatusServiceUnavailable:
			t.Errorf("DELETE of %s with index %d = %v, want 200", l.URL, token, r)
		}
		h.Add(o)
		if o.Kind != history.Doubt {
			return
		}
	}
}

// F9: the leader of etcd is killed, and locks are lost, given to two, or no
// longer handed over.
func TestMode_F09_LeaderKilled(t *testing.T) {
	t.Parallel()
	p := programs(t)
	etcd := p.StartCluster(t, 3)
	_, endpoints := leaderFirst(etcd)
	host := p.Start(t, drive.Joined(endpoints...))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var keepers []*keeper
	for i := range inLongRun(20, 200) {
		keepers = append(keepers, keep(t, &wg, stop, host.Lock(t, fmt.Sprint("kept", i)), inLongRun(15, 30), 500*time.Millisecond))
	}
	h := history.New()
	var grants atomic.Int64
	contend(t, &wg, stop, host.Lock(t, "contended"), 6, h, &grants)
	for range inLongRun(3, 20) {
		leader := etcd.Leader()
		leader.Kill()
		killed := time.Now()
		etcd.Leader() // the next one
		led := time.Now()
		before := grants.Load()
		err := drive.Within(3*time.Second+2*drive.Soon(), func() error {
			if n := grants.Load(); n < before+10 {
				return fmt.Errorf("%d", n-before)
			}
			return nil
		})
		t.Logf("leader %s killed: another one after %v, ten grants %v after that", leader.Name, led.Sub(killed), time.Since(led))
		if err != nil {
			t.Errorf("grants after the next leader was there = %v, want 10 within a few seconds", err)
		}
		leader.Restart()
		leader.AwaitReady()
	}
	close(stop)
	wg.Wait()
	var worst time.Duration
	for _, k := range keepers {
		worst = max(worst, k.worst)
		if s := k.lock.State(); s.Index != k.index {
			t.Errorf("%s = %+v, want it held with index %d", k.lock.URL, s, k.index)
		}
	}
	t.Logf("%d grants; longest renewal, repeats included: %v", grants.Load(), worst)
	for _, err := range h.Check(time.Minute) {
		t.Error(err)
	}
}

// F10: the plugin is cut off from etcd and answers from memory.
func TestMode_F10_CutOff(t *testing.T) {
	t.Parallel()
	p := programs(t)
	etcd := p.StartCluster(t, 1).Members[0].URL
	link := drive.NewLink(t, etcd[len("http://"):])
	h, beside := p.Start(t, drive.Joined(link.URL)), p.Start(t, drive.Joined(etcd))
	line, quiet, free, kept := h.Lock(t, "line"), h.Lock(t, "quiet"), h.Lock(t, "free"), h.Lock(t, "kept")
	line.Take("ttl", 60, "value", "first")
	waiter := line.Queue(1, "ttl", 60, "value", "second") // so the plugin has a mirror of the line
	quiet.Take("ttl", 60, "value", "first")
	kept.Take("ttl", 60, "value", "first")
	link.Set(drive.Trouble{Cut: true})
	// What was true before is no longer.
	beside.Lock(t, "line").Must(http.MethodDelete, "value", "first")
	beside.Lock(t, "quiet").Must(http.MethodDelete, "value", "first")
	beside.Lock(t, "free").Take("ttl", 60, "value", "other")
	var calls []*drive.Call
	for _, l := range []*drive.Lock{line, quiet, free, kept} {
		calls = append(calls,
			l.Begin(http.MethodGet), l.Begin(http.MethodGet, "field", "index"),
			l.Post("ttl", 60, "timeout", 0),
			l.Post("ttl", 60, "value", "first"),
			l.Begin(http.MethodPut, "ttl", 60, "value", "first"),
			l.Begin(http.MethodDelete, "value", "nobody"),
		)
	}
	calls = append(calls, line.Begin(http.MethodHead), line.Begin(http.MethodDelete, "value", "first"))
	wantUnavailable(t, calls...)
	waiter.StillWaits()
	link.Set(drive.Trouble{})
	waiter.Granted()
	for l, want := range map[*drive.Lock]string{line: "second", quiet: "", free: "other", kept: "first"} {
		drive.Eventually(t, func() error {
			if r := l.Ask(http.MethodGet); r.Status != http.StatusOK || r.Body != want {
				return fmt.Errorf("holder of %s = %v, want %q", l.URL, r, want)
			}
			return nil
		})
	}
	kept.Must(http.MethodPut, "ttl", 60, "value", "first")
	for _, l := range []*drive.Lock{line, quiet, free, kept} { // what was told 503 left nothing behind
		l.AwaitWaiting(0)
	}
}

// F11: the clocks of etcd's members differ. On the v2 API the member that takes
// a write says at which time of day a lock ends, and the leader ends it by its
// own clock. So a lock ends early or late by the difference, which no plugin
// can see; the documentation states that bound. Tokens go on growing, and
// storage that looks at them is safe.
func TestMode_F11_ClockSkew(t *testing.T) {
	if os.Getenv(longRun) == "" && os.Getenv(brokenPrograms) == "" {
		t.Skipf("builds etcd with a clock that can be set, which takes minutes the first time; run it with %s=1", longRun)
	}
	p := programs(t)
	etcd := p.StartCluster(t, 3)
	skewed := etcd.Members[0]
	if skewed == etcd.Leader() {
		skewed = etcd.Members[1]
	}
	program := drive.BuildClock(t)
	const ttl = 8 * time.Second
	for _, ahead := range []time.Duration{0, -5 * time.Second, 5 * time.Second, -30 * time.Second} {
		skewed.SetClock(program, ahead)
		if etcd.Leader() == skewed {
			t.Fatalf("the member with its clock %v ahead leads: want it to follow", ahead)
		}
		name := fmt.Sprint("ahead", int(ahead.Seconds()))
		l := p.Start(t, drive.Joined(skewed.URL)).Lock(t, name)
		sent := time.Now()
		first := l.Ask(http.MethodPost, "ttl", 8, "value", "first")
		if ahead+ttl < 0 {
			// Its end is over when it begins. That the plugin has been told of
			// a grant before etcd's leader takes it away is possible.
			if first.Status != http.StatusOK && first.Status != http.StatusGone {
				t.Errorf("ahead %v: POST = %v, want a grant or 410", ahead, first)
			}
		} else {
			first.Token(t)
		}
		granted := time.Now()
		st := newStorage(t)
		st.write(t, first.Body)
		second := l.Post("ttl", 60, "value", "second")
		token := uint64(0)
		want := max(0, ttl+ahead)
		if ahead+ttl < 0 { // the next one meets the same fate: ask by another member
			second.HangUp()
			l = p.Start(t, drive.Joined(etcd.Leader().URL)).Lock(t, name)
			second = l.Post("ttl", 60, "value", "third")
		}
		token = second.Granted()
		t.Logf("clock %v ahead of the leader's: a lock of %v, valid for %v, passed on after %v", ahead, ttl, first.ValidFor(t), second.Answered.Sub(sent))
		if early := second.Answered.Sub(sent); early < want {
			t.Errorf("ahead %v: next grant after %v, want not before %v", ahead, early, want)
		}
		if late := second.Answered.Sub(granted); late > want+time.Second+4*drive.Soon() {
			t.Errorf("ahead %v: next grant after %v, want it at about %v", ahead, late, want)
		}
		if old := first.Token(t); token <= old {
			t.Errorf("ahead %v: token %d after %d, want a larger one", ahead, token, old)
		}
		st.write(t, strconv.FormatUint(token, 10))
		st.write(t, first.Body) // the first client still relies on its lock
		if n := st.refusals(first.Token(t)); n != 1 {
			t.Errorf("ahead %v: refused writes of the first client = %d, want 1", ahead, n)
		}
		l.Refused(http.StatusNotFound, 100, http.MethodPut, "ttl", 60, "index", first.Body)
	}
}

// F12: the leader of etcd stands still for longer than a TTL, and when it goes
// on it ends locks that were renewed meanwhile.
func TestMode_F12_LeaderStalls(t *testing.T) {
	t.Parallel()
	p := programs(t)
	etcd := p.StartCluster(t, 3)
	leader, endpoints := leaderFirst(etcd)
	h := p.Start(t, drive.Joined(endpoints...))
	const ttl = 10 * time.Second
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var keepers []*keeper
	for i := range 20 {
		keepers = append(keepers, keep(t, &wg, stop, h.Lock(t, fmt.Sprint("kept", i)), int(ttl.Seconds()), 500*time.Millisecond))
	}
	l := h.Lock(t, "left")
	left := l.Take("ttl", 3) // nobody renews it
	next := l.Queue(1, "ttl", 60)
	drive.Signal(t, leader.PID(), syscall.SIGSTOP)
	stopped := time.Now()
	if token := next.Granted(); token == left {
		t.Errorf("token = %d, want another than that of the lock that has ended", token)
	}
	t.Logf("a lock of 3 s that nobody renewed passed on %v after the leader had stopped", next.Answered.Sub(stopped))
	before := make([]int64, len(keepers))
	<-time.After(time.Until(stopped.Add(ttl + time.Second))) // what must not happen needs its time
	for i, k := range keepers {
		before[i] = k.renewals.Load()
	}
	drive.Signal(t, leader.PID(), syscall.SIGCONT)
	leader.AwaitReady()
	drive.Eventually(t, func() error { // several renewals later nothing has ended
		for i, k := range keepers {
			if n := k.renewals.Load() - before[i]; n < 3 && !t.Failed() {
				return fmt.Errorf("%d renewals of %s", n, k.lock.URL)
			}
		}
		return nil
	})
	close(stop)
	wg.Wait()
	var worst time.Duration
	for _, k := range keepers {
		worst = max(worst, k.worst)
		if s := k.lock.State(); s.Index != k.index {
			t.Errorf("%s = %+v, want it held with index %d", k.lock.URL, s, k.index)
		}
	}
	t.Logf("longest renewal, repeats included: %v", worst)
}
