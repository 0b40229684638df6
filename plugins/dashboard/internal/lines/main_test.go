package lines

import (
	"os"
	"runtime"
	"testing"
)

// TestMain leaves the tests one processor, for the reason that sdk/queue's
// TestMain gives.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	os.Exit(m.Run())
}
