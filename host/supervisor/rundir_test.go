package supervisor

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestRunDirs_SweepTakesOnlyThoseOfDeadHosts(t *testing.T) {
	parent := t.TempDir()
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	stale := fmt.Sprintf("modhost-%d-123", dead.Process.Pid)
	keep := []string{fmt.Sprintf("modhost-%d-1", os.Getpid()), "modhost-x-1", "modhost-0-1", "modhost-99", "other", "modhost--5-1"}
	for _, name := range append(keep, stale) {
		if err := os.MkdirAll(filepath.Join(parent, name, "plugin-dir1"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	runDirs{parent}.sweep()
	for _, name := range keep {
		if _, err := os.Stat(filepath.Join(parent, name)); err != nil {
			t.Errorf("sweep removed %s", name)
		}
	}
	if _, err := os.Stat(filepath.Join(parent, stale)); err == nil {
		t.Errorf("sweep left %s", stale)
	}
}

func TestRunDirs_MakeIsPrivateAndShort(t *testing.T) {
	short, err := os.MkdirTemp("", "")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short) //nolint:errcheck // in the folder for such things
	for _, parent := range []string{filepath.Join(short, "run"), filepath.Join(short, strings.Repeat("x", 80)), ""} {
		dir, err := newRunDirs(parent).make()
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(dir) //nolint:errcheck // as above
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("mode of %s: %v, %v", dir, info.Mode(), err)
		}
		if len(dir) > longestRunDir {
			t.Errorf("make below %q = %q, longer than %d", parent, dir, longestRunDir)
		}
	}
}
