package integration

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A meter counts raft entries between two moments, from etcd's own metrics.
type meter struct {
	t      testing.TB
	etcd   string
	begun  time.Time
	before float64
}

// etcd proposes a SYNC every half second as long as any key has a TTL. They
// come by time, not by request, so they are bounded apart.
const syncInterval = 500 * time.Millisecond

func newMeter(t testing.TB, etcd string) *meter {
	m := &meter{t: t, etcd: etcd, begun: time.Now()}
	m.before = m.read()
	return m
}

func (m *meter) read() float64 {
	m.t.Helper()
	return drive.Metric(m.t, m.etcd, "etcd_server_proposals_applied_total")
}

// entries returns the raft entries since the meter was made, and how many of
// them at most came by time: SYNCs, and the heartbeats of sessions processes.
func (m *meter) entries(sessions int) (all, byTime int) {
	m.t.Helper()
	all = int(m.read() - m.before)
	age := time.Since(m.begun)
	return all, int(age/syncInterval) + 2 + sessions*(int(age/time.Second)+2)
}

func TestLock_UncontendedCostsTwoEntries(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded)
	l := h.Lock(t, "cost")
	m := newMeter(t, h.Etcd)
	const rounds = 500
	for range rounds {
		index := l.Must(http.MethodPost, "ttl", 60).Token(t)
		l.Must(http.MethodGet)
		l.Refused(http.StatusLocked, 700, http.MethodPost, "ttl", 60, "timeout", 0)
		l.Release(index)
	}
	all, byTime := m.entries(0)
	t.Logf("%d entries for %d rounds, at most %d of them by time", all, rounds, byTime)
	if all < 2*rounds || all > 2*rounds+byTime {
		t.Errorf("%d entries for %d rounds, want 2 each beside the at most %d that come by time", all, rounds, byTime)
	}
}

func TestLock_ContendedCostsThreeEntries(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded)
	l := h.Lock(t, "cost")
	first := l.Take()
	m := newMeter(t, h.Etcd)
	const waiters = 300
	var wg sync.WaitGroup
	for range waiters {
		wg.Go(func() {
			r, err := l.Send(t.Context(), http.MethodPost, "ttl", 60)
			if err == nil {
				_, err = l.Send(t.Context(), http.MethodDelete, "index", r.Body)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	l.AwaitWaiting(waiters)
	l.Release(first)
	wg.Wait()
	all, byTime := m.entries(1)
	all-- // the first holder's release
	t.Logf("%d entries for %d waiters, at most %d of them by time", all, waiters, byTime)
	if all < 3*waiters || all > 3*waiters+byTime {
		t.Errorf("%d entries for %d waiters, want 3 each beside the at most %d that come by time", all, waiters, byTime)
	}
}

// A thousand waiters on a hundred locks, on a host of their own so that etcd's
// own idling is not counted as theirs.
func TestLock_IdleWaitersAreCheap(t *testing.T) {
	store := plain(t).Start(t, drive.Embedded)
	h := plain(t).Start(t, drive.Joined(store.Etcd))
	pids := []int{h.PID(), h.Module("lock").PID}
	resident := func() (sum int64) {
		for _, pid := range pids {
			sum += drive.Resident(t, pid)
		}
		return sum
	}
	const locks, waiters = 100, 1000
	lock := func(h *drive.Host, i int) *drive.Lock { return h.Lock(t, fmt.Sprint("idle", i%locks)) }
	for i := range locks {
		lock(h, i).Take("ttl", 3600)
	}
	before := resident()
	var calls []*drive.Call
	for i := range waiters {
		calls = append(calls, lock(h, i).Post("ttl", 3600))
	}
	for i := range locks {
		lock(h, i).AwaitWaiting(waiters / locks)
	}
	// CPU over a stretch of idling, whose length is what it is a part of.
	cpu := func() (sum time.Duration) {
		for _, pid := range pids {
			sum += drive.CPU(t, pid)
		}
		return sum
	}
	used, begun := cpu(), time.Now()
	const stretch = 15 * time.Second
	<-time.After(stretch)
	share := float64(cpu()-used) / float64(time.Since(begun))
	perWaiter := (resident() - before) / waiters
	t.Logf("%d waiters: %.1f KiB each in host and plugin, %.2f %% of a core while idle", waiters, float64(perWaiter)/1024, 100*share)
	if perWaiter > 60<<10 {
		t.Errorf("%d bytes per waiter in host and plugin, want at most 60 KiB", perWaiter)
	}
	if share > 0.02 {
		t.Errorf("%.2f %% of a core while idle, want under 2 %%", 100*share)
	}

	for _, c := range calls {
		c.StillWaits()
		c.HangUp()
	}
	gone := time.Now()
	for i := range locks {
		lock(store, i).AwaitWaiting(0)
	}
	t.Logf("all lines empty %v after the clients hung up", time.Since(gone).Round(time.Millisecond))
}
