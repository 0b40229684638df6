//go:build unix

package supervisor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

func TestSupervisor_ServesAndShields(t *testing.T) {
	h := newHost(t, func(s *Spec) { s.Env = []string{"GIVEN=yes"} })
	s := h.untilState(Ready)
	if s.Version != "v1.2.3" || s.PID == 0 || s.Restarts != 0 || s.Reason != "" || !s.Enabled || s.Mounts[0] != "/mod/mod" {
		t.Errorf("status = %+v", s)
	}
	v := h.tell()
	if v.PID != s.PID || v.Process == "" || v.Ended != nil {
		t.Errorf("the process was told %+v", v)
	}
	if !slices.Contains(v.Env, "GIVEN=yes") || slices.ContainsFunc(v.Env, func(e string) bool { return strings.HasPrefix(e, "SUPERVISOR_") }) {
		t.Errorf("environment: %q", v.Env)
	}
	if v.Stdin != os.DevNull && !strings.Contains(v.Stdin, "no such file") { // no /proc
		t.Errorf("stdin = %s", v.Stdin)
	}
	if group, err := syscall.Getpgid(s.PID); err != nil || group != s.PID {
		t.Errorf("process group %d of process %d, %v", group, s.PID, err)
	}
	h.do("GET", "/print")
	h.until("printed lines in log and tail", func() bool {
		lines := texts(h.Logs("mod"))
		return slices.Contains(lines, "to stdout") && slices.Contains(lines, "to stderr") && strings.Contains(h.log.String(), "to stdout")
	})
}

func TestSupervisor_StartProblemsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	script := filepath.Join(dir, "script")
	text := filepath.Join(dir, "text")
	for path, mode := range map[string]os.FileMode{plain: 0o600, script: 0o700, text: 0o700} {
		content := map[string]string{script: "#!/no/such/interpreter\n", text: "no program"}[path]
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*Spec)
		want   string
	}{
		{"missing", func(s *Spec) { s.Path = "./bin/modhost-mod" }, `module "mod": no executable "modhost-mod" in "bin"; run "make build" or set plugin_dir`},
		{"directory", func(s *Spec) { s.Path = dir }, "is a directory"},
		{"pipe", func(s *Spec) { s.Path, s.SHA256 = pipe, strings.Repeat("0", 64) }, "is a device or a pipe, not an executable; set command to a program"},
		{"not executable", func(s *Spec) { s.Path = plain }, "chmod +x"},
		{"no interpreter", func(s *Spec) { s.Path = script }, "interpreter"},
		{"no program", func(s *Spec) { s.Path = text }, "build it for this machine"},
		{"ends at once", args("exit"), "ended at once without a handshake"},
		{"prints rubbish", args("rubbish"), `it printed "Hello, <b>world</b>!" instead of a handshake`},
		{"protocol", args("protocol"), "speaks protocol version 99, this host speaks 1"},
		{"no gRPC", args("netrpc"), "does not speak gRPC"},
		{"config", args("config"), "module \"mod\": config: a.hcl:7:3: unsupported argument: did you mean \"size\"?\nsecond"},
		{"dies again and again", func(s *Spec) { s.Args, s.RestartMax = []string{"exit-3"}, 1 }, `ended before the handshake: exit status 3; it said "no luck today"; that was more than 1 times within 1m0s`},
		{"panics again and again", func(s *Spec) { s.Args, s.RestartMax = []string{"panic"}, 1 }, `it said "panic: at the start"`},
		{"killed at the start", func(s *Spec) { s.Args, s.RestartMax = []string{"killed"}, 1 }, "ended before the handshake: signal: killed"},
		{"killed while being configured", func(s *Spec) { s.Args, s.RestartMax = []string{"killed-in-configure"}, 1 }, "ended while it was being set up: signal: killed"},
		{"dies while being configured", func(s *Spec) { s.Args, s.RestartMax = []string{"die-in-configure"}, 1 }, "ended while it was being set up: exit status 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, c.change)
			s := h.untilState(Failed)
			if !strings.Contains(s.Reason, c.want) {
				t.Errorf("reason = %s\nwant     %s", s.Reason, c.want)
			}
			a := h.do("GET", "/x")
			if a.status != 503 || !strings.Contains(a.body, `"errorCode":705`) || !strings.Contains(a.body, `module \"mod\":`) {
				t.Errorf("GET = %+v", a)
			}
		})
	}
}

