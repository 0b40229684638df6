package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// runLong, set to 1, makes tests run as often, and with as many clients, as
// the documentation says they were: see make faults.
const runLong = "MODHOST_TEST_LONG"

// often is a number of rounds or clients: few in every run of the tests.
func often(few, many int) int {
	if os.Getenv(runLong) != "" {
		return many
	}
	return few
}

// An asker is a request for a lock that may wait.
type asker struct {
	t      testing.TB
	hangUp context.CancelFunc
	answer chan drive.Reply // of one; Status 0 if there was none, with the error as the body
}

// ask sends a POST and goes on.
func ask(t testing.TB, c *http.Client, address string, parameters ...string) *asker {
	ctx, cancel := context.WithCancel(t.Context())
	a := &asker{t: t, hangUp: cancel, answer: make(chan drive.Reply, 1)}
	go func() {
		r, err := drive.Send(ctx, c, http.MethodPost, address, parameters...)
		if err != nil {
			r = drive.Reply{Body: err.Error()}
		}
		a.answer <- r
	}()
	t.Cleanup(cancel)
	return a
}

// granted waits for the grant.
func (a *asker) granted() drive.Reply {
	a.t.Helper()
	select {
	case r := <-a.answer:
		r.Token(a.t)
		return r
	case <-time.After(drive.Patience):
		a.t.Fatalf("no grant after %v", drive.Patience)
		panic("not reached")
	}
}

// waits checks that it was not answered.
func (a *asker) waits() {
	a.t.Helper()
	select {
	case r := <-a.answer:
		a.t.Fatalf("a waiting request was answered: %v", r)
	default:
	}
}

// A spot is an entry as etcd has it.
type spot struct {
	Index    uint64
	State    string
	Value    string
	Sessions []string
}

// lineOf reads a lock's line, the oldest entry first, from etcd itself. name is
// of letters and digits.
func lineOf(etcd, name string) ([]spot, error) {
	var dir struct {
		Node struct {
			Nodes []struct {
				Value        string
				CreatedIndex uint64
			}
		}
	}
	if err := getJSON(etcd+"/v2/keys/_mod/lock/q/"+name+"?recursive=true", &dir); err != nil {
		return nil, err
	}
	var line []spot
	for _, n := range dir.Node.Nodes {
		s := spot{Index: n.CreatedIndex}
		if err := json.Unmarshal([]byte(n.Value), &s); err != nil {
			return nil, err
		}
		line = append(line, s)
	}
	for i := range line { // etcd's order is that of the names
		for j := i + 1; j < len(line); j++ {
			if line[j].Index < line[i].Index {
				line[i], line[j] = line[j], line[i]
			}
		}
	}
	return line, nil
}

func mustLine(t testing.TB, etcd, name string) []spot {
	t.Helper()
	line, err := lineOf(etcd, name)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func getJSON(address string, into any) error {
	resp, err := (&http.Client{Timeout: 5 * time.Second}).Get(address)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	return json.NewDecoder(resp.Body).Decode(into)
}

// release deletes by index, and wants that to succeed.
func release(t testing.TB, c *http.Client, address, index string) {
	t.Helper()
	if r := drive.Must(t, c, http.MethodDelete, address, "index", index); r.Status != http.StatusOK {
		t.Fatalf("DELETE index=%s = %v", index, r)
	}
}

// gone waits until a process has ended.
func gone(t testing.TB, pid int, limit time.Duration) {
	t.Helper()
	if err := drive.Within(limit, func() error {
		if drive.Alive(pid) {
			return fmt.Errorf("process %d is alive", pid)
		}
		return nil
	}); err != nil {
		t.Errorf("after %v: %v", limit, err)
	}
}

// address of a member without http://, for links.
func hostPort(url string) string { return strings.TrimPrefix(url, "http://") }
