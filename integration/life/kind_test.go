package life

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A kind is a module that gives something to one client at a time, with the
// words of its API.
type kind struct {
	name    string // of the module
	command string
	take    string // the method that asks for it
	owner   string // the parameter that says for whom
	unnamed bool   // that may be left out
}

// What happens in these tests happens to the lock. Its neighbour shall notice
// nothing of it.
var (
	lock      = kind{name: "lock", command: "modhost-lock", take: http.MethodPost, owner: "value", unnamed: true}
	neighbour = kind{name: "leader", command: "modhost-leader", take: http.MethodPut, owner: "name"}
)

// block is the module's block in a config, with args for its program.
func (k kind) block(args ...string) string {
	return fmt.Sprintf(`
module %q {
  command = %q
  args    = [%s]
  mounts  = ["/mod/%s", "/mod/v2/%s"]
  restart {
    max = 0 # killed as often as the tests like
  }
}
`, k.name, k.command, strings.Join(quoted(args), ", "), k.name, k.name)
}

func quoted(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, strconv.Quote(s))
	}
	return out
}

// path is where a lock of the module is on its host.
func (k kind) path(name string) string { return "/mod/" + k.name + "/" + name }

// config is the text of a config for a host on that etcd.
func config(etcd string, blocks ...string) string {
	return fmt.Sprintf("listen = \"127.0.0.1:0\"\nlog_format = \"json\"\netcd {\n  endpoints = [%q]\n}\n", etcd) + strings.Join(blocks, "")
}

// start starts a host, with an etcd beside it so that what the host has is not
// etcd's.
func start(t testing.TB, p drive.Programs, blocks ...string) *drive.Host {
	t.Helper()
	return p.Start(t, config(p.StartCluster(t, 1).Members[0].URL, blocks...))
}

// A line is clients that wait for one lock, whose places are known.
type line struct {
	t     testing.TB
	kind  kind
	host  *drive.Host
	lock  *drive.Lock
	name  string
	seats []seat // the holder first
}

type seat struct {
	owner string      // "" if it has no name
	index uint64      // of its entry
	call  *drive.Call // nil for the holder
}

// queue makes a line of n clients behind a holder.
func (k kind) queue(t testing.TB, h *drive.Host, name string, n int) *line {
	t.Helper()
	l := &line{t: t, kind: k, host: h, name: name, lock: drive.LockAt(t, h.URL+k.path(name))}
	for i := range n + 1 {
		s := seat{owner: fmt.Sprint("waiter", i)}
		if k.unnamed && i%2 == 1 {
			s.owner = ""
		}
		parameters := []any{"ttl", 600}
		if s.owner != "" {
			parameters = append(parameters, k.owner, s.owner)
		}
		call := l.lock.Begin(k.take, parameters...)
		if i > 0 {
			s.call = call
		}
		drive.Eventually(t, func() error {
			entries, err := l.entries()
			if err == nil && len(entries) != i+1 {
				err = fmt.Errorf("%d entries, want %d", len(entries), i+1)
			}
			if err == nil {
				s.index = entries[i].Index
			}
			return err
		})
		l.seats = append(l.seats, s)
	}
	return l
}

// entries are what etcd has of the line.
func (l *line) entries() ([]drive.Entry, error) {
	return drive.LineOf(l.host.Etcd, l.kind.name, l.name)
}

// kept checks that nobody has been answered, and that all places are there.
func (l *line) kept() {
	l.t.Helper()
	entries, err := l.entries()
	if err != nil {
		l.t.Fatal(err)
	}
	for i, s := range l.seats {
		if s.call != nil {
			s.call.StillWaits()
		}
		if i >= len(entries) || entries[i].Index != s.index {
			l.t.Fatalf("%s: place %d of %d is not that of index %d any more: %+v", l.kind.name, i, len(l.seats), s.index, entries)
		}
	}
}

// served releases one after the other: each client must be the next in its
// turn, with the index that it has had from the beginning.
func (l *line) served() {
	l.t.Helper()
	for i, s := range l.seats {
		if s.call != nil {
			if r := s.call.Answer(); r.Status != http.StatusOK || r.Body != fmt.Sprint(s.index) {
				l.t.Fatalf("%s: client %d in the line = %v, want index %d", l.kind.name, i, r, s.index)
			}
		}
		for _, behind := range l.seats[i+1:] {
			behind.call.StillWaits()
		}
		if s.owner != "" {
			l.lock.Must(http.MethodDelete, l.kind.owner, s.owner)
		} else {
			l.lock.Must(http.MethodDelete, "index", s.index)
		}
	}
}
