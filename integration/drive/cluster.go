package drive

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Cluster is a number of etcd servers, each a process of its own, with the
// v2 API. What its members say to each other goes through links that can be
// cut.
type Cluster struct {
	Members []*Member
	t       testing.TB
}

// A Member is one etcd server.
type Member struct {
	Name string
	URL  string // of its client API
	ID   string // in hex, as etcd prints it

	t      testing.TB
	binary string
	dir    string
	config string
	peers  *Link // what the other members send to this one
	cmd    *exec.Cmd
	done   chan struct{} // closed when the process has ended
}

// StartCluster starts n members and waits until each answers. They are killed
// at the end of the test.
func (p Programs) StartCluster(t testing.TB, n int) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	var initial []string
	peerURLs := make([]string, n)
	for i := range n {
		m := &Member{Name: fmt.Sprintf("m%d", i), t: t, binary: filepath.Join(p.Dir, memberProgram), dir: t.TempDir()}
		m.URL = "http://" + FreeAddress(t)
		peer := FreeAddress(t)
		m.peers = newLink(t, peer, raftSource)
		peerURLs[i] = "http://" + peer
		initial = append(initial, m.Name+"="+m.peers.URL)
		c.Members = append(c.Members, m)
	}
	for i, m := range c.Members {
		m.configure(map[string]any{
			"listen-client-urls":          m.URL,
			"advertise-client-urls":       m.URL,
			"listen-peer-urls":            peerURLs[i],
			"initial-advertise-peer-urls": m.peers.URL,
			"initial-cluster":             strings.Join(initial, ","),
		})
		m.begin()
	}
	t.Cleanup(func() {
		for _, m := range c.Members {
			m.end()
		}
	})
	for _, m := range c.Members {
		m.AwaitReady()
	}
	c.name()
	return c
}

// configure writes the member's config file: settings, and what is the same for
// all members.
func (m *Member) configure(settings map[string]any) {
	m.t.Helper()
	maps.Copy(settings, map[string]any{
		"name":                  m.Name,
		"data-dir":              filepath.Join(m.dir, "data"),
		"enable-v2":             true,
		"unsafe-no-fsync":       true, // nobody pulls the plug of the machine
		"initial-cluster-state": "new",
		"snapshot-count":        10000,
		"log-level":             "warn",
		"log-outputs":           []string{filepath.Join(m.dir, "etcd.log")},
		"logger":                "zap",
	})
	text, err := json.Marshal(settings) // JSON is YAML, too
	if err != nil {
		m.t.Fatal(err)
	}
	m.config = filepath.Join(m.dir, "etcd.json")
	if err := os.WriteFile(m.config, text, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// Endpoints are the client URLs of all members.
func (c *Cluster) Endpoints() []string {
	var urls []string
	for _, m := range c.Members {
		urls = append(urls, m.URL)
	}
	return urls
}

// name finds out the ids of the members.
func (c *Cluster) name() {
	c.t.Helper()
	var list struct{ Members []struct{ ID, Name string } }
	Eventually(c.t, func() error {
		if err := getJSON(c.Members[0].URL+"/v2/members", &list); err != nil {
			return err
		}
		for _, m := range list.Members {
			if m.Name == "" {
				return fmt.Errorf("a member has no name yet: %v", list)
			}
		}
		return nil
	})
	for _, m := range c.Members {
		for _, l := range list.Members {
			if l.Name == m.Name {
				m.ID = l.ID
			}
		}
	}
}

// Leader returns the member that leads, as the others see it.
func (c *Cluster) Leader() *Member {
	c.t.Helper()
	var leads *Member
	Eventually(c.t, func() error {
		for _, asked := range c.Members {
			var self struct {
				ID         string
				LeaderInfo struct{ Leader string }
				State      string
			}
			if err := getJSON(asked.URL+"/v2/stats/self", &self); err != nil || self.State != "StateLeader" {
				continue
			}
			leads = asked
			return nil
		}
		return fmt.Errorf("nobody leads")
	})
	return leads
}

// Isolate cuts m off from the other members, in both directions. Clients still
// reach it.
func (c *Cluster) Isolate(m *Member) {
	for _, other := range c.Members {
		if other == m {
			m.peers.Set(Trouble{Cut: true})
			continue
		}
		other.peers.cutFrom(m.ID)
	}
}

// Heal undoes Isolate for all.
func (c *Cluster) Heal() {
	for _, m := range c.Members {
		m.peers.Set(Trouble{})
		m.peers.cutFrom("")
	}
}

func (m *Member) begin() {
	m.t.Helper()
	m.cmd = exec.Command(m.binary, m.config)
	logs, err := os.OpenFile(filepath.Join(m.dir, "output"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		m.t.Fatal(err)
	}
	m.cmd.Stdout, m.cmd.Stderr = logs, logs
	// None is left behind by tests that are killed, or over time: a member ends
	// with its input, and one that is stopped is hung up by the kernel if it is
	// in a process group of its own.
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if _, err := m.cmd.StdinPipe(); err != nil {
		m.t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	logs.Close() //nolint:errcheck // the process has its own
	done := make(chan struct{})
	m.done = done
	go func() {
		defer close(done)
		m.cmd.Wait() //nolint:errcheck // it is killed in the end
	}()
}

// AwaitReady waits until the member answers a quorum read, or a plain one
// while others are down.
func (m *Member) AwaitReady() {
	m.t.Helper()
	Eventually(m.t, func() error {
		resp, err := (&http.Client{Timeout: 2 * time.Second}).Get(m.URL + "/v2/keys/?quorum=true")
		if err != nil {
			return err
		}
		defer resp.Body.Close() //nolint:errcheck // not read
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("etcd member %s: %s", m.Name, resp.Status)
		}
		return nil
	})
}

// PID is the member's process id.
func (m *Member) PID() int { return m.cmd.Process.Pid }

// Kill ends the member with SIGKILL and waits for its end.
func (m *Member) Kill() {
	m.cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-m.done
}

// end kills the member at the end of the test, and shows its log with one that
// failed.
func (m *Member) end() {
	m.Kill()
	if m.t.Failed() {
		text, _ := os.ReadFile(filepath.Join(m.dir, "etcd.log")) //nolint:errcheck // then there is none
		m.t.Logf("log of etcd member %s (%s):\n%.20000s", m.Name, m.ID, text)
	}
}

// Restart starts a member that was killed, on its data.
func (m *Member) Restart() { m.begin() }

// Signal sends a signal to a process that must be there. SIGSTOP takes effect
// when the thread that gets it runs, which may be later on a busy machine; until
// then the others go on, so Signal waits until all have stopped.
func Signal(t testing.TB, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Errorf("signal %v to process %d: %v", sig, pid, err)
		return
	}
	if sig != syscall.SIGSTOP || pid < 0 {
		return
	}
	Eventually(t, func() error {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if _, rest, _ := strings.Cut(string(stat), ") "); err != nil || !strings.HasPrefix(rest, "T") {
			return fmt.Errorf("process %d has not stopped: %.40s, %v", pid, stat, err)
		}
		return nil
	})
}

// FreeAddress returns an address of this machine with a port that is free at
// this moment.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing was done with it
	return l.Addr().String()
}

func getJSON(address string, into any) error {
	resp, err := (&http.Client{Timeout: 2 * time.Second}).Get(address)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	return json.NewDecoder(resp.Body).Decode(into)
}
