package supervisor

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// afterExit is how long the output of a process that has ended is waited for.
// It is in the pipes already; only a grandchild that escaped from the process
// group can keep them open.
const afterExit = 500 * time.Millisecond

var errKilled = errors.New("killed before it was started")

// A program is the operating system's side of one plugin process. It has the
// methods of go-plugin's runner.Runner, which it replaces to have a hand in
// what go-plugin leaves open: a process group, the parent-death signal, no
// stdin, an end that is noticed at once, and the exit state.
type program struct {
	cmd    *exec.Cmd
	name   string // what users know the executable by; a verified copy runs under another path
	fork   *forker
	output *output
	exited chan struct{} // closed when the process has ended and its output is logged

	stdout *os.File // read end
	greet  *greeting

	mu       sync.Mutex // guards the rest: a kill may come before, during and after the start
	started  bool
	killed   bool
	startErr error
}

func newProgram(path string, args, env []string, f *forker, o *output) *program {
	cmd := exec.Command(path, args...)
	cmd.Env = env
	cmd.SysProcAttr = procAttr()
	return &program{cmd: cmd, name: path, fork: f, output: o, exited: make(chan struct{}), greet: &greeting{}}
}

// Start starts the process and two goroutines, which end when exited is
// closed.
func (p *program) Start(context.Context) error {
	err := p.start()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.startErr = err
	return err
}

func (p *program) start() error {
	stdout, stdoutW, err := os.Pipe()
	if err != nil {
		return err
	}
	stderr, stderrW, err := os.Pipe()
	if err != nil {
		return errors.Join(err, stdout.Close(), stdoutW.Close())
	}
	p.stdout, p.greet.r = stdout, stdout
	p.cmd.Stdin = nil // the null device; go-plugin would have given it ours
	p.cmd.Stdout, p.cmd.Stderr = stdoutW, stderrW

	p.mu.Lock()
	err = errKilled
	if !p.killed {
		err = p.fork.do(p.cmd.Start)
	}
	p.started = err == nil
	p.mu.Unlock()
	stdoutW.Close() //nolint:errcheck // the child has its own
	stderrW.Close() //nolint:errcheck
	if err != nil {
		return errors.Join(err, stdout.Close(), stderr.Close())
	}

	logged := make(chan struct{})
	go func() {
		defer close(logged)
		p.output.consume(stderr)
	}()
	go func() {
		defer close(p.exited)
		p.cmd.Wait()             //nolint:errcheck // cmd.ProcessState keeps it
		killGroup(p.cmd.Process) // what it has started goes with it
		limit := time.Now().Add(afterExit)
		stdout.SetReadDeadline(limit) //nolint:errcheck // then only the end of the pipe ends it
		stderr.SetReadDeadline(limit) //nolint:errcheck
		<-logged
		stderr.Close() //nolint:errcheck // read to its end
	}()
	return nil
}

// kill ends the process and its group now, or keeps it from being started.
// exited says when it is done. Safe for concurrent use.
func (p *program) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.exited: // its pid may be somebody else's by now
		return
	default:
	}
	p.killed = true
	if p.started {
		killGroup(p.cmd.Process)
	}
}

// endedByUs reports whether a kill was what ended the process. It must be
// called after exited only.
func (p *program) endedByUs() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.killed && p.cmd.ProcessState.ExitCode() == -1 // by a signal
}

// wait returns when the process has ended, if it was started at all, and
// frees the last of it.
func (p *program) wait() {
	if !p.hasStarted() {
		return
	}
	<-p.exited
	p.stdout.Close() //nolint:errcheck // read as far as anybody cared
}

// exitState says how the process ended, such as "exit status 2" or "signal:
// killed". It must be called after exited only.
func (p *program) exitState() string { return p.cmd.ProcessState.String() }

// Wait returns when the process has ended; how is nobody's business here.
func (p *program) Wait(context.Context) error {
	<-p.exited
	return nil
}

// ending is how long a program that has closed its end of a pipe may take to be
// seen as ended.
const ending = 250 * time.Millisecond

// Kill is [program.kill] for what a broken connection or pipe was seen of: if
// the program is just ending, how it does tells more than that we killed it.
func (p *program) Kill(ctx context.Context) error {
	if p.hasStarted() {
		t := time.NewTimer(ending)
		defer t.Stop()
		select {
		case <-p.exited:
		case <-t.C:
		case <-ctx.Done():
		}
	}
	p.kill()
	return nil
}

// Stdout carries the handshake.
func (p *program) Stdout() io.ReadCloser { return p.greet }

// Stderr is empty for go-plugin: see output.
func (p *program) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name is for go-plugin's log.
func (p *program) Name() string { return p.name }

// ID is the pid, empty before the start.
func (p *program) ID() string {
	if !p.hasStarted() {
		return ""
	}
	return strconv.Itoa(p.cmd.Process.Pid)
}

func (p *program) hasStarted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.started
}

// Diagnose is empty: explain says more than go-plugin has room for.
func (p *program) Diagnose(context.Context) string { return "" }

// PluginToHost returns its arguments: both see the same files.
func (p *program) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin returns its arguments: both see the same files.
func (p *program) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// A greeting passes a plugin's stdout on to go-plugin and remembers its first
// line, the handshake, for explain.
type greeting struct {
	r *os.File

	mu   sync.Mutex // guards seen: go-plugin reads while explain looks
	seen []byte
}

// Read reads on from the pipe.
func (g *greeting) Read(b []byte) (int, error) {
	n, err := g.r.Read(b)
	g.mu.Lock()
	defer g.mu.Unlock()
	const enough = 4 << 10
	g.seen = append(g.seen, b[:min(n, enough-len(g.seen))]...)
	return n, err
}

// Close is wait's task.
func (g *greeting) Close() error { return nil }

// line returns the first line without its end; whole is false if that has
// not come.
func (g *greeting) line() (text string, whole bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	advance, token, _ := bufio.ScanLines(g.seen, false)
	if advance == 0 {
		return string(g.seen), false
	}
	return string(token), true
}
