//go:build unix

package supervisor

import (
	"errors"
	"os"
	"syscall"
)

// killGroup kills the process and everything it has started.
func killGroup(p *os.Process) {
	syscall.Kill(-p.Pid, syscall.SIGKILL) //nolint:errcheck // nobody is left: what we want
}

// alive reports whether there is a process of that id.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// runnable reports whether anybody may execute the file.
func runnable(info os.FileInfo) bool { return info.Mode()&0o111 != 0 }
