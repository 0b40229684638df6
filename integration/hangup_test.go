package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A leaver is a client that hangs up, but listens on to know for certain
// whether it was answered before the host has seen that: it closes its side of
// the connection only. A client that closes all can't tell an answer that came
// at the last moment from none.
type leaver struct {
	t    *testing.T
	conn *net.TCPConn
}

func ask(t *testing.T, h *drive.Host, path string) *leaver {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() }) //nolint:errcheck // it may be closed
	if _, err := fmt.Fprintf(conn, "POST %s?ttl=600 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	return &leaver{t, conn.(*net.TCPConn)}
}

// leave hangs up and returns the grant that has come all the same, else "".
func (l *leaver) leave() string {
	l.t.Helper()
	defer l.conn.Close() //nolint:errcheck // all has been read
	if err := l.conn.CloseWrite(); err != nil {
		l.t.Fatal(err)
	}
	if err := l.conn.SetReadDeadline(time.Now().Add(drive.Patience)); err != nil {
		l.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(l.conn), nil)
	if err != nil {
		return ""
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "" // cut off: no answer
	}
	if resp.StatusCode != http.StatusOK {
		l.t.Fatalf("%s: %s", resp.Status, body)
	}
	return string(body)
}

// pass lets a while go by, at the end of which the client leaves: for the first
// of n clients none, for the last one longer than an answer takes.
func pass(i, n int) { <-time.After(drive.Soon() / 200 * time.Duration(i) / time.Duration(n)) }

// wantHeldBy checks that a lock is held by who was answered with its index,
// or is free soon if nobody was.
func wantHeldBy(t *testing.T, c *http.Client, address, index string) {
	t.Helper()
	err := drive.Within(2*drive.Soon(), func() error {
		s := drive.StateOf(t, c, address)
		switch {
		case s.Waiting != 0, index == "" && s.State != "free", index != "" && fmt.Sprint(s.Index) != index:
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	if err != nil {
		t.Errorf("%s: the client that left was answered %q, but the lock is %v", address, index, err)
	}
}

// TestLock_ClientLeavesBeforeItsGrant has clients hang up at every moment
// between the request and the answer. Their grants would last ten minutes.
func TestLock_ClientLeavesBeforeItsGrant(t *testing.T) {
	h := programs(t).Start(t, drive.Embedded)
	c := drive.NewHTTPClient(t)
	const clients = 100
	answered := 0
	for i := range clients {
		path := fmt.Sprintf("/mod/v2/lock/brief%d", i)
		l := ask(t, h, path)
		pass(i, clients)
		index := l.leave()
		if index != "" {
			answered++
		}
		wantHeldBy(t, c, h.URL+path, index)
	}
	t.Logf("%d of %d were answered before they left", answered, clients)
}

// TestLock_WaiterLeavesAtTheRelease has waiters hang up at about the moment at
// which their predecessors release the lock.
func TestLock_WaiterLeavesAtTheRelease(t *testing.T) {
	h := programs(t).Start(t, drive.Embedded)
	c := drive.NewHTTPClient(t)
	const clients = 100
	answered := 0
	for i := range clients {
		path := fmt.Sprintf("/mod/v2/lock/handover%d", i)
		holder := drive.Must(t, c, http.MethodPost, h.URL+path, "ttl", "600")
		l := ask(t, h, path)
		drive.AwaitWaiting(t, c, h.URL+path, 1)
		released := make(chan drive.Reply, 1)
		go func() {
			r, err := drive.Send(t.Context(), c, http.MethodDelete, h.URL+path, "index", holder.Body)
			if err != nil {
				r.Body = err.Error()
			}
			released <- r
		}()
		pass(i, clients)
		index := l.leave()
		if r := <-released; r.Status != http.StatusOK {
			t.Fatalf("release: %v", r)
		}
		if index != "" {
			answered++
		}
		wantHeldBy(t, c, h.URL+path, index)
	}
	t.Logf("%d of %d were answered before they left", answered, clients)
}
