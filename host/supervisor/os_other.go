//go:build !unix

package supervisor

import (
	"os"
	"syscall"
)

func procAttr() *syscall.SysProcAttr { return nil }

// killGroup kills the process. There are no process groups here: what it has
// started lives on.
func killGroup(p *os.Process) {
	p.Kill() //nolint:errcheck // it has ended: what we want
}

// alive reports whether there is a process of that id.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	p.Release() //nolint:errcheck // only frees a handle
	return true
}

// runnable reports true: there is no such permission here.
func runnable(os.FileInfo) bool { return true }

// fileID is the same for all files: size and date have to do.
func fileID(os.FileInfo) string { return "file" }
