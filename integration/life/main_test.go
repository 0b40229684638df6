package life

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/etcd-modules/modhost/integration/drive"
)

// longRun, set to 1, makes tests as long as the documentation says they were:
// see make faults.
const longRun = "MODHOST_TEST_LONG"

// inLongRun chooses between the size of a usual run and that of a long one.
func inLongRun(usual, long int) int {
	if os.Getenv(longRun) != "" {
		return long
	}
	return usual
}

// The programs under test, each built once when it is first asked for: with the
// race detector, if the tests have it, or without, where what counts is time or
// memory.
var (
	racing = &built{Build: drive.Build{Race: drive.Race}}
	plain  = &built{}
)

type built struct {
	drive.Build
	once sync.Once
	dir  string // removed at the end
	p    drive.Programs
	err  error
}

func (b *built) programs(t testing.TB) drive.Programs {
	t.Helper()
	b.once.Do(func() {
		if b.dir, b.err = os.MkdirTemp("", "modhost-test-"); b.err == nil {
			b.p, b.err = b.Make(b.dir)
		}
	})
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b.p
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, b := range []*built{racing, plain} {
		if b.dir == "" {
			continue
		}
		if err := os.RemoveAll(b.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}
