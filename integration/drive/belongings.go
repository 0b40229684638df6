package drive

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Belongings are what a host has taken from the system at one moment. What it
// has for its clients is theirs: connections that are established.
type Belongings struct {
	Processes []int    // that it has started, dead ones that it has not noticed included
	RunDirs   []string // of their sockets
	Files     int      // that are open, all kinds
	Sockets   int      // of these

	// Goroutines are those of the host, as its metrics say, but for one for each
	// connection of a client, which waits there for the next request.
	Goroutines int
}

// String has the numbers only.
func (b Belongings) String() string {
	return fmt.Sprintf("%d processes, %d run directories, %d open files, %d of them sockets, %d goroutines",
		len(b.Processes), len(b.RunDirs), b.Files, b.Sockets, b.Goroutines)
}

// Belongings looks at what the host has.
func (h *Host) Belongings() Belongings {
	h.t.Helper()
	pid := h.PID()
	b := Belongings{Processes: children(pid), RunDirs: RunDirs(h.t, pid)}
	folder := fmt.Sprintf("/proc/%d/fd", pid)
	files, err := os.ReadDir(folder)
	if err != nil {
		h.t.Fatal(err)
	}
	clients := h.clients()
	b.Goroutines = h.goroutines() - len(clients)
	for _, f := range files {
		to, err := os.Readlink(filepath.Join(folder, f.Name()))
		if err != nil || clients[to] {
			continue // closed meanwhile, or a client's
		}
		b.Files++
		if strings.HasPrefix(to, "socket:") {
			b.Sockets++
		}
	}
	return b
}

// goroutines is how many the host has; those of its modules have a label.
func (h *Host) goroutines() int {
	h.t.Helper()
	resp, err := http.Get(h.URL + "/metrics")
	if err != nil {
		h.t.Fatal(err)
	}
	r, err := read(resp)
	if err != nil {
		h.t.Fatal(err)
	}
	for line := range strings.Lines(r.Body) {
		if text, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil {
				h.t.Fatal(err)
			}
			return n
		}
	}
	h.t.Fatalf("the host's metrics have no go_goroutines: %v", r)
	return 0
}

// clients are the connections of clients, by the names that /proc has for them.
func (h *Host) clients() map[string]bool {
	h.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", h.PID()))
	if err != nil {
		h.t.Fatal(err)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(h.URL, "http://"), ":")
	n, err := strconv.Atoi(port)
	if err != nil {
		h.t.Fatal(err)
	}
	const established = "01"
	list := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if strings.HasSuffix(f[1], fmt.Sprintf(":%04X", n)) && f[3] == established {
			list["socket:["+f[9]+"]"] = true
		}
	}
	return list
}

// RunDirs are the run directories of the host with that process id, living or
// dead.
func RunDirs(t testing.TB, pid int) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), fmt.Sprintf("modhost-%d-*", pid)))
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// children are the processes that have that parent, sorted.
func children(parent int) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var list []int
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			list = append(list, pid)
		}
	}
	slices.Sort(list)
	return list
}
