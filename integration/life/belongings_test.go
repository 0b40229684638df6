package life

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A stock is what a host has of the system while nothing happens.
type stock struct {
	t    testing.TB
	host *drive.Host
	had  drive.Belongings
}

// takeStock looks at a host that has been used, so that it has all that it
// opens once.
func takeStock(t testing.TB, h *drive.Host) *stock {
	t.Helper()
	s := &stock{t: t, host: h}
	s.settled(func(b drive.Belongings) error { s.had = b; return nil })
	return s
}

// settled waits until the host has a process and a run directory for each
// module that serves, nothing else, and what good says.
func (s *stock) settled(good func(drive.Belongings) error) {
	s.t.Helper()
	drive.Eventually(s.t, func() error {
		running := 0
		for _, m := range s.host.Modules() {
			if m.PID != 0 {
				running++
			}
		}
		b := s.host.Belongings()
		if len(b.Processes) != running || len(b.RunDirs) != running {
			return fmt.Errorf("%d modules run, the host has %v", running, b)
		}
		return good(b)
	})
}

// passing is how many goroutines more than before are none that stay: a
// connection of a client has one or two, and the look itself has some. It is less
// than the rounds of any test, each of which would leave one.
const passing = 4

// nothingLeft waits until the host has no more of anything than before.
func (s *stock) nothingLeft() {
	s.t.Helper()
	s.settled(func(b drive.Belongings) error {
		if b.Files > s.had.Files || b.Sockets > s.had.Sockets || b.Goroutines > s.had.Goroutines+passing {
			return fmt.Errorf("the host has %v, had %v before", b, s.had)
		}
		return nil
	})
}

// nothingAfter stops the host, of which nothing must be left then.
func (s *stock) nothingAfter() {
	s.t.Helper()
	pid, processes := s.host.PID(), s.host.Belongings().Processes
	s.host.Stop()
	for _, p := range processes {
		if drive.Alive(p) {
			s.t.Errorf("process %d has outlived the host", p)
		}
	}
	for _, dir := range drive.RunDirs(s.t, pid) {
		s.t.Errorf("%s has outlived the host", dir)
	}
	socket := filepath.Join(s.host.Dir, "data", "admin.sock")
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		s.t.Errorf("%s after the host's end: %v, want it gone", socket, err)
	}
}
