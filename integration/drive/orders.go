package drive

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Order runs a command of modhost that concerns the running host, which must
// succeed, and returns what it prints.
func (h *Host) Order(args ...string) string {
	h.t.Helper()
	cmd := exec.Command(h.binary, append(args, "--config", h.config)...)
	cmd.Dir = h.Dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("modhost %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// Configure writes another text into the config file of the host, which does
// not look at it before it is told to. At no time is there half a file.
func (h *Host) Configure(config string) {
	h.t.Helper()
	fresh := h.config + ".new"
	if err := errors.Join(os.WriteFile(fresh, []byte(config), 0o600), os.Rename(fresh, h.config)); err != nil {
		h.t.Fatal(err)
	}
}

// A Change is what a reload has made of one module.
type Change struct {
	Module, Kind, Process, State, Reason string

	PID int
}

// Reload has the host take its config file over and returns the changes.
func (h *Host) Reload() []Change {
	h.t.Helper()
	var report struct{ Changes []Change }
	if err := json.Unmarshal([]byte(h.Order("config", "reload", "--output", "json")), &report); err != nil {
		h.t.Fatal(err)
	}
	return report.Changes
}

// Hangup is Reload by a signal, which returns at once.
func (h *Host) Hangup() {
	h.t.Helper()
	Signal(h.t, h.PID(), syscall.SIGHUP)
}

// Enable switches a module on and returns when it serves.
func (h *Host) Enable(module string) {
	h.t.Helper()
	h.Order("module", "enable", module)
}

// Disable switches a module off and returns when its process has ended.
func (h *Host) Disable(module string) {
	h.t.Helper()
	h.Order("module", "disable", module)
}
