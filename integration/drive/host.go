package drive

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long to wait for what must happen soon, on a slow machine
// that does other things as well.
const Patience = 60 * time.Second

// A Host is a running modhost.
type Host struct {
	URL  string // http://127.0.0.1:port
	Etcd string // of its etcd, http://127.0.0.1:port
	Dir  string // its working directory

	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	err  error         // of its end

	mu    sync.Mutex
	lines []string // of its log
	woken *sync.Cond
}

// Embedded is a config for one host with an embedded etcd, on free ports.
const Embedded = `
listen     = "127.0.0.1:0"
log_format = "json"
etcd {
  embedded {
    listen = "127.0.0.1:0"
  }
}
module "lock" {
  mounts = ["/mod/lock", "/mod/v2/lock"]
}
`

// Joined is a config for a host on an etcd that runs elsewhere.
func Joined(endpoints ...string) string {
	list, err := json.Marshal(endpoints)
	if err != nil {
		panic(err)
	}
	return strings.Replace(Embedded, `  embedded {
    listen = "127.0.0.1:0"
  }`, fmt.Sprintf("  endpoints = %s", list), 1)
}

// Start runs a host with the text of a config and waits until it is ready. It
// is stopped at the end of the test, which must leave no process behind.
func (p Programs) Start(t testing.TB, config string) *Host {
	t.Helper()
	h := p.Launch(t, config)
	h.AwaitReady()
	return h
}

// Launch is Start without waiting until it is ready.
func (p Programs) Launch(t testing.TB, config string) *Host {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "modhost.hcl")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &Host{t: t, Dir: dir, done: make(chan struct{})}
	h.woken = sync.NewCond(&h.mu)
	h.cmd = exec.Command(filepath.Join(p.Dir, "modhost"), "serve", "--config", file)
	h.cmd.Dir = dir
	h.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1 exitcode=66")
	logs, err := h.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go h.read(logs)
	t.Cleanup(func() {
		h.Stop()
		if t.Failed() {
			t.Logf("log of the host in %s:\n%s", dir, strings.Join(h.Log(), "\n"))
		}
	})
	h.await("listening")
	return h
}

// read keeps the log, and sees the end of the process.
func (h *Host) read(logs io.Reader) {
	scanner := bufio.NewScanner(logs)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var line struct {
			Message string   `json:"@message"`
			Address string   `json:"address"`
			Etcd    []string `json:"etcd"`
		}
		h.mu.Lock()
		h.lines = append(h.lines, scanner.Text())
		if json.Unmarshal(scanner.Bytes(), &line) == nil && line.Message == "listening" && len(line.Etcd) > 0 {
			h.URL, h.Etcd = "http://"+line.Address, line.Etcd[0]
		}
		h.woken.Broadcast()
		h.mu.Unlock()
	}
	err := h.cmd.Wait()
	h.mu.Lock()
	h.err = err
	close(h.done)
	h.woken.Broadcast()
	h.mu.Unlock()
}

// await waits for a log message.
func (h *Host) await(message string) {
	h.t.Helper()
	timer := time.AfterFunc(Patience, func() { h.mu.Lock(); h.woken.Broadcast(); h.mu.Unlock() })
	defer timer.Stop()
	deadline := time.Now().Add(Patience)
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		for _, line := range h.lines {
			if strings.Contains(line, `"@message":"`+message+`"`) {
				return
			}
		}
		select {
		case <-h.done:
			h.t.Fatalf("host ended (%v) before it said %q:\n%s", h.err, message, strings.Join(h.lines, "\n"))
		default:
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("host did not say %q:\n%s", message, strings.Join(h.lines, "\n"))
		}
		h.woken.Wait()
	}
}

// AwaitReady waits until the host says that it is ready.
func (h *Host) AwaitReady() {
	h.t.Helper()
	Eventually(h.t, func() error {
		resp, err := http.Get(h.URL + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close() //nolint:errcheck // read to the end
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", resp.Status, body)
		}
		return err
	})
}

// Log returns the lines of the host's log so far.
func (h *Host) Log() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.lines...)
}

// PID is the host's process id.
func (h *Host) PID() int { return h.cmd.Process.Pid }

// A Module is what GET /mod/ says of one.
type Module struct {
	Name, State, Reason string
	PID, Restarts       int
}

// Modules returns the host's listing.
func (h *Host) Modules() []Module {
	h.t.Helper()
	resp, err := http.Get(h.URL + "/mod/")
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	var modules []Module
	if err := json.NewDecoder(resp.Body).Decode(&modules); err != nil {
		h.t.Fatal(err)
	}
	return modules
}

// Module returns what the listing says of one module.
func (h *Host) Module(name string) Module {
	h.t.Helper()
	for _, m := range h.Modules() {
		if m.Name == name {
			return m
		}
	}
	h.t.Fatalf("no module %q", name)
	return Module{}
}

// Stop ends the host in an orderly way, and reports if it was not.
func (h *Host) Stop() {
	h.t.Helper()
	select {
	case <-h.done:
		return
	default:
	}
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		h.t.Errorf("SIGTERM: %v", err)
	}
	select {
	case <-h.done:
	case <-time.After(Patience):
		h.Kill()
		h.t.Error("host did not end after SIGTERM and was killed")
		return
	}
	if h.err != nil {
		h.t.Errorf("host ended with %v:\n%s", h.err, strings.Join(h.Log(), "\n"))
	}
}

// Kill ends the host with SIGKILL and waits for its end.
func (h *Host) Kill() {
	h.cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-h.done
}

// Eventually tries until what it tries succeeds, or fails the test with the
// last error.
func Eventually(t testing.TB, try func() error) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still after %v: %v", Patience, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Alive reports whether a process exists and is no zombie.
func Alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
