package faults

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// In the original a waiter took any event of its predecessor for its end, and
// the grant itself was such an event: one release let all in.
func d01OneRelease(t *testing.T, h *drive.Host) {
	l := lockOf(t, h, "d01")
	holder := l.take()
	b := l.wait(1, "value", "b")
	c := l.wait(2, "value", "c", "ttl", "1")
	d := l.wait(3, "value", "d")
	e := l.wait(4, "value", "e")
	l.must(http.MethodDelete, "index", holder)
	second := b.granted()
	l.inVain(1, second)
	for _, w := range []*waiting{c, d, e} {
		w.stillWaits()
	}
	l.wantHeld(second, "b", 3)
	// The same at the expiry of c.
	l.must(http.MethodDelete, "index", second)
	c.granted()
	last := d.granted()
	l.inVain(1, last)
	e.stillWaits()
	l.wantHeld(last, "d", 1)
}

// In the original the holder's renewal, which is an event too, let the next
// one in.
func d02Renewal(t *testing.T, h *drive.Host) {
	l := lockOf(t, h, "d02")
	holder := l.take("value", "a")
	next := l.wait(1, "value", "b")
	l.must(http.MethodPut, "ttl", "600", "value", "a")
	l.must(http.MethodPut, "ttl", "600", "index", holder)
	if again := l.must(http.MethodPost, "ttl", "600", "value", "a"); again != holder {
		t.Errorf("the holder's repeat = %s, want its index %s", again, holder)
	}
	l.inVain(1, holder)
	next.stillWaits()
	l.wantHeld(holder, "a", 1)
	l.must(http.MethodDelete, "value", "a")
	l.wantHeld(next.granted(), "b", 0)
}

// In the original a waiter that went away let the one behind it in, whoever
// was in front.
func d03WaiterLeaves(t *testing.T, h *drive.Host) {
	l := lockOf(t, h, "d03")
	holder := l.take("value", "a")
	deleted := l.wait(1, "value", "deleted")
	hangsUp := l.call()
	l.awaitWaiting(2)
	timesOut := l.wait(3, "value", "late", "timeout", "2")
	last := l.wait(4, "value", "z")
	// Each is directly in front of last when it leaves.
	wantError(t, "a waiter whose time is over", timesOut.answer(), http.StatusLocked, 700)
	l.awaitWaiting(3, last)
	if index := hangsUp.leave(); index != "" {
		t.Errorf("a waiter that hung up was answered %q", index)
	}
	l.awaitWaiting(2, last)
	l.must(http.MethodDelete, "value", "deleted")
	wantError(t, "a waiter that was deleted", deleted.answer(), http.StatusGone, 701)
	l.inVain(1, holder)
	last.stillWaits()
	l.wantHeld(holder, "a", 1)
	l.must(http.MethodDelete, "value", "a")
	l.wantHeld(last.granted(), "z", 0)
}

// In the original the TTL of a waiter ran while it waited. Then its place was
// gone, it was told of a lock that was free, and the one behind was let in.
func d04PlaceExpires(t *testing.T, h *drive.Host) {
	l := lockOf(t, h, "d04")
	holder := l.take("value", "a")
	brief := l.wait(1, "value", "brief", "ttl", "1")
	behind := l.wait(2, "ttl", "1")
	// Longer than etcd takes to expire a key with that TTL.
	l.inVain(3, holder)
	brief.stillWaits()
	behind.stillWaits()
	l.wantHeld(holder, "a", 2)
	l.must(http.MethodPut, "ttl", "600", "value", "brief") // for the time after its grant, so that it can be looked at
	l.must(http.MethodDelete, "value", "a")
	l.wantHeld(brief.granted(), "brief", 1)
	behind.stillWaits()
}

// In the original a waiter without a value put its TTL on the directory of the
// queue, and when it had gone the holder's lock ended with that.
func d05QueueTTL(t *testing.T, h *drive.Host) {
	l := lockOf(t, h, "d05")
	holder := l.take("value", "a")
	for _, timeout := range []string{"1", "2"} { // the second one is longer there than the TTL of the first one
		l.refused(http.StatusLocked, 700, http.MethodPost, "ttl", "1", "timeout", timeout)
	}
	l.wantHeld(holder, "a", 0)
	l.must(http.MethodPut, "ttl", "600", "index", holder)
}

