//go:build unix

package supervisor

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// beHost is the other process of TestSupervisor_KilledHostLeavesNothing: a
// host that says its plugin's pid and runs until it is killed.
func beHost(plugin string) {
	s := New(Options{Logger: hclog.NewNullLogger(), RunDir: os.Getenv("SUPERVISOR_TEST_RUN_DIR")})
	s.Apply([]Spec{{Name: "mod", Enabled: true, Path: plugin}})
	for deadline := time.Now().Add(time.Minute); s.Modules()[0].State != Ready; {
		if time.Now().After(deadline) {
			fmt.Println("the plugin is not ready after a minute")
			os.Exit(1)
		}
		time.Sleep(time.Millisecond) // a poll: nothing tells of a state from outside
	}
	fmt.Println(s.Modules()[0].PID)
	select {}
}

// gone reports whether the process has ended, be it that nobody has asked
// for its exit state yet.
func gone(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return !alive(pid)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(rest, "Z")
}

func TestSupervisor_KilledHostLeavesNothing(t *testing.T) {
	t.Parallel()
	runDir, err := os.MkdirTemp("", "r")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(runDir) //nolint:errcheck // in the folder for such things
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SUPERVISOR_TEST_PLUGIN="+built, "SUPERVISOR_TEST_RUN_DIR="+runDir)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, readErr := bufio.NewReader(stdout).ReadString('\n')
	pid, convErr := strconv.Atoi(strings.TrimSpace(line))
	cmd.Process.Kill() //nolint:errcheck // Wait tells
	cmd.Wait()         //nolint:errcheck // killed
	if readErr != nil || convErr != nil {
		t.Fatalf("the host said %q: %v, %v", line, readErr, convErr)
	}
	deadline := time.Now().Add(20 * time.Second)
	for !gone(pid) {
		if time.Now().After(deadline) {
			t.Fatalf("plugin %d outlives its host", pid)
		}
		time.Sleep(time.Millisecond) // a poll: it is no child of this process
	}
	if left, _ := os.ReadDir(runDir); len(left) != 1 {
		t.Errorf("run directories of the dead host: %v", left)
	}
	runDirs{runDir}.sweep()
	if left, _ := os.ReadDir(runDir); len(left) != 0 {
		t.Errorf("sweep left %v", left)
	}
}
