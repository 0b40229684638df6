package life

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/crowd"
	"github.com/etcd-modules/modhost/integration/drive"
	"github.com/etcd-modules/modhost/integration/history"
)

// One module is given new settings again and again while clients use it: no
// request fails, nobody who waits loses its place, and its neighbour goes on in
// the same process.
func TestLife_ReloadedUnderLoad(t *testing.T) {
	t.Parallel()
	h := start(t, plain.programs(t), lock.block(), neighbour.block())
	stock := takeStock(t, h)
	beside := h.Module(neighbour.name).PID
	lines := []*line{lock.queue(t, h, "line", 16), neighbour.queue(t, h, "line", 4)}
	loads := []*load{lock.begin(t, h, 64), neighbour.begin(t, h, 12)}

	// Beside them those who contend for one lock, and those who also share it,
	// give up and hang up, which a judge looks at.
	calm, wild := contend(t, h, &crowd.Crowd{Lock: "calm", Clients: 12, Calm: true}), contend(t, h, &crowd.Crowd{Lock: "wild", Clients: 12})

	rounds := inLongRun(10, 100)
	for n := range rounds {
		before := h.Module(lock.name)
		h.Configure(config(h.Etcd, lock.block(fmt.Sprint(n)), neighbour.block()))
		if n%5 == 4 {
			h.Hangup()
		} else if got := h.Reload(); len(got) != 1 || got[0].Module != lock.name || got[0].Process != "replace" || got[0].State != "ready" || got[0].Reason != "" {
			t.Fatalf("reload %d = %+v, want the lock's process replaced", n, got)
		}
		drive.Eventually(t, func() error {
			if m := h.Module(lock.name); m.State != "ready" || m.PID == before.PID {
				return fmt.Errorf("reload %d: %+v, want another process", n, m)
			}
			return nil
		})
		for _, l := range lines {
			l.kept()
		}
	}
	calm()
	wild()
	for _, l := range loads {
		l.unhurt()
	}
	for _, l := range lines {
		l.served()
	}
	if m := h.Module(neighbour.name); m.PID != beside || m.Restarts != 0 {
		t.Errorf("the neighbour is %+v, want it in process %d as before", m, beside)
	}
	if m := h.Module(lock.name); m.Restarts != 0 {
		t.Errorf("the lock was restarted %d times", m.Restarts)
	}
	stock.nothingLeft()
	stock.nothingAfter()
}

// contend has a crowd contend for a lock until the function that it returns is
// called, which says whether all that the crowd was told is right.
func contend(t *testing.T, h *drive.Host, c *crowd.Crowd) (judge func()) {
	c.HTTP, c.Hosts, c.Time, c.Seed, c.History = drive.NewHTTPClient(t), []string{h.URL}, time.Hour, rand.Uint64(), history.New()
	t.Logf("%s: seed %d", c.Lock, c.Seed)
	end := c.Start(t.Context())
	return func() {
		t.Helper()
		end()
		for _, problem := range c.Problems() {
			t.Error(problem)
		}
		for _, err := range c.History.Check(time.Minute) {
			t.Errorf("%s: %v", c.Lock, err)
		}
		t.Logf("%s: %d grants to %d clients", c.Lock, c.Grants(), c.Clients)
	}
}
