package drive

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clockVariable is read by a member with a clock of its own: by how many
// seconds it is ahead.
const clockVariable = "MODHOST_TEST_CLOCK_AHEAD"

// clockChanges are made in the time package of the Go that builds such a
// member: only the time of day is another one, what is measured with the
// monotonic clock stays right.
var clockChanges = []Fault{
	{Old: "\t\"math/bits\"\n", New: "\t\"math/bits\"\n\t\"syscall\"\n"},
	{Old: "\tsec += unixToInternal - minWall\n", New: "\tsec += unixToInternal - minWall + testAhead\n"},
	{Old: "\nfunc unixTime(", New: `
var testAhead = func() (ahead int64) {
	text, _ := syscall.Getenv("` + clockVariable + `")
	sign := int64(1)
	for _, c := range []byte(text) {
		if c == '-' {
			sign = -1
		} else {
			ahead = 10*ahead + int64(c-'0')
		}
	}
	return sign * ahead
}()

func unixTime(`},
}

// BuildClock builds an etcd server whose clock can be set, for
// [Member.SetClock]. That takes minutes the first time, since all of Go's
// library has to be compiled anew.
func BuildClock(t testing.TB) (program string) {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range clockChanges {
		change.File = source
		if text, err = change.apply(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, "time.go")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{changed: text, filepath.Join(dir, "overlay.json"): overlay} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program = filepath.Join(dir, memberProgram)
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "./integration/drive/member")
	cmd.Dir = Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return program
}

// SetClock restarts the member, as the program from BuildClock, with a clock
// that is ahead of the true time by whole seconds.
func (m *Member) SetClock(program string, ahead time.Duration) {
	m.t.Helper()
	m.Kill()
	m.binary = filepath.Join(m.dir, "with-clock")
	script := fmt.Sprintf("#!/bin/sh\n%s=%d exec '%s' \"$@\"\n", clockVariable, int64(ahead/time.Second), program)
	if err := os.WriteFile(m.binary, []byte(script), 0o700); err != nil { //nolint:gosec // it is to be run
		m.t.Fatal(err)
	}
	m.Restart()
	m.AwaitReady()
}