func TestSupervisor_CrashIsReplacedAndNoGETIsLost(t *testing.T) {
	h := newHost(t, nil)
	h.untilState(Ready)
	first := h.tell()
	if a := h.insist("GET", "/crash-once"); a.status != 200 {
		t.Errorf("GET that killed the first process = %+v", a)
	}
	next := h.tell()
	if next.PID == first.PID || !slices.Equal(next.Ended, []string{first.Process}) {
		t.Errorf("after %s the next process was told %+v", first.Process, next)
	}
	if s := h.status(); s.Restarts != 1 || s.State != Ready {
		t.Errorf("status = %+v", s)
	}
	if !strings.Contains(h.log.String(), "exit status 7") {
		t.Errorf("no exit status in the log")
	}
}

// A client that has its whole answer may send the next request on the same
// connection before the process has ended the first one.
func TestSupervisor_DiedAfterTheAnswer(t *testing.T) {
	h := newHost(t, nil)
	h.untilState(Ready)
	c, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // the host closes it, too
	fmt.Fprint(c, "POST /crash-after-answer HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n")
	answers := bufio.NewReader(c)
	for _, want := range []string{"done", "GET next"} {
		r, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("instead of %q: %v", want, err)
		}
		if body, err := io.ReadAll(r.Body); err != nil || string(body) != want {
			t.Errorf("%s with %q, %v, want %q", r.Status, body, err, want)
		}
		r.Body.Close() //nolint:errcheck // read to its end
	}
}

// What the module calls resumable by its method was never refused by a handler,
// nor taken by one.
func TestSupervisor_ResumableByItsMethod(t *testing.T) {
	h := newHost(t, nil)
	pid := h.untilState(Ready).PID
	freeze(h, pid)
	sent := h.begin("PATCH", "/next")
	h.inflight(1)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if a := h.receive(sent); a.status != 200 || a.body != "PATCH next" {
		t.Errorf("PATCH = %+v", a)
	}
}

func TestSupervisor_DiedInMidRequest(t *testing.T) {
	h := newHost(t, func(s *Spec) { s.RestartMax = 20 })
	h.untilState(Ready)
	if a := h.do("POST", "/crash"); a.status != 502 || !strings.Contains(a.body, `"errorCode":706`) {
		t.Errorf("POST = %+v", a)
	}
	if a := h.insist("POST", "/next"); a.status != 200 || a.body != "POST next" {
		t.Errorf("next POST = %+v", a)
	}
	if a := h.do("GET", "/crash"); a.status != 502 { // tried twice, no more
		t.Errorf("GET = %+v", a)
	}
	if a := h.do("GET", "/crash-in-answer"); a.status != 200 || a.err == nil || a.body != "half of " {
		t.Errorf("GET cut in its answer = %+v, want an error", a)
	}
	h.until("ready after the fourth crash", func() bool { s := h.status(); return s.State == Ready && s.Restarts == 4 })
}

func TestSupervisor_PanicIsReported(t *testing.T) {
	h := newHost(t, nil)
	h.untilState(Ready)
	h.do("POST", "/panic")
	h.until("panic in the log", func() bool {
		return strings.Contains(h.log.String(), `ended: exit status 2; it said \"panic: on request\"`)
	})
	if !slices.Contains(texts(h.Logs("mod")), "panic: on request") {
		t.Errorf("no panic among the last lines")
	}
}

