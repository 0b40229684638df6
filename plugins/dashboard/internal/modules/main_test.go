package modules

import (
	"os"
	"runtime"
	"testing"
)

// TestMain leaves the tests one processor: where two fire the channel timers
// of one synctest bubble at a time, Go's race detector can crash, since both
// run in its one context for the bubble's timers (seen with Go 1.26.8; see
// golang/go#78156).
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	os.Exit(m.Run())
}
