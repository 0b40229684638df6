package supervisor

import "runtime"

// A forker starts processes from one operating system thread that lives as
// long as itself. Linux sends the parent-death signal when the *thread* that
// forked ends, and the Go runtime ends threads as it likes: forked from an
// ordinary goroutine, a healthy plugin would be killed out of the blue.
type forker struct {
	jobs  chan func()
	ended chan struct{}
}

func newForker() *forker {
	f := &forker{jobs: make(chan func()), ended: make(chan struct{})}
	go f.run()
	return f
}

func (f *forker) run() {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	defer close(f.ended)
	for job := range f.jobs {
		job()
	}
}

// do runs start on the thread and returns its error.
func (f *forker) do(start func() error) error {
	result := make(chan error, 1)
	f.jobs <- func() { result <- start() }
	return <-result
}

// stop ends the thread, unless that is the program's first one, and on Linux
// every process started there ends with it. It must be called once, after the
// last do has returned.
func (f *forker) stop() {
	close(f.jobs)
	<-f.ended
}
