package drive

import (
	"bytes"
	"os/exec"
	"testing"
	"time"
)

// A Curl is a client that is a process of its own.
type Curl struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdout bytes.Buffer
	done   chan struct{} // closed when it has ended
}

// StartCurl starts curl in the background. It is killed at the end of the test.
func StartCurl(t testing.TB, args ...string) *Curl {
	t.Helper()
	c := &Curl{t: t, cmd: exec.Command("curl", append([]string{"-s", "-S"}, args...)...), done: make(chan struct{})}
	c.cmd.Stdout = &c.stdout
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		c.cmd.Wait() //nolint:errcheck // what it printed tells
	}()
	t.Cleanup(c.Kill)
	return c
}

// PID is its process id.
func (c *Curl) PID() int { return c.cmd.Process.Pid }

// Kill ends it with SIGKILL, if it has not ended, and waits for its end.
func (c *Curl) Kill() {
	c.cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-c.done
}

// Output waits until it ends and returns what it printed.
func (c *Curl) Output() string {
	c.t.Helper()
	select {
	case <-c.done:
	case <-time.After(Patience):
		c.t.Fatalf("%s: no end after %v", c.cmd, Patience)
	}
	return c.stdout.String()
}

// Ended reports whether it has ended.
func (c *Curl) Ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}
