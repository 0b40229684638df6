package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/etcd-modules/modhost/integration/drive"
)

// commands are those of the scripts. No script sleeps: what takes time is
// awaited, with a deadline.
//
//	host start|launch [CONFIG]   runs modhost serve, with modhost.hcl unless named, until it is
//	                             ready; launch: until it listens. Its output is in host.out, its
//	                             log in host.log. Sets ADDRESS, ETCD (a URL) and ETCD_ADDRESS.
//	host stop                    SIGTERM; it must end with 0
//	host kill                    SIGKILL
//	host signal TERM|INT|HUP     and no wait
//	host ends CODE|SIGNAL        waits; after each end of a host no process may be left, see soon
//	curl ARGUMENTS [&name&]      the real one; with a name it goes to the background, and the head
//	                             of its answer to name.head. In the foreground it is sent again
//	                             while the module starts (704)
//	reply NAME                   waits for that curl and makes its answer the last one
//	interrupt NAME               Ctrl-C for that curl
//	[!] waits NAME               that curl has not ended
//	status CODE                  of the last answer
//	[!] header NAME REGEXP       of the last answer, the whole value
//	body TEXT                    of the last answer, to the byte
//	error STATUS CODE [REGEXP]   the last answer is an error with that errorCode and cause
//	grant [NAME]                 the last answer is a grant of a lock; NAME becomes its index
//	leads [NAME]                 the same of an election
//	took MIN MAX                 the duration of the last curl
//	later A B                    the number A is larger than B
//	await REGEXP PROGRAM ARGS    runs the program until its output matches
//	soon REGEXP PROGRAM ARGS     await for what must happen within a second
//	exits CODE PROGRAM ARGS      runs the program, which must end by itself
//	capture NAME REGEXP          NAME becomes the first group's match in the last stdout
//	signal KILL|STOP|CONT PID    sends a signal to a process of the script
//	gone PID                     the process ends, see soon
//	repeat FILE N TEXT           writes N times TEXT to FILE
//	certificates NAME            makes NAME-ca.pem, NAME.pem and NAME.key, see drive.MakeTLSFiles
var commands = map[string]func(*testscript.TestScript, bool, []string){
	"host":      plainly(cmdHost),
	"curl":      cmdCurl,
	"reply":     plainly(cmdReply),
	"interrupt": plainly(cmdInterrupt),
	"waits":     cmdWaits,
	"status":    plainly(cmdStatus),
	"header":    cmdHeader,
	"body":      plainly(cmdBody),
	"error":     plainly(cmdError),
	"grant":     plainly(func(ts *testscript.TestScript, args []string) { granted(ts, "X-Lock-", "held", args) }),
	"leads":     plainly(func(ts *testscript.TestScript, args []string) { granted(ts, "X-Leader-", "led", args) }),
	"took":      plainly(cmdTook),
	"later":     plainly(cmdLater),
	"await":     plainly(func(ts *testscript.TestScript, args []string) { await(ts, drive.Patience, args) }),
	"soon":      plainly(func(ts *testscript.TestScript, args []string) { await(ts, drive.Soon(), args) }),
	"exits":     plainly(cmdExits),
	"capture":   plainly(cmdCapture),
	"signal":    plainly(cmdSignal),
	"gone":      plainly(cmdGone),
	"repeat":    plainly(cmdRepeat),
	"certificates": plainly(func(ts *testscript.TestScript, args []string) {
		_, err := drive.MakeTLSFiles(on(ts).dir, args[0])
		ts.Check(err)
	}),
}

// plainly is for commands that have no negation.
func plainly(f func(*testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("! makes no sense here")
		}
		f(ts, args)
	}
}

func cmdHost(ts *testscript.TestScript, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: host start|launch|stop|kill|signal|ends")
	}
	s, verb, args := on(ts), args[0], args[1:]
	if verb == "start" || verb == "launch" {
		config := "modhost.hcl"
		if len(args) > 0 {
			config = args[0]
		}
		ts.Check(s.launch(ts, config))
		if verb == "start" {
			ts.Check(s.ready(ts.Getenv("ADDRESS")))
		}
		return
	}
	if s.host == nil {
		ts.Fatalf("no host was started")
	}
	want := ""
	switch verb {
	case "stop":
		s.host.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // seen below
		want = "0"
	case "kill":
		s.host.cmd.Process.Kill() //nolint:errcheck // seen below
		want = "SIGKILL"
	case "signal":
		ts.Check(s.host.cmd.Process.Signal(signals[args[0]]))
		return
	case "ends":
		want = args[0]
	default:
		ts.Fatalf("unknown: host %s", verb)
	}
	ts.Check(s.host.ended())
	if got := ending(s.host.state); got != want {
		ts.Fatalf("the host ended with %s, want %s", got, want)
	}
	ts.Check(s.nobodyLeft())
}

// ending is the exit code, or the name of the signal that ended a process.
func ending(state *os.ProcessState) string {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		for name, sig := range signals {
			if sig == status.Signal() {
				return "SIG" + name
			}
		}
	}
	return strconv.Itoa(state.ExitCode())
}

