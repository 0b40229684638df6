package life

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A module's process stops to answer: it is replaced, and its clients' requests,
// which have waited in it, are answered by the next one. Its neighbour's clients
// notice nothing.
func TestLife_HangsUnderLoad(t *testing.T) {
	t.Parallel()
	h := start(t, plain.programs(t), lock.block(), neighbour.block())
	stock := takeStock(t, h)
	waiting := lock.queue(t, h, "line", 8)
	used, calm := lock.begin(t, h, 24), neighbour.begin(t, h, 12)
	used.await(200)
	pid := h.Module(lock.name).PID
	stopped := death{killed: time.Now()}
	drive.Signal(t, pid, syscall.SIGSTOP)
	drive.Eventually(t, func() error {
		if m := h.Module(lock.name); m.State != "ready" || m.PID == pid {
			return fmt.Errorf("%+v, want another process", m)
		}
		return nil
	})
	stopped.seen = time.Now()
	t.Logf("replaced %v after it had stopped", stopped.seen.Sub(stopped.killed).Round(100*time.Millisecond))
	drive.Gone(t, pid, drive.Soon())
	used.await(used.good() + 200)
	onlyDeletesHit(t, used.end(), []death{stopped})
	calm.unhurt()
	waiting.served()
	stock.nothingLeft()
	stock.nothingAfter()
}

// Somebody deletes the socket files of a module's process under it. The
// connection goes on, and so does all that comes later.
func TestLife_SocketDeletedUnderLoad(t *testing.T) {
	t.Parallel()
	h := start(t, plain.programs(t), lock.block())
	stock := takeStock(t, h)
	waiting := lock.queue(t, h, "line", 8)
	used := lock.begin(t, h, 24)
	before := h.Module(lock.name)
	if n := deleteSockets(t, h); n == 0 {
		t.Fatal("there are no sockets to be deleted")
	}
	used.await(used.good() + 200)
	if m := h.Module(lock.name); m.PID != before.PID {
		t.Logf("the process was replaced: %+v", m)
	}
	h.Order("module", "restart", lock.name)
	if m := h.Module(lock.name); m.State != "ready" || m.PID == before.PID {
		t.Errorf("restarted: %+v", m)
	}
	used.unhurt()
	waiting.served()
	stock.nothingLeft()
	stock.nothingAfter()
}

// deleteSockets deletes all socket files of the host's processes and returns how
// many there were.
func deleteSockets(t *testing.T, h *drive.Host) (n int) {
	t.Helper()
	for _, dir := range drive.RunDirs(t, h.PID()) {
		if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type() == fs.ModeSocket {
				n++
				err = os.Remove(path)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	return n
}