func TestSupervisor_ResumableRequestsMoveOn(t *testing.T) {
	h := newHost(t, nil)
	h.untilState(Ready)
	pid := h.status().PID
	const n = 20
	var waiting []<-chan answer
	for range n {
		waiting = append(waiting, h.begin("POST", "/wait"))
	}
	h.until("all marked", func() bool { return h.do("GET", "/waiting").body == strconv.Itoa(n) })
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range waiting {
		a := h.receive(c)
		if a.status != 200 || !strings.HasPrefix(a.body, "resumed request-") || seen[a.body] {
			t.Fatalf("answer = %+v", a)
		}
		seen[a.body] = true
	}
}

func TestSupervisor_ReplaceLosesNothing(t *testing.T) {
	h := newHost(t, nil)
	h.untilState(Ready)
	first := h.status().PID
	waiter, worker := h.begin("POST", "/wait"), h.begin("POST", "/finish")
	h.inflight(2)

	h.Apply([]Spec{h.spec(nil)}) // equal: untouched
	h.Apply([]Spec{h.spec(args("new"))})
	if a := h.receive(waiter); a.status != 200 || !strings.HasPrefix(a.body, "resumed") {
		t.Errorf("resumable = %+v", a)
	}
	if a := h.receive(worker); a.status != 200 || a.body != "finished" {
		t.Errorf("in flight = %+v", a)
	}
	if v := h.tell(); v.PID == first {
		t.Errorf("still process %d", first)
	}
	h.until("old process gone", func() bool { return !alive(first) })
	if s := h.status(); s.Restarts != 0 || s.State != Ready {
		t.Errorf("status = %+v", s)
	}
	// What it has printed may be read after its end was seen.
	h.until("old process closed in order", func() bool { return slices.Contains(texts(h.Logs("mod")), "closed in order") })
}

func TestSupervisor_FailedReplacementKeepsTheOld(t *testing.T) {
	h := newHost(t, nil)
	first := h.untilState(Ready).PID
	h.Apply([]Spec{h.spec(args("config"))})
	h.until("a reason", func() bool { return strings.Contains(h.status().Reason, "unsupported argument") })
	if s := h.status(); s.State != Ready || s.PID != first {
		t.Errorf("status = %+v", s)
	}
	if a := h.do("GET", "/x"); a.status != 200 {
		t.Errorf("GET = %+v", a)
	}
}

func TestSupervisor_DisableAndEnable(t *testing.T) {
	h := newHost(t, nil)
	pid := h.untilState(Ready).PID
	waiter, worker := h.begin("POST", "/wait"), h.begin("POST", "/finish")
	h.inflight(2)
	h.Apply([]Spec{h.spec(func(s *Spec) { s.Enabled = false })})
	if a := h.receive(waiter); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("waiter = %+v", a)
	}
	if a := h.receive(worker); a.status != 200 {
		t.Errorf("in flight = %+v", a)
	}
	h.untilState(Disabled)
	if alive(pid) {
		t.Errorf("process %d is left", pid)
	}
	if a := h.do("GET", "/x"); a.status != 404 || !strings.Contains(a.body, `"errorCode":708`) {
		t.Errorf("GET = %+v", a)
	}
	h.Apply([]Spec{h.spec(nil)})
	if a := h.insist("GET", "/x"); a.status != 200 {
		t.Errorf("GET after enabling = %+v", a)
	}
}

func TestSupervisor_DrainHasADeadline(t *testing.T) {
	h := newHost(t, func(s *Spec) { s.DrainTimeout = 100 * time.Millisecond })
	h.untilState(Ready)
	stuck := h.begin("POST", "/stuck")
	h.inflight(1)
	h.Drain()
	if a := h.receive(stuck); a.status != 502 {
		t.Errorf("stuck = %+v", a)
	}
	if a := h.do("GET", "/x"); a.status != 503 || !strings.Contains(a.body, `"errorCode":703`) {
		t.Errorf("GET at the end = %+v", a)
	}
}

// freeze stops a process and waits until it has stopped.
func freeze(h *host, pid int) {
	h.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		h.t.Fatal(err)
	}
	name := fmt.Sprintf("/proc/%d/stat", pid)
	if _, err := os.Stat(name); err != nil {
		return // another system, which takes its time
	}
	h.until("stopped", func() bool {
		text, _ := os.ReadFile(name)
		_, rest, _ := strings.Cut(string(text), ") ")
		return strings.HasPrefix(rest, "T")
	})
}