var (
	decimal = regexp.MustCompile(`^[1-9][0-9]*$`)
	seconds = regexp.MustCompile(`^[0-9]+\.[0-9]{3}$`)
)

// An answered curl.
type answered struct {
	status int
	header http.Header
	body   string
	took   time.Duration
}

func cmdCurl(ts *testscript.TestScript, neg bool, args []string) {
	s := on(ts)
	name := ""
	if n := len(args); n > 0 && strings.HasPrefix(args[n-1], "&") && strings.HasSuffix(args[n-1], "&") {
		name, args = strings.Trim(args[n-1], "&"), args[:n-1]
	}
	start := func() *running {
		c := &running{head: filepath.Join(s.dir, name+".head")}
		cmd := exec.Command("curl", append([]string{"--dump-header", c.head}, args...)...)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, environment(ts), &c.stdout, &c.stderr
		ts.Check(c.run(cmd))
		return c
	}
	c := start()
	if name == "" {
		// On a machine with much to do a module takes longer to start than the
		// host holds requests for it: no module has seen them.
		for end := time.Now().Add(drive.Patience); time.Now().Before(end); c = start() {
			ts.Check(c.ended())
			if !strings.Contains(c.stdout.String(), `"errorCode":704,`) {
				break
			}
		}
		name = "the one in the foreground"
		s.curls[name] = c
		s.reply(ts, name, neg)
		return
	}
	if neg || s.curls[name] != nil {
		ts.Fatalf("curl in the background: no ! and a new name, please")
	}
	s.curls[name] = c
}

func cmdReply(ts *testscript.TestScript, args []string) {
	if len(args) != 1 || on(ts).curls[args[0]] == nil {
		ts.Fatalf("usage: reply NAME of a curl in the background")
	}
	on(ts).reply(ts, args[0], false)
}

// reply waits for a curl and makes its answer the last one. What every answer
// of ours must have is checked here, for all scripts.
func (s *stage) reply(ts *testscript.TestScript, name string, fails bool) {
	c := s.curls[name]
	ts.Check(c.ended())
	delete(s.curls, name)
	ts.Stdout().Write(c.stdout.Bytes()) //nolint:errcheck // a buffer
	ts.Stderr().Write(c.stderr.Bytes()) //nolint:errcheck // a buffer
	s.last = answered{body: c.stdout.String(), took: c.took}
	if ok := c.state.Success(); ok == fails {
		ts.Fatalf("curl ended with %s", ending(c.state))
	} else if !ok {
		return
	}
	head, err := os.ReadFile(c.head)
	ts.Check(err)
	ts.Check(s.last.parse(string(head)))
	if slices.ContainsFunc(c.cmd.Args, func(arg string) bool { return strings.HasPrefix(arg, ts.Getenv("ETCD")) }) {
		return // not ours
	}
	for _, h := range []string{"X-Request-Id"} {
		if s.last.header.Get(h) == "" {
			ts.Fatalf("the answer has no %s:\n%s", h, head)
		}
	}
	if len(s.last.body) > 0 && s.last.header.Get("X-Content-Type-Options") != "nosniff" {
		ts.Fatalf("the answer is not nosniff:\n%s", head)
	}
}

// parse reads the last head that curl has dumped; those before it were
// informational.
func (a *answered) parse(head string) error {
	heads := strings.Split(strings.TrimSuffix(strings.ReplaceAll(head, "\r\n", "\n"), "\n\n"), "\n\n")
	lines := strings.Split(heads[len(heads)-1], "\n")
	words := strings.Fields(lines[0])
	if len(words) < 2 {
		return fmt.Errorf("curl got no answer: %q", head)
	}
	a.header = make(http.Header)
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		a.header.Add(textproto.TrimString(name), textproto.TrimString(value))
	}
	var err error
	a.status, err = strconv.Atoi(words[1])
	return err
}

func cmdInterrupt(ts *testscript.TestScript, args []string) {
	s := on(ts)
	c := s.curls[args[0]]
	if c == nil {
		ts.Fatalf("no curl %q in the background", args[0])
	}
	select {
	case <-c.done:
		ts.Fatalf("curl %q has ended before: %s", args[0], c.stdout.String())
	default:
	}
	ts.Check(c.cmd.Process.Signal(os.Interrupt))
	ts.Check(c.ended())
	delete(s.curls, args[0])
}

func cmdWaits(ts *testscript.TestScript, neg bool, args []string) {
	c := on(ts).curls[args[0]]
	if c == nil {
		ts.Fatalf("no curl %q in the background", args[0])
	}
	select {
	case <-c.done:
		if !neg {
			ts.Fatalf("curl %q has ended: %s", args[0], c.stdout.String())
		}
	default:
		if neg {
			ts.Fatalf("curl %q has not ended", args[0])
		}
	}
}

func cmdStatus(ts *testscript.TestScript, args []string) {
	if got := strconv.Itoa(on(ts).last.status); got != args[0] {
		ts.Fatalf("status %s, want %s", got, args[0])
	}
}

