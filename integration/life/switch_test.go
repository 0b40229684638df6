package life

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A module is switched off and on again and again, with clients of its own. Its
// neighbour's clients notice nothing.
func TestLife_SwitchedBesideLoad(t *testing.T) {
	t.Parallel()
	h := start(t, plain.programs(t), lock.block(), neighbour.block())
	stock := takeStock(t, h)
	beside := h.Module(neighbour.name).PID
	waiting := neighbour.queue(t, h, "line", 16)
	calm, refused := neighbour.begin(t, h, 48), lock.begin(t, h, 12)
	rounds := inLongRun(10, 50)
	for n := range rounds {
		h.Disable(lock.name)
		if m := h.Module(lock.name); m.State != "disabled" || m.PID != 0 {
			t.Fatalf("disabled for the %d. time: %+v", n+1, m)
		}
		h.Enable(lock.name)
		if m := h.Module(lock.name); m.State != "ready" || m.PID == 0 {
			t.Fatalf("enabled for the %d. time: %+v", n+1, m)
		}
		waiting.kept()
	}
	for _, f := range refused.end() {
		if why := f.reply.Code(); f.err != nil || why != moduleDisabled && !(why == draining && saysWhen(f.reply)) && !f.heldInVain() {
			t.Errorf("lock: %v", f)
		}
	}
	calm.unhurt()
	waiting.served()
	if m := h.Module(neighbour.name); m.PID != beside || m.Restarts != 0 {
		t.Errorf("the neighbour is %+v, want it in process %d as before", m, beside)
	}
	stock.nothingLeft()
	stock.nothingAfter()
}

// saysWhen reports whether an answer says when to try again.
func saysWhen(r drive.Reply) bool {
	return r.Status == http.StatusServiceUnavailable && r.Header.Get("Retry-After") != ""
}

// Five hundred clients wait when the module is switched off: within a second all
// are told why, and none has left anything in etcd.
func TestLife_DisabledWithWaiters(t *testing.T) {
	t.Parallel()
	h := start(t, plain.programs(t), lock.block())
	l := h.Lock(t, "crowded")
	index := l.Take()
	const waiters = 500
	var calls []*drive.Call
	for i := range waiters {
		var parameters []any
		if i%2 == 0 {
			parameters = []any{"value", fmt.Sprint("shared by two", i/4)}
		}
		calls = append(calls, l.Post(parameters...))
	}
	places := 1 + waiters/2 + waiters/4
	l.AwaitLine(places)
	drive.Eventually(t, func() error { // the second ones of each pair, too
		if n := drive.Metric(t, h.URL, `modhost_queue_requests_waiting{module="lock"}`); n != waiters {
			return fmt.Errorf("%v requests wait, want %d", n, waiters)
		}
		return nil
	})

	began := time.Now()
	var disabled sync.WaitGroup
	disabled.Go(func() { h.Disable(lock.name) })
	if err := drive.Within(drive.Soon(), func() error {
		for _, c := range calls {
			if !c.Over() {
				return fmt.Errorf("%v waits", c)
			}
		}
		if line := l.Line(); len(line) != 1 || line[0].Index != index {
			return fmt.Errorf("%d entries in the line, want the holder's only", len(line))
		}
		return nil
	}); err != nil {
		t.Errorf("%v after the module was disabled: %v", time.Since(began), err)
	}
	t.Logf("%d clients answered and %d places gone after %v", waiters, places-1, time.Since(began).Round(time.Millisecond))
	for _, c := range calls {
		if r := c.Answer(); r.Code() != draining || !saysWhen(r) || !strings.Contains(r.Body, `module \"lock\" was disabled`) {
			t.Errorf("%v = %v, want 503 that says why", c, r)
		}
	}
	disabled.Wait()
	l.Refused(http.StatusNotFound, moduleDisabled, http.MethodPost, "ttl", 60)

	h.Enable(lock.name)
	l.WantHeld(index, "", 0)
}
