package integration

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
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

func index(r drive.Reply) string { return r.Body }

func TestLock_UncontendedCostsTwoEntries(t *testing.T) {
	h := programs(t).Start(t, drive.Embedded)
	c := drive.NewHTTPClient(t)
	lock := h.URL + "/mod/v2/lock/cost"
	m := newMeter(t, h.Etcd)
	const rounds = 500
	for range rounds {
		r := drive.Must(t, c, http.MethodPost, lock, "ttl", "60")
		r.Token(t)
		drive.Must(t, c, http.MethodGet, lock)
		if busy := drive.Must(t, c, http.MethodPost, lock, "ttl", "60", "timeout", "0"); busy.Status != http.StatusLocked {
			t.Fatalf("try on a held lock = %v", busy)
		}
		drive.Must(t, c, http.MethodDelete, lock, "index", index(r))
	}
	all, byTime := m.entries(0)
	t.Logf("%d entries for %d rounds, at most %d of them by time", all, rounds, byTime)
	if all < 2*rounds || all > 2*rounds+byTime {
		t.Errorf("%d entries for %d rounds, want 2 each beside the at most %d that come by time", all, rounds, byTime)
	}
}

func TestLock_ContendedCostsThreeEntries(t *testing.T) {
	h := programs(t).Start(t, drive.Embedded)
	c := drive.NewHTTPClient(t)
	lock := h.URL + "/mod/v2/lock/cost"
	first := drive.Must(t, c, http.MethodPost, lock, "ttl", "60")
	m := newMeter(t, h.Etcd)
	const waiters = 300
	var wg sync.WaitGroup
	for range waiters {
		wg.Go(func() {
			r, err := drive.Send(t.Context(), c, http.MethodPost, lock, "ttl", "60")
			if err == nil {
				_, err = drive.Send(t.Context(), c, http.MethodDelete, lock, "index", index(r))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	drive.AwaitWaiting(t, c, lock, waiters)
	drive.Must(t, c, http.MethodDelete, lock, "index", index(first))
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
	c := drive.NewHTTPClient(t)
	pids := []int{h.PID(), h.Module("lock").PID}
	resident := func() (sum int64) {
		for _, pid := range pids {
			sum += drive.Resident(t, pid)
		}
		return sum
	}
	const locks, waiters = 100, 1000
	lock := func(i int) string { return h.URL + "/mod/v2/lock/idle" + strconv.Itoa(i%locks) }
	for i := range locks {
		drive.Must(t, c, http.MethodPost, lock(i), "ttl", "3600").Token(t)
	}
	before := resident()
	ctx, hangUp := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer hangUp()
	for i := range waiters {
		wg.Go(func() {
			if r, err := drive.Send(ctx, c, http.MethodPost, lock(i), "ttl", "3600"); ctx.Err() == nil {
				t.Errorf("a waiter was answered: %v, %v", r, err)
			}
		})
	}
	for i := range locks {
		drive.AwaitWaiting(t, c, lock(i), waiters/locks)
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

	hangUp()
	gone := time.Now()
	drive.Eventually(t, func() error {
		for i := range locks {
			if s := drive.StateOf(t, c, store.URL+"/mod/v2/lock/idle"+strconv.Itoa(i)); s.Waiting != 0 {
				return fmt.Errorf("%d still in the line of lock %d", s.Waiting, i)
			}
		}
		return nil
	})
	t.Logf("all lines empty %v after the clients hung up", time.Since(gone).Round(time.Millisecond))
}