// In the original the empty name was a lock as well, and its TTL was on the
// directory of all locks.
func d06EmptyName(t *testing.T, h *drive.Host) {
	l := lockOf(t, h, "d06")
	holder := l.take("value", "a")
	for _, path := range []string{"/mod/v2/lock/", "/mod/v2/lock", "/mod/lock/", "/mod/lock"} {
		nameless := &lockClient{t, l.http, h, path}
		nameless.refused(http.StatusBadRequest, 710, http.MethodPost, "ttl", "1", "timeout", "0")
		nameless.refused(http.StatusBadRequest, 710, http.MethodPut, "ttl", "1", "index", holder)
		nameless.refused(http.StatusBadRequest, 710, http.MethodDelete, "index", holder)
		nameless.refused(http.StatusBadRequest, 710, http.MethodGet)
	}
	l.inVain(2, holder) // longer than that TTL
	l.wantHeld(holder, "a", 0)
}

// In the original the first of several sessions with one value that gave up,
// in whatever way, took the place of all with it; the others were told later
// that they held the lock.
func d07SharedPlace(t *testing.T, h *drive.Host) {
	beside := programs(t).Start(t, drive.Joined(h.Etcd))
	l, other := lockOf(t, h, "d07"), lockOf(t, beside, "d07")
	holder := l.take("value", "a")
	one := l.wait(1, "value", "team")
	behind := l.wait(2, "value", "z")
	// Some in the same process, some in another one, where all give up.
	for _, l := range []*lockClient{l, other} {
		hangsUp := l.call("value", "team")
		l.refused(http.StatusLocked, 700, http.MethodPost, "ttl", "600", "value", "team", "timeout", "0")
		l.refused(http.StatusLocked, 700, http.MethodPost, "ttl", "600", "value", "team", "timeout", "1")
		if index := hangsUp.leave(); index != "" {
			t.Errorf("a session that hung up was answered %q", index)
		}
	}
	l.inVain(1, holder)
	one.stillWaits()
	behind.stillWaits()
	l.wantHeld(holder, "a", 2)
	two := other.post("value", "team")
	other.refused(http.StatusLocked, 700, http.MethodPost, "ttl", "600", "value", "team", "timeout", "0")
	l.must(http.MethodDelete, "value", "a")
	index := one.granted()
	if also := two.granted(); also != index {
		t.Errorf("the other session's index = %s, want %s", also, index)
	}
	behind.stillWaits()
	l.wantHeld(index, "team", 1)
}

// In the original an entry that was no longer in the queue counted as its
// first one: who was deleted was told 200, or the next was let in.
func d08GoneIsNotFirst(t *testing.T, h *drive.Host) {
	l := lockOf(t, h, "d08")
	holder := l.take("value", "a")
	behindTheBack := l.wait(1, "value", "b")
	known := map[string]bool{}
	line, _ := l.etcd(linesDir + "d08")
	for _, n := range line.Nodes {
		known[n.Key] = strings.Contains(n.Value, `"waiting"`)
	}
	deleted := l.wait(2, "value", "c")
	behind := l.wait(3, "value", "z")
	l.must(http.MethodDelete, "value", "c")
	wantError(t, "a waiter that was deleted", deleted.answer(), http.StatusGone, 701)
	for key, waits := range known {
		if waits {
			drive.Must(t, l.http, http.MethodDelete, h.Etcd+"/v2/keys"+key)
		}
	}
	wantError(t, "a waiter whose entry was deleted in etcd", behindTheBack.answer(), http.StatusGone, 701)
	l.inVain(1, holder)
	behind.stillWaits()
	l.wantHeld(holder, "a", 1)
	l.must(http.MethodDelete, "value", "a")
	l.wantHeld(behind.granted(), "z", 0)
}

