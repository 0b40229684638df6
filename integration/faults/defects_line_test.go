package faults

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// In the original a waiter took any event of its predecessor for its end, and
// the grant itself was such an event: one release let all in.
func d01OneRelease(t *testing.T, h *drive.Host) {
	l := h.Lock(t, "d01")
	holder := l.Take()
	b := l.Queue(1, "value", "b")
	c := l.Queue(2, "value", "c", "ttl", 1)
	d := l.Queue(3, "value", "d")
	e := l.Queue(4, "value", "e")
	l.Release(holder)
	second := b.Granted()
	l.WaitInVain(1, second)
	for _, w := range []*drive.Call{c, d, e} {
		w.StillWaits()
	}
	l.WantHeld(second, "b", 3)
	// The same at the expiry of c.
	l.Release(second)
	c.Granted()
	last := d.Granted()
	l.WaitInVain(1, last)
	e.StillWaits()
	l.WantHeld(last, "d", 1)
}

// In the original the holder's renewal, which is an event too, let the next
// one in.
func d02Renewal(t *testing.T, h *drive.Host) {
	l := h.Lock(t, "d02")
	holder := l.Take("value", "a")
	next := l.Queue(1, "value", "b")
	l.Must(http.MethodPut, "ttl", 600, "value", "a")
	l.Must(http.MethodPut, "ttl", 600, "index", holder)
	if again := l.Must(http.MethodPost, "ttl", 600, "value", "a").Token(t); again != holder {
		t.Errorf("the holder's repeat = %d, want its index %d", again, holder)
	}
	l.WaitInVain(1, holder)
	next.StillWaits()
	l.WantHeld(holder, "a", 1)
	l.Must(http.MethodDelete, "value", "a")
	l.WantHeld(next.Granted(), "b", 0)
}

// In the original a waiter that went away let the one behind it in, whoever
// was in front.
func d03WaiterLeaves(t *testing.T, h *drive.Host) {
	l := h.Lock(t, "d03")
	holder := l.Take("value", "a")
	deleted := l.Queue(1, "value", "deleted")
	hangsUp := l.Dial()
	l.AwaitWaiting(2)
	timesOut := l.Queue(3, "value", "late", "timeout", 6)
	last := l.Queue(4, "value", "z")
	// Each is directly in front of last when it leaves.
	timesOut.Refused(http.StatusLocked, 700)
	l.AwaitWaiting(3, last)
	if index := hangsUp.Leave(); index != 0 {
		t.Errorf("a waiter that hung up was answered with index %d", index)
	}
	l.AwaitWaiting(2, last)
	l.Must(http.MethodDelete, "value", "deleted")
	deleted.Refused(http.StatusGone, 701)
	l.WaitInVain(1, holder)
	last.StillWaits()
	l.WantHeld(holder, "a", 1)
	l.Must(http.MethodDelete, "value", "a")
	l.WantHeld(last.Granted(), "z", 0)
}

// In the original the TTL of a waiter ran while it waited. Then its place was
// gone, it was told of a lock that was free, and the one behind was let in.
func d04PlaceExpires(t *testing.T, h *drive.Host) {
	l := h.Lock(t, "d04")
	holder := l.Take("value", "a")
	brief := l.Queue(1, "value", "brief", "ttl", 1)
	behind := l.Queue(2, "ttl", 1)
	// Longer than etcd takes to expire a key with that TTL.
	l.WaitInVain(3, holder)
	brief.StillWaits()
	behind.StillWaits()
	l.WantHeld(holder, "a", 2)
	l.Must(http.MethodPut, "ttl", 600, "value", "brief") // for the time after its grant, so that it can be looked at
	l.Must(http.MethodDelete, "value", "a")
	l.WantHeld(brief.Granted(), "brief", 1)
	behind.StillWaits()
}

// In the original a waiter without a value put its TTL on the directory of the
// queue, and when it had gone the holder's lock ended with that.
func d05QueueTTL(t *testing.T, h *drive.Host) {
	l := h.Lock(t, "d05")
	holder := l.Take("value", "a")
	for _, timeout := range []int{1, 2} { // the second one is longer there than the TTL of the first one
		l.Refused(http.StatusLocked, 700, http.MethodPost, "ttl", 1, "timeout", timeout)
	}
	l.WantHeld(holder, "a", 0)
	l.Must(http.MethodPut, "ttl", 600, "index", holder)
}

