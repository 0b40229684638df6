package faults

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/etcd-modules/modhost/integration/drive"
)

// brokenPrograms names a folder with programs that are broken on purpose, for
// tests that are run to see them fail: see TestPlanted.
const brokenPrograms = "MODHOST_TEST_PROGRAMS"

// longRun, set to 1, makes tests larger, as large as the documentation says they
// were, and runs the one that has to build etcd with a clock of its own: see
// make faults.
const longRun = "MODHOST_TEST_LONG"

// inLongRun chooses between the size of a usual run and that of a long one.
func inLongRun[T any](usual, long T) T {
	if os.Getenv(longRun) != "" {
		return long
	}
	return usual
}

// built are the programs under test, made once for all tests.
var built struct {
	once sync.Once
	dir  string // removed at the end; "" if they were not built here
	p    drive.Programs
	err  error
}

// programs returns what is to be tested. It has no race detector, which would
// change what is measured in seconds here; package integration tests with it.
func programs(t testing.TB) drive.Programs {
	t.Helper()
	built.once.Do(func() {
		if dir := os.Getenv(brokenPrograms); dir != "" {
			built.p = drive.Programs{Dir: dir}
			return
		}
		if built.dir, built.err = os.MkdirTemp("", "modhost-test-"); built.err == nil {
			built.p, built.err = drive.Build{}.Make(built.dir)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.p
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		if err := os.RemoveAll(built.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}