// In the original waiting ended with "outdated and cleared" when etcd had seen
// more than 1000 events, of whatever kind, since the lock was first used, for
// those who came then and for those who waited.
func d09ManyEvents(t *testing.T, h *drive.Host) {
	l := lockOf(t, h, "d09")
	l.take("value", "a")
	writeElsewhere(t, h, 1100)
	one := l.wait(1, "value", "team")
	writeElsewhere(t, h, 1100)
	two := l.post("value", "team")
	behind := l.wait(2, "value", "z")
	l.refused(http.StatusLocked, 700, http.MethodPost, "ttl", "600", "value", "team", "timeout", "0")
	one.stillWaits()
	two.stillWaits()
	l.must(http.MethodDelete, "value", "a")
	index := one.granted()
	if also := two.granted(); also != index {
		t.Errorf("the second session's index = %s, want %s", also, index)
	}
	behind.stillWaits()
	l.must(http.MethodDelete, "value", "team")
	l.wantHeld(behind.granted(), "z", 0)
}

// writeElsewhere makes n events in etcd that have nothing to do with modhost.
func writeElsewhere(t *testing.T, h *drive.Host, n int) {
	t.Helper()
	c := drive.NewHTTPClient(t)
	const writers = 32
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range (n + writers - 1) / writers {
				r, err := drive.Send(t.Context(), c, http.MethodPut, fmt.Sprintf("%s/v2/keys/elsewhere/%d", h.Etcd, i), "value", "x")
				if err != nil || r.Status >= http.StatusMultipleChoices {
					t.Errorf("etcd: write = %v, %v", r, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// In the original a client that hung up in the moment of its grant took the
// whole server down: it was told on a channel that was closed.
func d10HangUpAtGrant(t *testing.T, h *drive.Host) {
	before := h.Module("lock")
	const rounds = 50
	answered := 0
	for i := range rounds {
		l := lockOf(t, h, fmt.Sprintf("d10-%d", i))
		holder := l.take()
		c := l.call()
		l.awaitWaiting(1)
		var release sync.WaitGroup
		release.Go(func() {
			if r, err := drive.Send(t.Context(), l.http, http.MethodDelete, l.address(), "index", holder); err != nil || r.Status != http.StatusOK {
				t.Errorf("release = %v, %v, want 200", r, err)
			}
		})
		<-time.After(time.Duration(i) * 5 * time.Millisecond / rounds) // at every moment up to about the answer
		index := c.leave()
		release.Wait()
		if index != "" {
			answered++
		}
		err := drive.Within(2*drive.Soon(), func() error {
			if s := l.state(); s.Waiting != 0 || index == "" && s.State != "free" || index != "" && fmt.Sprint(s.Index) != index {
				return fmt.Errorf("%+v", s)
			}
			return nil
		})
		if err != nil {
			t.Errorf("a client that left was answered %q, and the lock is %v", index, err)
		}
		if now := h.Module("lock"); now != before {
			t.Errorf("module = %+v, want it as before: %+v", now, before)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d of %d were answered before they left", answered, rounds)
}

// In the original timeout was read and ignored, or ended in a 500.
func d15Timeout(t *testing.T, h *drive.Host) {
	l := lockOf(t, h, "d15")
	holder := l.take("value", "a")
	for _, seconds := range []int{0, 1} {
		sent := time.Now()
		l.inVain(seconds, holder)
		least := time.Duration(seconds) * time.Second
		if took := time.Since(sent); took < least || took > least+5*time.Second {
			t.Errorf("timeout=%d: answered after %v", seconds, took)
		}
	}
	// Nothing of that is left in the line.
	l.wantHeld(holder, "a", 0)
	l.must(http.MethodDelete, "value", "a")
	l.take()
}

// In the original waiting "for ever" was ended without an answer by the
// server's own write timeout after 300 s. Here is no such limit, of a length
// that a test can wait for.
func d16NoWriteTimeout(t *testing.T, h *drive.Host) {
	l := lockOf(t, h, "d16")
	l.take("ttl", "3")
	waiter := drive.StartCurl(t, "-X", "POST", l.address()+"?ttl=600")
	sent := time.Now()
	index := waiter.Output() // after the holder's time
	if took := time.Since(sent); took < 2*time.Second {
		t.Fatalf("the waiter ended after %v with %q, want it to wait longer", took, index)
	}
	if s := l.state(); index == "" || fmt.Sprint(s.Index) != index {
		t.Errorf("the waiter was told %q and the lock is %+v, want it to hold the lock", index, s)
	}
}

// In the original one waiter burned a whole core.
func d17Idle(t *testing.T, h *drive.Host) {
	// A host of its own, so that what others do is not measured.
	quiet := programs(t).Start(t, drive.Joined(h.Etcd))
	l := lockOf(t, quiet, "d17")
	l.take()
	waiters := make([]*waiting, 20)
	for i := range waiters {
		waiters[i] = l.post()
	}
	l.awaitWaiting(len(waiters))
	used, began := cpuOf(t, quiet), time.Now()
	<-time.After(2 * time.Second) // what happens meanwhile is what is measured
	wantIdle(t, quiet, used, began)
	for _, w := range waiters {
		w.stillWaits()
	}
}

// In the original a waiter with ttl=1 was kept alive without a pause, with
// thousands of writes, and that went on after its grant for as long as its
// connection was open.
func d18BriefTTL(t *testing.T, h *drive.Host) {
	quiet := programs(t).Start(t, drive.Joined(h.Etcd))
	l := lockOf(t, quiet, "d18")
	holder := l.take()
	used, began := cpuOf(t, quiet), time.Now()
	named := l.call("ttl", "1", "value", "b")
	l.awaitWaiting(1)
	anonymous := l.call("ttl", "1")
	l.awaitWaiting(2)
	before, _ := l.etcd(linesDir + "d18")
	l.inVain(2, holder)
	after, _ := l.etcd(linesDir + "d18")
	if fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the line in etcd = %v, want it as it was two seconds before: %v", after, before)
	}
	l.must(http.MethodDelete, "index", holder)
	for _, c := range []*caller{named, anonymous} { // the second one after the time of the first
		if r := c.answer(); r.Status != http.StatusOK {
			t.Errorf("a waiter with ttl=1 = %v, want the lock", r)
		}
	}
	wantIdle(t, quiet, used, began)
}

// cpuOf is what host and plugin have used so far.
func cpuOf(t *testing.T, h *drive.Host) time.Duration {
	t.Helper()
	return drive.CPU(t, h.PID()) + drive.CPU(t, h.Module("lock").PID)
}

// wantIdle checks that host and plugin were idle since they had used so much.
// On a quiet machine they take about a hundredth of a core.
func wantIdle(t *testing.T, h *drive.Host, used time.Duration, since time.Time) {
	t.Helper()
	share := float64(cpuOf(t, h)-used) / float64(time.Since(since))
	t.Logf("%.1f %% of a core", 100*share)
	if share > 0.15 {
		t.Errorf("waiting takes %.0f %% of a core, want under 15 %%", 100*share)
	}
}

// In the original a candidate that had hung up stayed in the queue, and became
// the leader without a client.
func d19HungUpNeverHolds(t *testing.T, h *drive.Host) {
	l := lockOf(t, h, "d19")
	holder := l.take()
	first := l.call("value", "gone")
	l.awaitWaiting(1)
	second := l.call()
	l.awaitWaiting(2)
	stays := l.wait(3, "value", "z")
	for _, c := range []*caller{first, second} {
		c.conn.Close() //nolint:errcheck // as if its program was killed
	}
	if err := drive.Within(2*drive.Soon(), func() error {
		if s := l.state(); s.Waiting != 1 {
			return fmt.Errorf("%d waiting, want 1", s.Waiting)
		}
		return nil
	}); err != nil {
		t.Errorf("after two of three hung up: %v", err)
	}
	// Their turn would be now.
	l.must(http.MethodDelete, "index", holder)
	index := stays.granted()
	l.wantHeld(index, "z", 0)
	l.must(http.MethodDelete, "index", index)
	l.take() // nobody came after it either
}