// In the original the empty name was a lock as well, and its TTL was on the
// directory of all locks.
func d06EmptyName(t *testing.T, h *drive.Host) {
	l := h.Lock(t, "d06")
	holder := l.Take("value", "a")
	for _, path := range []string{"/mod/v2/lock/", "/mod/v2/lock", "/mod/lock/", "/mod/lock"} {
		nameless := drive.LockAt(t, h.URL+path)
		nameless.Refused(http.StatusBadRequest, 710, http.MethodPost, "ttl", 1, "timeout", 0)
		nameless.Refused(http.StatusBadRequest, 710, http.MethodPut, "ttl", 1, "index", holder)
		nameless.Refused(http.StatusBadRequest, 710, http.MethodDelete, "index", holder)
		nameless.Refused(http.StatusBadRequest, 710, http.MethodGet)
	}
	l.WaitInVain(2, holder) // longer than that TTL
	l.WantHeld(holder, "a", 0)
}

// In the original the first of several sessions with one value that gave up,
// in whatever way, took the place of all with it; the others were told later
// that they held the lock.
func d07SharedPlace(t *testing.T, h *drive.Host) {
	beside := programs(t).Start(t, drive.Joined(h.Etcd))
	l, other := h.Lock(t, "d07"), beside.Lock(t, "d07")
	holder := l.Take("value", "a")
	one := l.Queue(1, "value", "team")
	behind := l.Queue(2, "value", "z")
	// Some in the same process, some in another one, where all give up.
	for _, l := range []*drive.Lock{l, other} {
		hangsUp := l.Dial("value", "team")
		l.Refused(http.StatusLocked, 700, http.MethodPost, "ttl", 600, "value", "team", "timeout", 0)
		l.Refused(http.StatusLocked, 700, http.MethodPost, "ttl", 600, "value", "team", "timeout", 1)
		if index := hangsUp.Leave(); index != 0 {
			t.Errorf("a session that hung up was answered with index %d", index)
		}
	}
	l.WaitInVain(1, holder)
	one.StillWaits()
	behind.StillWaits()
	l.WantHeld(holder, "a", 2)
	two := other.Post("value", "team")
	other.Refused(http.StatusLocked, 700, http.MethodPost, "ttl", 600, "value", "team", "timeout", 0)
	l.Must(http.MethodDelete, "value", "a")
	index := one.Granted()
	if also := two.Granted(); also != index {
		t.Errorf("the other session's index = %d, want %d", also, index)
	}
	behind.StillWaits()
	l.WantHeld(index, "team", 1)
}

// In the original an entry that was no longer in the queue counted as its
// first one: who was deleted was told 200, or the next was let in.
func d08GoneIsNotFirst(t *testing.T, h *drive.Host) {
	l := h.Lock(t, "d08")
	holder := l.Take("value", "a")
	behindTheBack := l.Queue(1, "value", "b")
	entry := l.AwaitLine(2)[1]
	deleted := l.Queue(2, "value", "c")
	behind := l.Queue(3, "value", "z")
	l.Must(http.MethodDelete, "value", "c")
	deleted.Refused(http.StatusGone, 701)
	removeEntry(t, h, entry)
	behindTheBack.Refused(http.StatusGone, 701)
	l.WaitInVain(1, holder)
	behind.StillWaits()
	l.WantHeld(holder, "a", 1)
	l.Must(http.MethodDelete, "value", "a")
	l.WantHeld(behind.Granted(), "z", 0)
}

// In the original waiting ended with "outdated and cleared" when etcd had seen
// more than 1000 events, of whatever kind, since the lock was first used, for
// those who came then and for those who waited.
func d09ManyEvents(t *testing.T, h *drive.Host) {
	l := h.Lock(t, "d09")
	l.Take("value", "a")
	drive.WriteElsewhere(t, h.Etcd, 1100)
	one := l.Queue(1, "value", "team")
	drive.WriteElsewhere(t, h.Etcd, 1100)
	two := l.Post("value", "team")
	behind := l.Queue(2, "value", "z")
	l.Refused(http.StatusLocked, 700, http.MethodPost, "ttl", 600, "value", "team", "timeout", 0)
	one.StillWaits()
	two.StillWaits()
	l.Must(http.MethodDelete, "value", "a")
	index := one.Granted()
	if also := two.Granted(); also != index {
		t.Errorf("the second session's index = %d, want %d", also, index)
	}
	behind.StillWaits()
	l.Must(http.MethodDelete, "value", "team")
	l.WantHeld(behind.Granted(), "z", 0)
}

