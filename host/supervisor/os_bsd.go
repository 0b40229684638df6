//go:build unix && !linux

package supervisor

import "syscall"

// procAttr puts the child into a process group of its own, out of reach of
// the terminal's Ctrl-C. When the host is killed, only the broken lifeline
// ends the child: there is no parent-death signal here.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
