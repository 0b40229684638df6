package supervisor

import "syscall"

// procAttr puts the child into a process group of its own, out of reach of
// the terminal's Ctrl-C, and has the kernel kill it when the thread that
// started it ends: see forker.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
