package faults

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// The failure modes that lock services are known for, F01 to F23. Numbers that
// are left out are of things that modhost does not have: F15 etcd's v3 watches,
// F18 observers of an election, F20 a command that runs its child under a lock,
// F21 restored v3 snapshots.

// F1: a client that is paused for longer than its TTL goes on as if it still
// held the lock. Nobody can prevent that, so its token must give it away.
func TestMode_F01_PausedHolder(t *testing.T) {
	t.Parallel()
	l := programs(t).Start(t, drive.Embedded).Lock(t, "a")
	st := newStorage(t)
	const ttl = 2
	first := startHolder(t, l.URL, ttl, st)
	old, _ := st.awaitWrite(t, 0)
	first.signal(syscall.SIGSTOP)
	second := startHolder(t, l.URL, 60, st)
	token, _ := st.awaitWrite(t, old)
	if e := l.AwaitLine(1); e[0].Index != token {
		t.Errorf("write with token %d, want %d, the index in etcd", token, e[0].Index)
	}
	l.Refused(http.StatusNotFound, 100, http.MethodPut, "index", old, "ttl", 60)
	refused := st.refusals(old)
	first.signal(syscall.SIGCONT)
	drive.Eventually(t, func() error {
		if st.refusals(old) < refused+3 {
			return fmt.Errorf("the storage has not refused the paused holder's writes")
		}
		return nil
	})
	if s := l.State(); s.Index != token {
		t.Errorf("state = %+v, want it held with index %d", s, token)
	}
	second.signal(syscall.SIGKILL)
}

// F2: a waiter's entry ends while it waits, and the waiter, which finds nobody
// ahead of an entry that is not there, takes itself for the holder.
func TestMode_F02_WaiterEntryGone(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded)
	for _, c := range []struct {
		name   string
		remove func(l *drive.Lock, holder, waiter drive.Entry)
	}{
		{"deleted", func(l *drive.Lock, _, waiter drive.Entry) { l.Release(waiter.Index) }},
		{"removed", func(_ *drive.Lock, _, waiter drive.Entry) { removeEntry(t, h, waiter) }},
		// The plugin learns of the holder's end first, and can't know yet that
		// there is nothing left to take over.
		{"asleep", func(_ *drive.Lock, holder, waiter drive.Entry) {
			pid := h.Module("lock").PID
			drive.Signal(t, pid, syscall.SIGSTOP)
			removeEntry(t, h, holder)
			removeEntry(t, h, waiter)
			drive.Signal(t, pid, syscall.SIGCONT)
		}},
	} {
		l := h.Lock(t, c.name)
		l.Take("ttl", 60, "value", "holder")
		waiter := l.Queue(1, "ttl", 60, "value", "waiter")
		line := l.AwaitLine(2)
		c.remove(l, line[0], line[1])
		waiter.Refused(http.StatusGone, 701)
		if c.name != "asleep" {
			l.Must(http.MethodDelete, "value", "holder")
		}
		l.AwaitLine(0)
		if token := l.Take("ttl", 60); token <= line[1].Index {
			t.Errorf("%s: next token = %d, want one above %d", c.name, token, line[1].Index)
		}
	}
}

// F3: a renewal by the holder, or of the waiter's own entry, wakes the waiter,
// which takes the change for a release.
func TestMode_F03_PredecessorRenews(t *testing.T) {
	t.Parallel()
	l := programs(t).Start(t, drive.Embedded).Lock(t, "a")
	index := l.Take("ttl", 60, "value", "holder")
	waiter := l.Queue(1, "ttl", 60, "value", "waiter")
	for range 3 {
		l.Must(http.MethodPut, "ttl", 60, "index", index)
		l.Must(http.MethodPut, "ttl", 60, "value", "holder")
		l.Must(http.MethodPost, "ttl", 60, "value", "holder")
		l.Must(http.MethodPut, "ttl", 60, "value", "waiter")
	}
	waiter.GoesOnWaiting("after renewals")
	if line := l.AwaitLine(2); line[0].State != "held" || line[1].State != "waiting" {
		t.Errorf("entries = %+v, want one held, one waiting", line)
	}
	l.Release(index)
	waiter.Granted()
}