// A process that hangs when it is to end does not keep those who wait in it.
func TestSupervisor_FrozenProcessIsNotWaitedFor(t *testing.T) {
	h := newHost(t, func(s *Spec) { s.DrainTimeout = time.Hour })
	pid := h.untilState(Ready).PID
	waiter := h.begin("POST", "/wait")
	h.inflight(1)
	h.until("it waits", func() bool { return h.do("GET", "/waiting").body == "1" })
	freeze(h, pid)
	h.Drain()
	if a := h.receive(waiter); a.status != 503 || !strings.Contains(a.body, `"errorCode":703`) || strings.Contains(a.body, "leaving the line") {
		t.Errorf("waiter = %+v", a)
	}
	h.until("gone", func() bool { return !alive(pid) })
}

func TestSupervisor_CloseKillsWhenItsTimeIsUp(t *testing.T) {
	h := newHost(t, func(s *Spec) { s.DrainTimeout = time.Hour })
	pid := h.untilState(Ready).PID
	stuck := h.begin("POST", "/stuck")
	h.inflight(1)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	h.closed = true
	if err := h.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close = %v, want %v", err, context.DeadlineExceeded)
	}
	if alive(pid) {
		t.Errorf("process %d is left", pid)
	}
	h.receive(stuck)
}

func TestSupervisor_FrozenProcessIsReplaced(t *testing.T) {
	h := newHost(t, nil)
	pid := h.untilState(Ready).PID
	freeze(h, pid)
	// As a request does that found it broken; else it takes missedMost pings.
	h.module("mod").now.Load().process.distrust()
	h.until("replaced", func() bool {
		s := h.status()
		return s.State == Ready && s.PID != pid
	})
	if !strings.Contains(h.log.String(), "did not answer a ping") {
		t.Errorf("no reason in the log")
	}
}

// running returns the processes of a group that are more than an entry which
// nobody has asked for yet.
func running(t *testing.T, group int) []string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range stats {
		text, _ := os.ReadFile(name) // it may have ended since
		_, rest, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(rest); len(f) > 2 && f[0] != "Z" && f[2] == strconv.Itoa(group) {
			found = append(found, string(text))
		}
	}
	return found
}

func TestSupervisor_WhatAPluginStartedGoesWithIt(t *testing.T) {
	h := newHost(t, args("child"))
	pid := h.untilState(Ready).PID
	if _, err := os.Stat("/proc/self/stat"); err == nil && len(running(t, pid)) != 2 {
		t.Errorf("in process group %d: %v, want the plugin and its child", pid, running(t, pid))
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	h.until("replaced", func() bool { s := h.status(); return s.State == Ready && s.PID != pid })
	if len(running(t, pid)) != 0 {
		t.Errorf("left of process group %d: %v", pid, running(t, pid))
	}
}

func TestSupervisor_StopsInTheMiddleOfAStart(t *testing.T) {
	h := newHost(t, args("silent"))
	h.until("a process", func() bool {
		dirs, _ := os.ReadDir(h.runDir)
		return len(dirs) == 1
	})
	asked := time.Now()
	h.Apply([]Spec{h.spec(func(s *Spec) { s.Enabled = false })})
	h.untilState(Disabled)
	if took := time.Since(asked); took > startTimeout/2 {
		t.Errorf("disabled after %v", took)
	}
}

func TestSupervisor_UnknownModule(t *testing.T) {
	s := New(Options{Logger: hclog.NewNullLogger()})
	w := httptest.NewRecorder()
	withArrival("/mod/nobody", s.Handler("nobody")).ServeHTTP(w, httptest.NewRequest("GET", "/mod/nobody", nil))
	if w.Code != 404 || !strings.Contains(w.Body.String(), `"errorCode":708`) {
		t.Errorf("GET = %d %s", w.Code, w.Body)
	}
	if got := s.Modules(); got == nil || len(got) != 0 {
		t.Errorf("Modules() = %v", got)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
}
