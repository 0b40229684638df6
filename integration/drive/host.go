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

// A Host is a running modhost.
type Host struct {
	URL  string // http://127.0.0.1:port
	Etcd string // of its etcd, http://127.0.0.1:port
	Dir  string // its working directory

	t      testing.TB
	binary string
	config string // its file
	http   *http.Client

	mu    sync.Mutex // guards what follows
	cmd   *exec.Cmd
	done  chan struct{} // closed when the process has ended
	err   error         // of its end
	lines []string      // of its log, over all processes
	from  int           // where those of the present process begin
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

// Elections is what a config has for the leader module.
const Elections = `
module "leader" {
  mounts = ["/mod/leader", "/mod/v2/leader"]
}
`

// Dashboard is what a config has for the dashboard, with settings in its config
// block.
func Dashboard(settings string) string {
	return fmt.Sprintf(`
module "dashboard" {
  privileges = ["keys", "cluster", "modules"]
  config {
    %s
  }
}
`, settings)
}

// At gives a config an address to listen on, for a host that is to be found
// there again after a restart.
func At(config, address string) string {
	return strings.Replace(config, `listen     = "127.0.0.1:0"`, fmt.Sprintf("listen     = %q", address), 1)
}

// Patiently makes the plugin of a config start again however often it ends.
func Patiently(config string) string {
	return strings.Replace(config, `"/mod/v2/lock"]`, `"/mod/v2/lock"]
  restart {
    max = 0
  }`, 1)
}

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
	h := &Host{t: t, Dir: dir, binary: filepath.Join(p.Dir, "modhost"), config: file}
	h.woken = sync.NewCond(&h.mu)
	t.Cleanup(func() {
		h.Stop()
		if t.Failed() {
			t.Logf("log of the host in %s:\n%s", dir, strings.Join(h.Log(), "\n"))
		}
	})
	h.http = NewHTTPClient(t)
	h.begin()
	h.await("listening")
	return h
}

// begin starts a process.
func (h *Host) begin() {
	h.t.Helper()
	cmd := exec.Command(h.binary, "serve", "--config", h.config)
	cmd.Dir = h.Dir
	cmd.Env = append(os.Environ(), "GORACE="+RaceOptions)
	logs, err := cmd.StderrPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.cmd, h.done, h.err, h.from = cmd, make(chan struct{}), nil, len(h.lines)
	go h.read(cmd, logs, h.done)
}

// Restart starts a host that has ended, in its folder, and waits until it
// listens. With port 0 in its config its URL is another one now.
func (h *Host) Restart() {
	h.t.Helper()
	h.begin()
	h.await("listening")
}

// read keeps the log, and sees the end of the process.
func (h *Host) read(cmd *exec.Cmd, logs io.Reader, done chan<- struct{}) {
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
	err := cmd.Wait()
	h.mu.Lock()
	h.err = err
	close(done)
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
		for _, line := range h.lines[h.from:] {
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
func (h *Host) PID() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cmd.Process.Pid
}

// ended returns the channel that is closed at the end of the present process.
func (h *Host) ended() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.done
}

// A Module is what GET /mod/ says of one.
type Module struct {
	Name, State, Reason string
	PID, Restarts       int
	Since               time.Time // when State was entered
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

// Plugin returns the process id of the lock's plugin, 0 while there is none.
func (h *Host) Plugin() int {
	var modules []Module
	if err := getJSON(h.URL+"/mod/", &modules); err != nil {
		return 0
	}
	for _, m := range modules {
		if m.Name == "lock" {
			return m.PID
		}
	}
	return 0
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
	if h.cmd == nil { // never started
		return
	}
	done := h.ended()
	select {
	case <-done:
		return
	default:
	}
	Signal(h.t, h.PID(), syscall.SIGTERM)
	select {
	case <-done:
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
	<-h.ended()
}