// F4: a waiter in the middle of the line leaves, and who stands behind it goes
// ahead, or waits for one that is no longer there.
func TestMode_F04_MiddleWaiterLeaves(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded)
	for i, leave := range []func(*drive.Lock, *drive.Call, drive.Entry){
		func(_ *drive.Lock, middle *drive.Call, _ drive.Entry) { middle.HangUp() },
		func(l *drive.Lock, _ *drive.Call, e drive.Entry) { l.Release(e.Index) },
		func(_ *drive.Lock, _ *drive.Call, e drive.Entry) { removeEntry(t, h, e) },
	} {
		l := h.Lock(t, fmt.Sprint("a", i))
		holder := l.Take("ttl", 60)
		middle := l.Queue(1, "ttl", 60)
		last := l.Queue(2, "ttl", 60)
		line := l.AwaitLine(3)
		leave(l, middle, line[1])
		l.AwaitLine(2)
		last.GoesOnWaiting("after the one before it has left")
		if s := l.State(); s.Index != holder {
			t.Errorf("%s = %+v, want it held with index %d", l.URL, s, holder)
		}
		l.Release(holder)
		if token := last.Granted(); token != line[2].Index {
			t.Errorf("%s: last waiter's token = %d, want %d", l.URL, token, line[2].Index)
		}
	}
}

// F5: two sessions with one value queue twice and block each other, or one of
// them takes the place away from the other when it leaves.
func TestMode_F05_OneValueManySessions(t *testing.T) {
	t.Parallel()
	p := programs(t)
	one := p.Start(t, drive.Embedded)
	two := p.Start(t, drive.Joined(one.Etcd))
	const sessions = 100
	var calls []*drive.Call
	for i := range sessions {
		h := []*drive.Host{one, two}[i%2]
		calls = append(calls, h.Lock(t, "crowd").Post("ttl", 60, "value", "same"))
	}
	tokens := make(map[uint64]int)
	for _, c := range calls {
		tokens[c.Granted()]++
	}
	if len(tokens) != 1 {
		t.Errorf("tokens of %d sessions with one value = %v, want one", sessions, tokens)
	}
	one.Lock(t, "crowd").AwaitLine(1)

	for i, host := range []*drive.Host{one, two} {
		name := fmt.Sprint("pair", i)
		l, other := one.Lock(t, name), host.Lock(t, name)
		holder := l.Take("ttl", 60)
		stays := l.Queue(1, "ttl", 60, "value", "same")
		line := l.AwaitLine(2)
		other.Refused(http.StatusLocked, 700, http.MethodPost, "ttl", 60, "value", "same", "timeout", 1)
		stays.GoesOnWaiting("after the other session has left")
		l.Release(holder)
		if token := stays.Granted(); token != line[1].Index {
			t.Errorf("%s: token = %d, want %d, the place that was kept", l.URL, token, line[1].Index)
		}
		l.AwaitLine(1)
	}
}

