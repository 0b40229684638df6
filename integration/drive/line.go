package drive

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// LineKey is the directory of the line of a lock, if the config says nothing
// else. name is of letters, digits and hyphens, which the module writes as they
// are.
func LineKey(name string) string { return lineKey("lock", name) }

func lineKey(module, name string) string { return "/_mod/" + module + "/q/" + name }

// An Entry is one place in the line of a lock, as etcd has it.
type Entry struct {
	Key        string
	Index      uint64 // of its creation
	Modified   uint64
	Expiration string // as etcd writes it, "" = never
	State      string // held or waiting
	Value      string
	Sessions   []string // of the processes that wait on it, or waited
	Asked      int64    // when it was made, Unix milliseconds
	Since      int64    // of the grant, likewise; 0 before
}

// Line asks etcd itself for the line of a lock, the oldest entry first; none
// for a lock that nobody uses. name is as for [LineKey]; "" stands for the
// lines of all locks.
func Line(etcd, name string) ([]Entry, error) { return LineOf(etcd, "lock", name) }

// LineOf is [Line] for any module that has a queue.
func LineOf(etcd, module, name string) ([]Entry, error) {
	type node struct {
		Key, Value, Expiration      string
		CreatedIndex, ModifiedIndex uint64
		Dir                         bool
		Nodes                       []json.RawMessage // each a node
	}
	resp, err := http.Get(etcd + "/v2/keys" + lineKey(module, name) + "?recursive=true")
	if err != nil {
		return nil, err
	}
	r, err := read(resp)
	if err != nil || r.Status == http.StatusNotFound {
		return nil, err
	}
	var answer struct{ Node json.RawMessage }
	if err := json.Unmarshal([]byte(r.Body), &answer); err != nil || r.Status != http.StatusOK {
		return nil, fmt.Errorf("etcd: line of %q = %v, %v", name, r, err)
	}
	var line []Entry
	for todo := []json.RawMessage{answer.Node}; len(todo) > 0; todo = todo[1:] {
		var n node
		if err := json.Unmarshal(todo[0], &n); err != nil {
			return nil, err
		}
		if n.Dir {
			todo = append(todo, n.Nodes...)
			continue
		}
		e := Entry{Key: n.Key, Index: n.CreatedIndex, Modified: n.ModifiedIndex, Expiration: n.Expiration}
		if err := json.Unmarshal([]byte(n.Value), &e); err != nil {
			return nil, fmt.Errorf("%s: %w", n.Key, err)
		}
		line = append(line, e)
	}
	slices.SortFunc(line, func(a, b Entry) int { return cmp.Compare(a.Index, b.Index) })
	return line, nil
}

// Line returns the lock's line, from the etcd of the host that has made it.
func (l *Lock) Line() []Entry {
	l.t.Helper()
	line, err := LineOf(l.etcd, l.module, l.name)
	if err != nil {
		l.t.Fatal(err)
	}
	return line
}

// AwaitLine waits until there are n entries in the line, and returns them.
func (l *Lock) AwaitLine(n int) (line []Entry) {
	l.t.Helper()
	Eventually(l.t, func() (err error) {
		if line, err = LineOf(l.etcd, l.module, l.name); err == nil && len(line) != n {
			err = fmt.Errorf("entries of %s = %+v, want %d", l.name, line, n)
		}
		return err
	})
	return line
}
