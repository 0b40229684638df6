package integration

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/etcd-modules/modhost/integration/drive"
)

// The programs under test, with the race detector if the tests have it: built
// once for all tests. What counts memory or CPU uses plain ones.
var (
	programs = lazy(drive.Build{Race: drive.Race}.Make)
	plain    = lazy(drive.Build{}.Make)
)

var buildDirs []string // removed at the end; filled by one goroutine before the tests

// lazy returns what make has built into a folder, when it is first asked for.
func lazy[T any](make func(dir string) (T, error)) func(testing.TB) T {
	dir, err := os.MkdirTemp("", "modhost-test-")
	if err != nil {
		panic(err)
	}
	buildDirs = append(buildDirs, dir)
	made := sync.OnceValues(func() (T, error) { return make(dir) })
	return func(t testing.TB) T {
		t.Helper()
		p, err := made()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

// remover removes what was built when all tests are over.
type remover struct{ m *testing.M }

func (r remover) Run() int {
	code := r.m.Run()
	for _, dir := range buildDirs {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	return code
}

func TestMain(m *testing.M) { testscript.Main(remover{m}, nil) }
