package integration

import (
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// TestLock_WaiterSurvivesUnrelatedWrites lets somebody wait while etcd takes
// five times as many other writes as its v2 API remembers for watchers.
func TestLock_WaiterSurvivesUnrelatedWrites(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded)
	l := h.Lock(t, "patient")
	holder := l.Take()
	waiter := l.Queue(1)

	before := entriesOf(t, h.Etcd)
	drive.WriteElsewhere(t, h.Etcd, 5000)
	if n := entriesOf(t, h.Etcd) - before; n < 5000 {
		t.Fatalf("etcd has taken %d writes, want 5000", n)
	}
	waiter.StillWaits()
	if s := l.State(); s.Waiting != 1 {
		t.Fatalf("%d are waiting, want 1", s.Waiting)
	}

	released := time.Now()
	l.Release(holder)
	index := waiter.Granted()
	if took := waiter.Answered.Sub(released); took > 2*drive.Soon() {
		t.Errorf("the grant took %v, want about a second at most", took)
	}
	if index <= holder {
		t.Errorf("index %d after %d, want a larger one", index, holder)
	}
}

func entriesOf(t *testing.T, etcd string) int {
	t.Helper()
	return int(drive.Metric(t, etcd, "etcd_server_proposals_applied_total"))
}
