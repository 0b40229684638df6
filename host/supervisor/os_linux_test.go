package supervisor

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// The parent-death signal comes when the thread ends that forked: not the one
// that asked for it.
func TestProgram_OutlivesTheThreadThatAskedForIt(t *testing.T) {
	f := newForker()
	onFirst := false
	f.do(func() error { onFirst = syscall.Gettid() == os.Getpid(); return nil }) //nolint:errcheck // nil
	if onFirst {
		// The program's first thread never ends. While f holds it, nobody
		// else gets it.
		defer f.stop()
		f = newForker()
	}
	p := newProgram(built, []string{"silent"}, nil, f, &output{logger: hclog.NewNullLogger(), tail: &tail{}})
	asker := make(chan int)
	var ask func()
	ask = func() {
		runtime.LockOSThread() // never unlocked, so the thread ends with the goroutine
		if syscall.Gettid() == os.Getpid() {
			// The first thread again.
			held := make(chan struct{})
			go func() { defer close(held); ask() }()
			<-held
			return
		}
		if err := p.Start(t.Context()); err != nil {
			t.Error(err)
		}
		asker <- syscall.Gettid()
	}
	go ask()
	thread := filepath.Join("/proc/self/task", strconv.Itoa(<-asker))
	deadline := time.Now().Add(20 * time.Second)
	for {
		if _, err := os.Stat(thread); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the thread does not end")
		}
		time.Sleep(time.Millisecond)
	}
	if pid, err := strconv.Atoi(p.ID()); err != nil || gone(pid) {
		t.Errorf("the process went with the thread")
	}
	f.stop() // the thread that did fork
	p.wait()
	if got := p.exitState(); got != "signal: killed" {
		t.Errorf("end of the process = %q, want the parent-death signal", got)
	}
}
