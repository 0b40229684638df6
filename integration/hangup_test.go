package integration

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// pass lets a while go by, at the end of which the client leaves: for the first
// of n clients none, for the last one longer than an answer takes.
func pass(i, n int) { <-time.After(drive.Soon() / 200 * time.Duration(i) / time.Duration(n)) }

// TestLock_ClientLeavesBeforeItsGrant has clients hang up at every moment
// between the request and the answer. Their grants would last ten minutes.
func TestLock_ClientLeavesBeforeItsGrant(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded)
	const clients = 100
	answered := 0
	for i := range clients {
		l := h.Lock(t, fmt.Sprint("brief", i))
		c := l.Dial()
		pass(i, clients)
		index := c.Leave()
		if index != 0 {
			answered++
		}
		l.WantLeft(index)
	}
	t.Logf("%d of %d were answered before they left", answered, clients)
}

// TestLock_WaiterLeavesAtTheRelease has waiters hang up at about the moment at
// which their predecessors release the lock.
func TestLock_WaiterLeavesAtTheRelease(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded)
	const clients = 100
	answered := 0
	for i := range clients {
		l := h.Lock(t, fmt.Sprint("handover", i))
		holder := l.Take()
		c := l.Dial()
		l.AwaitWaiting(1)
		release := l.Begin(http.MethodDelete, "index", holder)
		pass(i, clients)
		index := c.Leave()
		if r := release.Answer(); r.Status != http.StatusOK {
			t.Fatalf("release: %v", r)
		}
		if index != 0 {
			answered++
		}
		l.WantLeft(index)
	}
	t.Logf("%d of %d were answered before they left", answered, clients)
}
