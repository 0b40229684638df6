package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// pluginFolder holds modhost-test when buildPlugin has returned: the
// supervisor's test plugin, which misbehaves as its first argument and the paths
// of requests say.
var pluginFolder string

var buildPlugin = sync.OnceValue(func() error {
	cmd := exec.Command("go", "build", "-o", filepath.Join(pluginFolder, "modhost-test"), "./supervisor/testdata/plugin")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the test plugin: %w\n%s", err, out)
	}
	return nil
})

// TestMain leaves the tests one processor: where two fire the channel timers
// of one synctest bubble at a time, Go's race detector can crash, since both
// run in its one context for the bubble's timers (seen with Go 1.26.8; see
// golang/go#78156).
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	var err error
	if pluginFolder, err = os.MkdirTemp("", "modhost-host-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(pluginFolder) //nolint:errcheck // in the folder for such things
	os.Exit(code)
}
