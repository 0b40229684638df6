package life

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A host with three modules in use is killed: none of their processes outlives
// it, and the next start clears what it has left.
func TestLife_HostKilled(t *testing.T) {
	t.Parallel()
	third := lock
	third.name = "third"
	h := start(t, plain.programs(t), lock.block(), neighbour.block(), third.block())
	for _, k := range []kind{lock, neighbour, third} {
		k.queue(t, h, "line", 4)
	}
	var processes []int
	for _, m := range h.Modules() {
		processes = append(processes, m.PID)
	}
	dead := h.PID()
	left := drive.RunDirs(t, dead)
	if len(processes) != 3 || slices.Contains(processes, 0) || len(left) != 3 {
		t.Fatalf("processes %d, run directories %q, want three each", processes, left)
	}

	h.Kill()
	killed := time.Now()
	for _, pid := range processes {
		drive.Gone(t, pid, drive.Soon()-time.Since(killed))
	}
	t.Logf("no process is alive %v after the host's death", time.Since(killed).Round(time.Millisecond))
	socket := filepath.Join(h.Dir, "data", "admin.sock")
	if _, err := os.Lstat(socket); err != nil {
		t.Fatalf("the host that was killed has left no socket, so this test shows nothing: %v", err)
	}
	if now := drive.RunDirs(t, dead); !slices.Equal(now, left) {
		t.Fatalf("run directories %q, want them left, so that this test shows something: %q", now, left)
	}

	h.Restart()
	h.AwaitReady()
	if now := drive.RunDirs(t, dead); len(now) != 0 {
		t.Errorf("run directories of the host that was killed: %q, want none", now)
	}
	h.Disable(third.name) // by the socket, which is in its place again
	if m := h.Module(third.name); m.State != "disabled" {
		t.Errorf("%+v, want it disabled", m)
	}
	stock := takeStock(t, h)
	stock.nothingAfter()
}

// What was left by hosts that live is not touched by the start of another one.
func TestLife_HostStartsBesideAnother(t *testing.T) {
	t.Parallel()
	h := start(t, plain.programs(t), lock.block())
	mine := drive.RunDirs(t, h.PID())
	other := plain.programs(t).Start(t, config(h.Etcd, lock.block()))
	if now := drive.RunDirs(t, h.PID()); len(now) != 1 || !slices.Equal(now, mine) {
		t.Errorf("run directories %q, want %q as before", now, mine)
	}
	h.Lock(t, "one").Take("value", fmt.Sprint(other.PID()))
}