func cmdHeader(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 1 {
		args = append(args, ".*")
	}
	got, there := on(ts).last.header[http.CanonicalHeaderKey(args[0])]
	matches := there && regexp.MustCompile(`^(?:`+args[1]+`)$`).MatchString(strings.Join(got, ", "))
	if matches == neg {
		ts.Fatalf("header %s is %q", args[0], got)
	}
}

func cmdBody(ts *testscript.TestScript, args []string) {
	if got := on(ts).last.body; got != args[0] {
		ts.Fatalf("body %.300q, want %.300q", got, args[0])
	}
}

func cmdError(ts *testscript.TestScript, args []string) {
	a := on(ts).last
	var e struct {
		ErrorCode *int
		Message   string
		Cause     *string
		Index     *uint64
	}
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		ts.Fatalf("body %.300q: %v", a.body, err)
	}
	switch {
	case e.ErrorCode == nil || e.Message == "" || e.Cause == nil || e.Index == nil || a.header.Get("Content-Type") != "application/json":
		ts.Fatalf("not the shape of an error: %s %s", a.header.Get("Content-Type"), a.body)
	case strconv.Itoa(a.status) != args[0] || strconv.Itoa(*e.ErrorCode) != args[1]:
		ts.Fatalf("%d %s, want %s with %s", a.status, a.body, args[0], args[1])
	case a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") == "":
		ts.Fatalf("503 without Retry-After: %s", a.body)
	case len(args) > 2 && !regexp.MustCompile(args[2]).MatchString(*e.Cause):
		ts.Fatalf("cause %q does not match %q", *e.Cause, args[2])
	}
}

func granted(ts *testscript.TestScript, header, state string, args []string) {
	a := on(ts).last
	if a.status != http.StatusOK || !decimal.MatchString(a.body) || a.header.Get(header+"Token") != a.body ||
		a.header.Get(header+"State") != state || !seconds.MatchString(a.header.Get(header+"Valid-For")) ||
		a.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		ts.Fatalf("no grant: %d %v %s", a.status, a.header, a.body)
	}
	if len(args) > 0 {
		ts.Setenv(args[0], a.body)
	}
}

func cmdTook(ts *testscript.TestScript, args []string) {
	least, err := time.ParseDuration(args[0])
	ts.Check(err)
	most, err := time.ParseDuration(args[1])
	ts.Check(err)
	if got := on(ts).last.took; got < least || got > most {
		ts.Fatalf("it took %v, want %v to %v", got, least, most)
	}
}

func cmdLater(ts *testscript.TestScript, args []string) {
	a, err := strconv.ParseUint(args[0], 10, 64)
	ts.Check(err)
	b, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	if a <= b {
		ts.Fatalf("%d is not larger than %d", a, b)
	}
}

// output runs a program to its end.
func (s *stage) output(ts *testscript.TestScript, args []string) (stdout, stderr []byte, state *os.ProcessState) {
	path := args[0]
	if !strings.Contains(path, "/") {
		for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
			if p, err := exec.LookPath(filepath.Join(dir, path)); err == nil {
				path = p
				break
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), drive.Patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, environment(ts), &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		ts.Fatalf("%s: %v", cmd, err)
	}
	return out.Bytes(), errs.Bytes(), cmd.ProcessState
}

func await(ts *testscript.TestScript, limit time.Duration, args []string) {
	want := regexp.MustCompile(`(?m)` + args[0])
	var out, errs []byte
	err := drive.Within(limit, func() error {
		if out, errs, _ = on(ts).output(ts, args[1:]); !want.Match(out) {
			return fmt.Errorf("after %v no %q in the output of %s", limit, args[0], args[1])
		}
		return nil
	})
	ts.Stdout().Write(out)  //nolint:errcheck // a buffer
	ts.Stderr().Write(errs) //nolint:errcheck // a buffer
	ts.Check(err)
}

func cmdExits(ts *testscript.TestScript, args []string) {
	out, errs, state := on(ts).output(ts, args[1:])
	ts.Stdout().Write(out)  //nolint:errcheck // a buffer
	ts.Stderr().Write(errs) //nolint:errcheck // a buffer
	if got := ending(state); got != args[0] {
		ts.Fatalf("%s ended with %s, want %s", args[1], got, args[0])
	}
}

func cmdCapture(ts *testscript.TestScript, args []string) {
	text := ts.ReadFile("stdout")
	found := regexp.MustCompile(`(?m)` + args[1]).FindStringSubmatch(text)
	if len(found) != 2 {
		ts.Fatalf("no group of %q in %s", args[1], text)
	}
	ts.Setenv(args[0], found[1])
}

func cmdSignal(ts *testscript.TestScript, args []string) {
	pid, err := strconv.Atoi(args[1])
	ts.Check(err)
	if pid < 2 {
		ts.Fatalf("process %d is none of ours", pid)
	}
	ts.Check(syscall.Kill(pid, signals[args[0]]))
}

func cmdGone(ts *testscript.TestScript, args []string) {
	pid, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(drive.Within(drive.Soon(), func() error {
		if drive.Alive(pid) {
			return fmt.Errorf("process %d is alive", pid)
		}
		return nil
	}))
}

func cmdRepeat(ts *testscript.TestScript, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat(args[2], n)), 0o600))
}
