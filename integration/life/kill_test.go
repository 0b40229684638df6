package life

import (
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// healthy is somewhat longer than a process must have been ready to be started
// again at once.
const healthy = 1100 * time.Millisecond

// A death is one of a plugin that was killed.
type death struct {
	killed time.Time
	seen   time.Time // when the host did not name its process any more
}

// hit reports whether a request was under way at one of the deaths.
func (f failure) hit(deaths []death) bool {
	return slices.ContainsFunc(deaths, func(d death) bool { return f.sent.Before(d.seen) && f.told.After(d.killed) })
}

// onlyDeletesHit checks that nothing failed but DELETEs that were under way at a
// death: they can't be given to another process. On a machine that stalls the
// next one may come later than the host holds requests for it.
func onlyDeletesHit(t *testing.T, failures []failure, deaths []death) {
	t.Helper()
	for _, f := range failures {
		if f.heldInVain() {
			continue
		}
		if f.method != http.MethodDelete || f.reply.Status != http.StatusBadGateway || f.reply.Code() != moduleDied || !f.hit(deaths) {
			t.Errorf("lock: %v", f)
		}
	}
}

// A module's process is killed again and again while clients use it: no GET
// fails, no POST, since the lock's can all be resumed, and only those DELETEs
// that were under way. Nobody who waits loses its place.
func TestLife_KilledUnderLoad(t *testing.T) {
	t.Parallel()
	h := start(t, plain.programs(t), lock.block(), neighbour.block())
	stock := takeStock(t, h)
	beside := h.Module(neighbour.name).PID
	lines := []*line{lock.queue(t, h, "line", 16), neighbour.queue(t, h, "line", 4)}
	used, calm := lock.begin(t, h, 64), neighbour.begin(t, h, 12)

	var deaths []death
	var longest time.Duration
	for n := range inLongRun(5, 100) {
		pid := 0
		drive.Eventually(t, func() error {
			m := h.Module(lock.name)
			if m.State != "ready" || time.Since(m.Since) < healthy || m.Restarts != n {
				return fmt.Errorf("%+v, want it ready for %v, after %d restarts", m, healthy, n)
			}
			pid = m.PID
			return nil
		})
		d := death{killed: time.Now()}
		drive.Signal(t, pid, syscall.SIGKILL)
		drive.Eventually(t, func() error {
			if h.Module(lock.name).PID == pid {
				return fmt.Errorf("process %d is still named", pid)
			}
			return nil
		})
		d.seen = time.Now()
		deaths = append(deaths, d)
		drive.Eventually(t, func() error {
			if m := h.Module(lock.name); m.State != "ready" {
				return fmt.Errorf("%+v, want it ready", m)
			}
			return nil
		})
		longest = max(longest, time.Since(d.killed))
		lines[0].kept()
	}
	t.Logf("%d deaths, ready again after %v at most", len(deaths), longest.Round(time.Millisecond))
	onlyDeletesHit(t, used.end(), deaths)
	calm.unhurt()
	for _, l := range lines {
		l.kept()
		l.served()
	}
	if m := h.Module(neighbour.name); m.PID != beside || m.Restarts != 0 {
		t.Errorf("the neighbour is %+v, want it in process %d as before", m, beside)
	}
	stock.nothingLeft()
	stock.nothingAfter()
}