// In the original a client that hung up in the moment of its grant took the
// whole server down: it was told on a channel that was closed.
func d10HangUpAtGrant(t *testing.T, h *drive.Host) {
	before := h.Module("lock")
	const rounds = 50
	answered := 0
	for i := range rounds {
		l := h.Lock(t, fmt.Sprintf("d10-%d", i))
		holder := l.Take()
		c := l.Dial()
		l.AwaitWaiting(1)
		release := l.Begin(http.MethodDelete, "index", holder)
		<-time.After(time.Duration(i) * 5 * time.Millisecond / rounds) // at every moment up to about the answer
		index := c.Leave()
		if r := release.Answer(); r.Status != http.StatusOK {
			t.Errorf("release = %v, want 200", r)
		}
		if index != 0 {
			answered++
		}
		l.WantLeft(index)
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
	l := h.Lock(t, "d15")
	holder := l.Take("value", "a")
	for _, seconds := range []int{0, 1} {
		sent := time.Now()
		l.WaitInVain(seconds, holder)
		least := time.Duration(seconds) * time.Second
		if took := time.Since(sent); took < least || took > least+5*time.Second {
			t.Errorf("timeout=%d: answered after %v", seconds, took)
		}
	}
	// Nothing of that is left in the line.
	l.WantHeld(holder, "a", 0)
	l.Must(http.MethodDelete, "value", "a")
	l.Take()
}

// In the original waiting "for ever" was ended without an answer by the
// server's own write timeout after 300 s. Here is no such limit, of a length
// that a test can wait for.
func d16NoWriteTimeout(t *testing.T, h *drive.Host) {
	l := h.Lock(t, "d16")
	l.Take("ttl", 6)
	waiter := drive.StartCurl(t, "-X", "POST", l.URL+"?ttl=600")
	sent := time.Now()
	index := waiter.Output() // after the holder's time
	if took := time.Since(sent); took < 3*time.Second {
		t.Fatalf("the waiter ended after %v with %q, want it to wait longer", took, index)
	}
	if s := l.State(); fmt.Sprint(s.Index) != index {
		t.Errorf("the waiter was told %q and the lock is %+v, want it to hold the lock", index, s)
	}
}

// In the original one waiter burned a whole core.
func d17Idle(t *testing.T, h *drive.Host) {
	// A host of its own, so that what others do is not measured.
	quiet := programs(t).Start(t, drive.Joined(h.Etcd))
	l := quiet.Lock(t, "d17")
	l.Take()
	waiters := make([]*drive.Call, 20)
	for i := range waiters {
		waiters[i] = l.Post()
	}
	l.AwaitWaiting(len(waiters))
	used, began := cpuOf(t, quiet), time.Now()
	<-time.After(2 * time.Second) // what happens meanwhile is what is measured
	wantIdle(t, quiet, used, began)
	for _, w := range waiters {
		w.StillWaits()
	}
}

// In the original a waiter with ttl=1 was kept alive without a pause, with
// thousands of writes, and that went on after its grant for as long as its
// connection was open.
func d18BriefTTL(t *testing.T, h *drive.Host) {
	quiet := programs(t).Start(t, drive.Joined(h.Etcd))
	l := quiet.Lock(t, "d18")
	holder := l.Take()
	used, began := cpuOf(t, quiet), time.Now()
	named := l.Dial("ttl", 1, "value", "b")
	l.AwaitWaiting(1)
	anonymous := l.Dial("ttl", 1)
	l.AwaitWaiting(2)
	before := l.Line()
	l.WaitInVain(2, holder)
	if after := l.Line(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the line in etcd = %v, want it as it was two seconds before: %v", after, before)
	}
	l.Release(holder)
	for _, c := range []*drive.Caller{named, anonymous} { // the second one after the time of the first
		if r := c.Answer(); r.Status != http.StatusOK {
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
	l := h.Lock(t, "d19")
	holder := l.Take()
	first := l.Dial("value", "gone")
	l.AwaitWaiting(1)
	second := l.Dial()
	l.AwaitWaiting(2)
	stays := l.Queue(3, "value", "z")
	for _, c := range []*drive.Caller{first, second} {
		c.Close()
	}
	if err := drive.Within(2*drive.Soon(), func() error {
		if s := l.State(); s.Waiting != 1 {
			return fmt.Errorf("%d waiting, want 1", s.Waiting)
		}
		return nil
	}); err != nil {
		t.Errorf("after two of three hung up: %v", err)
	}
	// Their turn would be now.
	l.Release(holder)
	index := stays.Granted()
	l.WantHeld(index, "z", 0)
	l.Release(index)
	l.Take() // nobody came after it either
}
