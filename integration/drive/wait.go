package drive

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// Patience is how long to wait for what must happen soon, on a slow machine
// that does other things as well. $MODHOST_TEST_PATIENCE makes it another time,
// for tests that are expected to fail.
var Patience = patience()

func patience() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("MODHOST_TEST_PATIENCE")); err == nil {
		return d
	}
	return 60 * time.Second
}

// Soon is the time for what the documentation promises within a second, such
// as that no process is left behind by a host. The race detector makes all
// processes several times slower.
func Soon() time.Duration {
	if Race {
		return 4 * time.Second
	}
	return time.Second
}

// Within tries until what it tries succeeds, and returns the last error if
// that takes longer than limit.
func Within(limit time.Duration, try func() error) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// Eventually is Within for what can't fail, with patience.
func Eventually(t testing.TB, try func() error) {
	t.Helper()
	if err := Within(Patience, try); err != nil {
		t.Fatalf("still after %v: %v", Patience, err)
	}
}

// Alive reports whether a process exists and is no zombie.
func Alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// Gone checks that a process ends within limit.
func Gone(t testing.TB, pid int, limit time.Duration) {
	t.Helper()
	if err := Within(limit, func() error {
		if Alive(pid) {
			return fmt.Errorf("process %d is alive", pid)
		}
		return nil
	}); err != nil {
		t.Errorf("after %v: %v", limit, err)
	}
}