// F6: a reply is lost after the server has done its work. If it was etcd's, the
// plugin must find out; if it was the host's, the client repeats itself.
func TestMode_F06_ReplyLost(t *testing.T) {
	t.Parallel()
	p := programs(t)
	etcd := p.StartCluster(t, 1).Members[0].URL
	behind := drive.NewTamperer(t, etcd)
	h := p.Start(t, drive.Joined(behind.URL))
	l := h.Lock(t, "a")
	loseOnce := func(method, parameter string) {
		lost := false
		behind.Lose(func(r *http.Request) bool {
			if lost || r.Method != method || !strings.Contains(r.URL.Path, "/lock/q/a/") || !strings.Contains(r.URL.RawQuery, parameter) {
				return false
			}
			lost = true
			return true
		})
	}
	wantLost := func(n int) {
		t.Helper()
		if behind.Lost() != n {
			t.Errorf("replies lost = %d, want %d: the test does not test what it should", behind.Lost(), n)
		}
	}

	for i, value := range []string{"", "named"} {
		loseOnce(http.MethodPut, "prevExist=false") // of the create
		holder := l.Take("ttl", 60, "value", value)
		wantLost(3*i + 1)
		if e := l.AwaitLine(1); e[0].Index != holder || e[0].State != "held" {
			t.Errorf("entry = %+v, want it held with index %d", e[0], holder)
		}
		waiter := l.Queue(1, "ttl", 60, "value", "next"+value)
		line := l.AwaitLine(2)
		loseOnce(http.MethodPut, "prevIndex=") // of the waiter becoming the holder
		l.Release(holder)
		if token := waiter.Granted(); token != line[1].Index {
			t.Errorf("token = %d, want %d", token, line[1].Index)
		}
		wantLost(3*i + 2)
		l.AwaitLine(1)
		loseOnce(http.MethodDelete, "")
		l.Must(http.MethodDelete, "value", "next"+value)
		wantLost(3*i + 3)
		l.AwaitLine(0)
	}
	behind.Lose(nil)

	front := drive.NewTamperer(t, h.URL)
	front.Lose(func(r *http.Request) bool { return r.Method == http.MethodPost })
	for range 2 {
		if r, err := drive.LockAt(t, front.URL+"/mod/v2/lock/b").Send(t.Context(), http.MethodPost, "ttl", 60, "value", "same"); err == nil {
			t.Errorf("POST = %v, want it lost", r)
		}
	}
	named := h.Lock(t, "b")
	index := named.Take("ttl", 60, "value", "same")
	if e := named.AwaitLine(1); e[0].Index != index {
		t.Errorf("repeated POST = %d, want %d", index, e[0].Index)
	}
	sent := time.Now()
	const ttl = 2 * time.Second
	if r, err := drive.LockAt(t, front.URL+"/mod/v2/lock/c").Send(t.Context(), http.MethodPost, "ttl", 2); err == nil {
		t.Errorf("POST = %v, want it lost", r)
	}
	granted := time.Now()
	anonymous := h.Lock(t, "c")
	anonymous.AwaitLine(1)
	anonymous.AwaitLine(0)
	if took := time.Since(granted); took > ttl+time.Second+drive.Soon() {
		t.Errorf("anonymous entry whose answer was lost: gone after %v, want its ttl of %v and a second", took, ttl)
	} else if took := time.Since(sent); took < ttl {
		t.Errorf("anonymous entry whose answer was lost: gone after %v, want not before its ttl of %v", took, ttl)
	}
}

// F16: names that begin alike, or are encoded alike, share a line.
func TestMode_F16_NamesBeginAlike(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded)
	paths := []string{
		"a", "ab", "a/b", "a/", "a//b", "/a", "A", "a%252Fb", "a~2fb", "a%2Db", "a%5Fb", "a%20b", "a%2Bb", "a.b", "_a", "-a", "~", "~a",
		"a%00", "a%3Fb", "a%23b", "a%25", "%C3%A4", "a%CC%88", "q", "s", "q/a", ".a", "a/b/c",
	}
	held := make(map[string]uint64) // path → index
	for _, path := range paths {
		index := h.Lock(t, path).Take("ttl", 60, "value", "v"+path)
		for other, i := range held {
			if i == index {
				t.Errorf("index of %s = %d, want another than that of %s", path, index, other)
			}
		}
		held[path] = index
	}
	// One name, written differently, is one lock.
	for same, path := range map[string]string{"a%2Fb": "a/b", "a%2fb": "a/b", "%61": "a", "a%7E2fb": "a~2fb", "a-b": "a%2Db", "a%2F": "a/"} {
		l := h.Lock(t, same)
		l.Refused(http.StatusLocked, 700, http.MethodPost, "ttl", 60, "timeout", 0)
		if s := l.State(); s.Index != held[path] {
			t.Errorf("%s = %+v, want index %d, that of %s", same, s, held[path], path)
		}
	}
	for i, path := range paths {
		l, other := h.Lock(t, path), paths[(i+1)%len(paths)]
		l.Refused(http.StatusNotFound, 100, http.MethodDelete, "index", held[other])
		l.Refused(http.StatusNotFound, 100, http.MethodDelete, "value", "v"+other)
		l.Release(held[path])
		for _, other := range paths[i+1:] {
			if r := h.Lock(t, other).Ask(http.MethodGet); r.Body != "v"+other {
				t.Errorf("value of %s after the release of %s = %v, want %s", other, path, r, "v"+other)
			}
		}
	}
	if left, err := drive.Line(h.Etcd, ""); err != nil || len(left) != 0 {
		t.Errorf("entries after all releases = %v, %v, want none", left, err)
	}
}
