package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	runDirPrefix = "modhost-"

	// A unix socket's path holds at most 103 bytes on the BSDs and macOS,
	// 107 on Linux. go-plugin puts "/plugin-dir" and "/plugin" with up to ten
	// digits each below the directory it is given.
	longestRunDir = 103 - len("/plugin-dir0123456789/plugin0123456789")
)

// runDirs makes private directories for the sockets of plugin processes, one
// for each process. Their names hold the host's pid, so that the next host
// can tell which ones nobody needs any more.
type runDirs struct {
	parent string
}

// newRunDirs puts the directories below parent, or, where parent is empty or
// too long a path, below the system's folder for temporary files or /tmp.
func newRunDirs(parent string) runDirs {
	for _, dir := range []string{parent, os.TempDir()} {
		if dir != "" && len(dir)+len("/modhost-4194304-0123456789") <= longestRunDir {
			return runDirs{dir}
		}
	}
	return runDirs{"/tmp"}
}

// make creates an empty directory that only this user can look into.
func (d runDirs) make() (string, error) {
	if err := os.MkdirAll(d.parent, 0o700); err != nil {
		return "", fmt.Errorf("no run directory: %w; look at its permissions", err)
	}
	dir, err := os.MkdirTemp(d.parent, fmt.Sprintf("%s%d-", runDirPrefix, os.Getpid()))
	if err != nil {
		return "", fmt.Errorf("no run directory: %w; look at its permissions", err)
	}
	return dir, nil
}

// sweep removes the directories of hosts that are dead. What it may not
// remove belongs to another user and stays.
func (d runDirs) sweep() {
	entries, err := os.ReadDir(d.parent)
	if err != nil {
		return // not there yet; make says what is wrong with it
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), runDirPrefix)
		digits, _, dashed := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(digits)
		if !ours || !dashed || err != nil || pid <= 0 || !e.IsDir() || alive(pid) {
			continue
		}
		os.RemoveAll(filepath.Join(d.parent, e.Name())) //nolint:errcheck // see above
	}
}
