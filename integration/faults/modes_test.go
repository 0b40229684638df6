package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// The failure modes that lock services are known for, F01 to F23. Numbers that
// are left out are of things that modhost does not have: F15 etcd's v3 watches,
// F18 observers of an election, F20 a command that runs its child under a lock,
// F21 restored v3 snapshots.

// longRun, set to 1, makes the tests of failure modes larger, and runs the one
// that has to build etcd with a clock of its own.
const longRun = "MODHOST_TEST_LONG"

// inLongRun chooses between the size of a usual run and that of a long one.
func inLongRun[T any](usual, long T) T {
	if os.Getenv(longRun) != "" {
		return long
	}
	return usual
}

// F1: a client that is paused for longer than its TTL goes on as if it still
// held the lock. Nobody can prevent that, so its token must give it away.
func TestMode_F01_PausedHolder(t *testing.T) {
	t.Parallel()
	s := onHost(t, programs(t).Start(t, drive.Embedded))
	st := newStorage(t)
	const ttl = 2
	first := startHolder(t, s.lock("a"), ttl, st)
	old, _ := st.awaitWrite(t, 0)
	first.signal(syscall.SIGSTOP)
	second := startHolder(t, s.lock("a"), 60, st)
	token, _ := st.awaitWrite(t, old)
	if e := wantEntries(t, s.host.Etcd, "a", 1); e[0].Created != token {
		t.Errorf("write with token %d, want %d, the index in etcd", token, e[0].Created)
	}
	s.want(http.StatusNotFound, http.MethodPut, "a", "index", strconv.FormatUint(old, 10), "ttl", "60")
	refused := st.refusals(old)
	first.signal(syscall.SIGCONT)
	drive.Eventually(t, func() error {
		if st.refusals(old) < refused+3 {
			return fmt.Errorf("the storage has not refused the paused holder's writes")
		}
		return nil
	})
	if r := s.do(http.MethodGet, "a", "field", "index"); r.Body != strconv.FormatUint(token, 10) {
		t.Errorf("index of the holder = %v, want %d", r, token)
	}
	second.signal(syscall.SIGKILL)
}

// F2: a waiter's entry ends while it waits, and the waiter, which finds nobody
// ahead of an entry that is not there, takes itself for the holder.
func TestMode_F02_WaiterEntryGone(t *testing.T) {
	t.Parallel()
	s := onHost(t, programs(t).Start(t, drive.Embedded))
	for _, c := range []struct {
		name   string
		remove func(holder, waiter entry)
	}{
		{"deleted", func(_, waiter entry) {
			s.want(http.StatusOK, http.MethodDelete, "deleted", "index", strconv.FormatUint(waiter.Created, 10))
		}},
		{"removed", func(_, waiter entry) { removeEntry(t, s.host.Etcd, waiter.Key) }},
		// The plugin learns of the holder's end first, and can't know yet that
		// there is nothing left to take over.
		{"asleep", func(holder, waiter entry) {
			pid := s.host.Module("lock").PID
			drive.Signal(t, pid, syscall.SIGSTOP)
			removeEntry(t, s.host.Etcd, holder.Key)
			removeEntry(t, s.host.Etcd, waiter.Key)
			drive.Signal(t, pid, syscall.SIGCONT)
		}},
	} {
		s.take(c.name, "ttl", "60", "value", "holder")
		waiter := s.queue(1, c.name, "ttl", "60", "value", "waiter")
		line := wantEntries(t, s.host.Etcd, c.name, 2)
		c.remove(line[0], line[1])
		if r := waiter.end(drive.Patience); r.Status != http.StatusGone {
			t.Errorf("%s: waiter whose entry has gone = %v, want 410", c.name, r)
		}
		if c.name != "asleep" {
			s.want(http.StatusOK, http.MethodDelete, c.name, "value", "holder")
		}
		wantEntries(t, s.host.Etcd, c.name, 0)
		if token := s.do(http.MethodPost, c.name, "ttl", "60", "timeout", "0").Token(t); token <= line[1].Created {
			t.Errorf("%s: next token = %d, want one above %d", c.name, token, line[1].Created)
		}
	}
}

// F3: a renewal by the holder, or of the waiter's own entry, wakes the waiter,
// which takes the change for a release.
func TestMode_F03_PredecessorRenews(t *testing.T) {
	t.Parallel()
	s := onHost(t, programs(t).Start(t, drive.Embedded))
	index := s.take("a", "ttl", "60", "value", "holder")
	waiter := s.queue(1, "a", "ttl", "60", "value", "waiter")
	for range 3 {
		s.want(http.StatusOK, http.MethodPut, "a", "ttl", "60", "index", index)
		s.want(http.StatusOK, http.MethodPut, "a", "ttl", "60", "value", "holder")
		s.want(http.StatusOK, http.MethodPost, "a", "ttl", "60", "value", "holder")
		s.want(http.StatusOK, http.MethodPut, "a", "ttl", "60", "value", "waiter")
	}
	waiter.waits("after renewals")
	if line := wantEntries(t, s.host.Etcd, "a", 2); line[0].State != "held" || line[1].State != "waiting" {
		t.Errorf("entries = %+v, want one held, one waiting", line)
	}
	s.want(http.StatusOK, http.MethodDelete, "a", "index", index)
	waiter.granted()
}

// F4: a waiter in the middle of the line leaves, and who stands behind it goes
// ahead, or waits for one that is no longer there.
func TestMode_F04_MiddleWaiterLeaves(t *testing.T) {
	t.Parallel()
	s := onHost(t, programs(t).Start(t, drive.Embedded))
	for i, leave := range []func(*call, entry){
		func(middle *call, _ entry) { middle.hangUp() },
		func(_ *call, e entry) {
			s.want(http.StatusOK, http.MethodDelete, "a1", "index", strconv.FormatUint(e.Created, 10))
		},
		func(_ *call, e entry) { removeEntry(t, s.host.Etcd, e.Key) },
	} {
		name := fmt.Sprint("a", i)
		holder := s.take(name, "ttl", "60")
		middle := s.queue(1, name, "ttl", "60")
		last := s.queue(2, name, "ttl", "60")
		line := wantEntries(t, s.host.Etcd, name, 3)
		leave(middle, line[1])
		wantEntries(t, s.host.Etcd, name, 2)
		last.waits("after the one before it has left")
		if r := s.do(http.MethodGet, name, "field", "index"); r.Body != holder {
			t.Errorf("%s: index of the holder = %v, want %s", name, r, holder)
		}
		s.want(http.StatusOK, http.MethodDelete, name, "index", holder)
		if token := last.granted(); token != line[2].Created {
			t.Errorf("%s: last waiter's token = %d, want %d", name, token, line[2].Created)
		}
	}
}

// F5: two sessions with one value queue twice and block each other, or one of
// them takes the place away from the other when it leaves.
func TestMode_F05_OneValueManySessions(t *testing.T) {
	t.Parallel()
	p := programs(t)
	one := onHost(t, p.Start(t, drive.Embedded))
	two := onHost(t, p.Start(t, drive.Joined(one.host.Etcd)))
	const sessions = 100
	var calls []*call
	for i := range sessions {
		s := []*scene{one, two}[i%2]
		calls = append(calls, s.begin(http.MethodPost, "crowd", "ttl", "60", "value", "same"))
	}
	tokens := make(map[uint64]int)
	for _, c := range calls {
		tokens[c.granted()]++
	}
	if len(tokens) != 1 {
		t.Errorf("tokens of %d sessions with one value = %v, want one", sessions, tokens)
	}
	wantEntries(t, one.host.Etcd, "crowd", 1)

	for i, other := range []*scene{one, two} {
		name := fmt.Sprint("pair", i)
		holder := one.take(name, "ttl", "60")
		stays := one.queue(1, name, "ttl", "60", "value", "same")
		line := wantEntries(t, one.host.Etcd, name, 2)
		other.want(http.StatusLocked, http.MethodPost, name, "ttl", "60", "value", "same", "timeout", "1")
		stays.waits("after the other session has left")
		one.want(http.StatusOK, http.MethodDelete, name, "index", holder)
		if token := stays.granted(); token != line[1].Created {
			t.Errorf("%s: token = %d, want %d, the place that was kept", name, token, line[1].Created)
		}
		wantEntries(t, one.host.Etcd, name, 1)
	}
}

// F6: a reply is lost after the server has done its work. If it was etcd's, the
// plugin must find out; if it was the host's, the client repeats itself.
func TestMode_F06_ReplyLost(t *testing.T) {
	t.Parallel()
	p := programs(t)
	etcd := p.StartCluster(t, 1).Members[0].URL
	behind := drive.NewTamperer(t, etcd)
	s := onHost(t, p.Start(t, drive.Joined(behind.URL)))
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
		holder := s.take("a", "ttl", "60", "value", value)
		wantLost(3*i + 1)
		if e := wantEntries(t, etcd, "a", 1); strconv.FormatUint(e[0].Created, 10) != holder || e[0].State != "held" {
			t.Errorf("entry = %+v, want it held with index %s", e[0], holder)
		}
		waiter := s.queue(1, "a", "ttl", "60", "value", "next"+value)
		line := wantEntries(t, etcd, "a", 2)
		loseOnce(http.MethodPut, "prevIndex=") // of the waiter becoming the holder
		s.want(http.StatusOK, http.MethodDelete, "a", "index", holder)
		if token := waiter.granted(); token != line[1].Created {
			t.Errorf("token = %d, want %d", token, line[1].Created)
		}
		wantLost(3*i + 2)
		wantEntries(t, etcd, "a", 1)
		loseOnce(http.MethodDelete, "")
		s.want(http.StatusOK, http.MethodDelete, "a", "value", "next"+value)
		wantLost(3*i + 3)
		wantEntries(t, etcd, "a", 0)
	}
	behind.Lose(nil)

	front := drive.NewTamperer(t, s.host.URL)
	front.Lose(func(r *http.Request) bool { return r.Method == http.MethodPost })
	for range 2 {
		if r, err := drive.Send(t.Context(), s.http, http.MethodPost, front.URL+"/mod/v2/lock/b", "ttl", "60", "value", "same"); err == nil {
			t.Errorf("POST = %v, want it lost", r)
		}
	}
	index := s.take("b", "ttl", "60", "value", "same")
	if e := wantEntries(t, etcd, "b", 1); strconv.FormatUint(e[0].Created, 10) != index {
		t.Errorf("repeated POST = %s, want %d", index, e[0].Created)
	}
	sent := time.Now()
	const ttl = 2 * time.Second
	if r, err := drive.Send(t.Context(), s.http, http.MethodPost, front.URL+"/mod/v2/lock/c", "ttl", "2"); err == nil {
		t.Errorf("POST = %v, want it lost", r)
	}
	granted := time.Now()
	wantEntries(t, etcd, "c", 1)
	wantEntries(t, etcd, "c", 0)
	if took := time.Since(granted); took > ttl+time.Second+drive.Soon() {
		t.Errorf("anonymous entry whose answer was lost: gone after %v, want its ttl of %v and a second", took, ttl)
	} else if took := time.Since(sent); took < ttl {
		t.Errorf("anonymous entry whose answer was lost: gone after %v, want not before its ttl of %v", took, ttl)
	}
}

// F7: the client is gone at the moment of its grant, and the lock is held by a
// request that is dead. An answer that was in the client's hands before the
// reset is a grant like any other.
func TestMode_F07_ClientGoneAtTheGrant(t *testing.T) {
	t.Parallel()
	s := onHost(t, programs(t).Start(t, drive.Embedded))
	var rounds, answered, unsure atomic.Int64
	// When to leave after the release was sent: half of the waiters are to have
	// their answer by then, so that the others leave at the grant.
	var aim atomic.Int64
	aim.Store(int64(2 * time.Millisecond))
	var wg sync.WaitGroup
	began := time.Now()
	for worker := range 4 {
		wg.Go(func() {
			for i := 0; time.Since(began) < inLongRun(6*time.Second, 2*time.Minute) && !t.Failed(); i++ {
				name := fmt.Sprintf("w%dr%d", worker, i)
				holder, err := drive.Send(t.Context(), s.http, http.MethodPost, s.lock(name), "ttl", "600")
				if err != nil || holder.Status != http.StatusOK {
					t.Errorf("POST = %v, %v, want a grant", holder, err)
					return
				}
				waiter := newSocket(t, s, name)
				drive.AwaitWaiting(t, s.http, s.lock(name), 1)
				var told bool
				var leaves sync.WaitGroup
				leaves.Go(func() {
					<-time.After(time.Duration(float64(aim.Load()) * (0.8 + 0.4*rand.Float64())))
					told = waiter.reset()
				})
				r, err := drive.Send(t.Context(), s.http, http.MethodDelete, s.lock(name), "index", holder.Body)
				leaves.Wait()
				if err != nil || r.Status != http.StatusOK {
					t.Errorf("DELETE = %v, %v, want 200", r, err)
					return
				}
				rounds.Add(1)
				if told {
					answered.Add(1)
					aim.Store(max(aim.Load()*9/10, int64(100*time.Microsecond)))
				} else {
					aim.Store(min(aim.Load()*11/10, int64(50*time.Millisecond)))
				}
				var now drive.LockState
				err = drive.Within(2*drive.Soon(), func() error {
					if now = drive.StateOf(t, s.http, s.lock(name)); now.Waiting != 0 || now.State != "free" && !told {
						return fmt.Errorf("%+v", now)
					}
					return nil
				})
				switch {
				case err != nil && now.Waiting == 0:
					unsure.Add(1)
				case err != nil:
					t.Errorf("%s after its waiter has died: %v, want nobody in the line", name, err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d rounds: %d waiters had their answer, %d may have had it at the very moment", rounds.Load(), answered.Load(), unsure.Load())
	// The answer may arrive between the look and the reset: that is rare.
	if limit := 2 + rounds.Load()/50; unsure.Load() > limit {
		t.Errorf("locks held by dead requests = %d of %d, want at most %d", unsure.Load(), rounds.Load(), limit)
	}
	if rounds.Load() < 100 {
		t.Errorf("rounds = %d, want more for this to mean something", rounds.Load())
	}
}

// F8: the holder's process is killed. Its lock lives as long as it was told,
// and no longer.
func TestMode_F08_HolderCrashes(t *testing.T) {
	t.Parallel()
	s := onHost(t, programs(t).Start(t, drive.Embedded))
	var wg sync.WaitGroup
	for seconds := 1; seconds <= 3; seconds++ {
		wg.Go(func() {
			name, ttl := fmt.Sprint("ttl", seconds), time.Duration(seconds)*time.Second
			st := newStorage(t)
			began := time.Now()
			h := startHolder(t, s.lock(name), seconds, st)
			_, granted := st.awaitWrite(t, 0)
			next := s.begin(http.MethodPost, name, "ttl", "60")
			h.signal(syscall.SIGKILL)
			next.granted()
			if after := next.answered.Sub(began); after < ttl {
				t.Errorf("ttl %v: next grant %v after the holder's process began, want not before its ttl", ttl, after)
			}
			after := next.answered.Sub(granted)
			t.Logf("ttl %v: next grant %v after the holder had its own", ttl, after)
			if after > ttl+time.Second+drive.Soon() {
				t.Errorf("ttl %v: next grant %v after the holder's, want within a second of the ttl", ttl, after)
			}
		})
	}
	wg.Wait()
}

// F16: names that begin alike, or are encoded alike, share a line.
func TestMode_F16_NamesBeginAlike(t *testing.T) {
	t.Parallel()
	s := onHost(t, programs(t).Start(t, drive.Embedded))
	paths := []string{
		"a", "ab", "a/b", "a/", "a//b", "/a", "A", "a%252Fb", "a~2fb", "a%2Db", "a%5Fb", "a%20b", "a%2Bb", "a.b", "_a", "-a", "~", "~a",
		"a%00", "a%3Fb", "a%23b", "a%25", "%C3%A4", "a%CC%88", "q", "s", "q/a", ".a", "a/b/c",
	}
	held := make(map[string]string) // path → index
	for _, path := range paths {
		index := s.take(path, "ttl", "60", "value", "v"+path)
		for other, i := range held {
			if i == index {
				t.Errorf("index of %s = %s, want another than that of %s", path, index, other)
			}
		}
		held[path] = index
	}
	// One name, written differently, is one lock.
	for same, path := range map[string]string{"a%2Fb": "a/b", "a%2fb": "a/b", "%61": "a", "a%7E2fb": "a~2fb", "a-b": "a%2Db", "a%2F": "a/"} {
		s.want(http.StatusLocked, http.MethodPost, same, "ttl", "60", "timeout", "0")
		if r := s.do(http.MethodGet, same, "field", "index"); r.Body != held[path] {
			t.Errorf("index of %s = %v, want %s, that of %s", same, r, held[path], path)
		}
	}
	for i, path := range paths {
		other := paths[(i+1)%len(paths)]
		s.want(http.StatusNotFound, http.MethodDelete, path, "index", held[other])
		s.want(http.StatusNotFound, http.MethodDelete, path, "value", "v"+other)
		s.want(http.StatusOK, http.MethodDelete, path, "index", held[path])
		for _, other := range paths[i+1:] {
			if r := s.do(http.MethodGet, other); r.Body != "v"+other {
				t.Errorf("value of %s after the release of %s = %v, want %s", other, path, r, "v"+other)
			}
		}
	}
	if left := entries(t, s.host.Etcd, ""); len(left) != 0 {
		t.Errorf("entries after all releases = %v, want none", left)
	}
}

// F17: something goes on to keep the entry of a client alive that is dead.
func TestMode_F17_DeadWaiterKeptAlive(t *testing.T) {
	t.Parallel()
	s := onHost(t, programs(t).Start(t, drive.Embedded))
	ways := map[string]func(name string) (die func()){
		"reset": func(name string) func() {
			k := newSocket(t, s, name)
			return func() { k.reset() }
		},
		"hungup": func(name string) func() { return s.begin(http.MethodPost, name, "ttl", "600").hangUp },
		"killed": func(name string) func() {
			return drive.StartCurl(t, "-X", "POST", s.lock(name), "-d", "ttl=600", "-d", "value=me").Kill
		},
	}
	var deaths []func()
	for name, begin := range ways {
		s.take(name, "ttl", "600")
		deaths = append(deaths, begin(name))
		drive.AwaitWaiting(t, s.http, s.lock(name), 1)
	}
	died := time.Now()
	for _, die := range deaths {
		die()
	}
	for name := range ways {
		err := drive.Within(time.Until(died.Add(drive.Soon())), func() error {
			if line := entries(t, s.host.Etcd, name); len(line) != 1 {
				return fmt.Errorf("%+v", line)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: entries %v after the waiter's death = %v, want the holder's only", name, drive.Soon(), err)
		}
	}
	// Longer than it takes for a heartbeat, or for a late write, to come.
	for until := time.Now().Add(3 * time.Second); time.Now().Before(until); <-time.After(100 * time.Millisecond) {
		for name := range ways {
			if line := entries(t, s.host.Etcd, name); len(line) != 1 || line[0].State != "held" {
				t.Fatalf("%s: entries after the waiter's death = %+v, want the holder's only", name, line)
			}
		}
	}
	for name := range ways {
		s.want(http.StatusOK, http.MethodDelete, name, "index", s.do(http.MethodGet, name, "field", "index").Body)
		wantEntries(t, s.host.Etcd, name, 0)
	}
}

// F19: the plugin is killed, and with it go the locks, the places in the lines
// or their order.
func TestMode_F19_PluginKilled(t *testing.T) {
	t.Parallel()
	s := onHost(t, programs(t).Start(t, drive.Embedded))
	n := inLongRun(30, 100)
	type place struct {
		lock  string
		value string
		call  *call
		index uint64
	}
	var waiters []place
	holders := make([]string, n)
	for i := range n {
		holders[i] = s.take(fmt.Sprint("l", i), "ttl", "120", "value", fmt.Sprint("h", i))
	}
	for i := range n { // three in each line, one of them without a value
		p := place{lock: fmt.Sprint("l", i/3)}
		parameters := []string{"ttl", "120"}
		if i%3 != 1 {
			p.value = fmt.Sprint("w", i)
			parameters = append(parameters, "value", p.value)
		}
		p.call = s.queue(1+i%3, p.lock, parameters...)
		p.index = wantEntries(t, s.host.Etcd, p.lock, 2+i%3)[1+i%3].Created
		waiters = append(waiters, p)
	}
	before := s.host.Module("lock")
	drive.Signal(t, before.PID, syscall.SIGKILL)
	drive.Eventually(t, func() error {
		if m := s.host.Module("lock"); m.PID == before.PID || m.State != "ready" {
			return fmt.Errorf("%+v", m)
		}
		return nil
	})
	for i, index := range holders {
		name := fmt.Sprint("l", i)
		if r := s.do(http.MethodGet, name, "field", "index"); r.Body != index {
			t.Errorf("index of the holder of %s = %v, want %s", name, r, index)
		}
		s.want(http.StatusOK, http.MethodPut, name, "ttl", "120", "index", index)
		if r := s.do(http.MethodPost, name, "ttl", "120", "value", fmt.Sprint("h", i)); r.Body != index {
			t.Errorf("POST by the holder of %s = %v, want %s", name, r, index)
		}
	}
	again := make(map[int]*call)
	for i, w := range waiters {
		if w.value != "" {
			again[i] = s.begin(http.MethodPost, w.lock, "ttl", "120", "value", w.value)
		}
	}
	for i, w := range waiters {
		w.call.waitsStill(t)
		line := wantEntries(t, s.host.Etcd, w.lock, min(n-i/3*3, 3)-i%3+1)
		if got := line[1]; got.Created != w.index || got.Value != w.value {
			t.Errorf("first waiter of %s = %+v, want index %d", w.lock, got, w.index)
		}
		s.want(http.StatusOK, http.MethodDelete, w.lock, "index", strconv.FormatUint(line[0].Created, 10))
		if token := w.call.granted(); token != w.index {
			t.Errorf("token of waiter %d = %d, want %d, that of its place before", i, token, w.index)
		}
		if c := again[i]; c != nil {
			if token := c.granted(); token != w.index {
				t.Errorf("token of the repeated request of waiter %d = %d, want %d", i, token, w.index)
			}
		}
	}
}

// modePlants are faults that the failure modes' tests must see.
var modePlants = []plant{
	{"TestMode_F01_PausedHolder", "renewal of a lock that is lost is answered 200", breaks("sdk/queue/manage.go",
		`return fmt.Errorf("%s: %w", t, ErrNotInLine)`, "return nil")},
	{"TestMode_F02_WaiterEntryGone", "an entry that is gone is taken for the first", breaks("sdk/queue/place.go",
		"if p.joined {\n\t\t\tp.finish(outcome{err: ErrRemoved})",
		"if p.joined {\n\t\t\tp.finish(outcome{grant: &Grant{Index: p.entry.Created, TTL: d.ttl, start: time.Now()}})")},
	{"TestMode_F03_PredecessorRenews", "a renewal is taken for a release", breaks("sdk/queue/line.go",
		"if ev.Type == store.EventPut {", "if ev.Type == store.EventPut && ev.Entry.Created == ev.Entry.Modified {")},
	{"TestMode_F04_MiddleWaiterLeaves", "who leaves takes those ahead along", breaks("sdk/queue/line.go",
		"slices.Delete(l.items, i, i+1)", "slices.Delete(l.items, 0, i+1)")},
	{"TestMode_F05_OneValueManySessions", "entries are named by the request", breaks("sdk/queue/record.go",
		`if value == "" {`, `if value == "" || request != "" {`)},
	{"TestMode_F05_OneValueManySessions", "who leaves first takes the entry away", breaks("sdk/queue/place.go",
		"case len(others) > 0:\n\t\terr = p.swap(", "case false:\n\t\terr = p.swap(")},
	{"TestMode_F06_ReplyLost", "a create whose reply was lost is not looked for", []drive.Fault{
		{File: "sdk/store/etcdv2/write.go", Old: "case !errors.Is(err, errUnknown):\n\t\treturn store.Entry{}, err\n", New: "default:\n\t\treturn store.Entry{}, err\n"},
		{File: "sdk/queue/place.go", Old: "if p.entry.Created == 0 && !p.unsure || d.keep {", New: "if p.entry.Created == 0 || d.keep {"},
	}},
	{"TestMode_F06_ReplyLost", "a delete whose reply was lost did not happen", breaks("sdk/store/etcdv2/write.go",
		"case errors.Is(back, store.ErrNotFound) && lost:", "case false:")},
	{"TestMode_F07_ClientGoneAtTheGrant", "grants that reached nobody stay", breaks("sdk/queue/grant.go",
		"undo := d.pending == 0 && !d.reached && !d.shared", "undo := false")},
	{"TestMode_F07_ClientGoneAtTheGrant", "nobody asks whether the answer went out", breaks("plugins/lock/handlers.go",
		"err = http.NewResponseController(w).Flush()", "http.NewResponseController(w).Flush()")},
	{"TestMode_F08_HolderCrashes", "half of the TTL reaches the store", breaks("sdk/queue/place.go",
		"next, life := p.rec.with(held, d.ttl, nil), d.ttl\n", "next, life := p.rec.with(held, d.ttl, nil), d.ttl/2\n")},
	{"TestMode_F08_HolderCrashes", "nobody is woken by an expiry", breaks("sdk/store/etcdv2/watch.go",
		`case "expire":`, `case "expired":`)},
	{"TestMode_F09_LeaderKilled", "only the first endpoint is ever asked", breaks("sdk/store/etcdv2/ask.go",
		"n := (first + i) % len(s.endpoints)", "n := 0 * (first + i)")},
	{"TestMode_F10_CutOff", "the holder is told from the mirror", breaks("sdk/queue/manage.go",
		"e, err := q.store.Get(ctx, first.Key, store.Linearizable)", "e, err := first, error(nil)")},
	{"TestMode_F10_CutOff", "a call may take half a minute", breaks("sdk/store/etcdv2/ask.go",
		"const callTimeout = 4 * time.Second", "const callTimeout = 30 * time.Second")},
	{"TestMode_F11_ClockSkew", "half of the TTL reaches the store", breaks("sdk/queue/place.go",
		"next, life := p.rec.with(held, d.ttl, nil), d.ttl\n", "next, life := p.rec.with(held, d.ttl, nil), d.ttl/2\n")},
	{"TestMode_F12_LeaderStalls", "every call begins with the same endpoint", breaks("sdk/store/etcdv2/ask.go",
		"n := (first + i) % len(s.endpoints)", "n := 0*first + i")},
	{"TestMode_F13_HistoryOverrun", "a watch that was overrun is tried again for ever", breaks("sdk/queue/line.go",
		"errors.Is(err, store.ErrCompacted):", "errors.Is(err, store.ErrInvalid):")},
	{"TestMode_F14_SlowWatcher", "watches are streams", breaks("sdk/store/etcdv2/transport.go",
		"resp, err := t.Transport.RoundTrip(r)",
		"if r.URL.Query().Get(\"wait\") != \"\" {\n\t\tr.URL.RawQuery += \"&stream=true\"\n\t}\n\tresp, err := t.Transport.RoundTrip(r)")},
	{"TestMode_F16_NamesBeginAlike", "a slash stays one in the store", breaks("sdk/queue/record.go",
		"c == '-' {", "c == '-' || c == '/' {")},
	{"TestMode_F16_NamesBeginAlike", "other letters are written with their first digit only", breaks("sdk/queue/record.go",
		"b.WriteByte(hexDigits[c&15])", "")},
	{"TestMode_F17_DeadWaiterKeptAlive", "a request outlives its client", breaks("plugins/lock/handlers.go",
		"m.queue.Acquire(r.Context(), q)", "m.queue.Acquire(context.WithoutCancel(r.Context()), q)")},
	{"TestMode_F19_PluginKilled", "waiting requests die with their process", breaks("plugins/lock/handlers.go",
		"return q, x.Resumable()", "return q, nil")},
	{"TestMode_F19_PluginKilled", "a request has another name in the next process", breaks("plugins/lock/handlers.go",
		"q.ID = x.RequestID()", "q.ID = rand.Text()")},
	{"TestMode_F22_LongLine", "every look at the line reads all of it", breaks("sdk/queue/place.go",
		"if !p.stale && p.cur.State != held {", "if p.tried == \"?\" {")},
	{"TestMode_F23_ManyHoldersDie", "short TTLs are raised", breaks("sdk/queue/place.go",
		"next, life := p.rec.with(held, d.ttl, nil), d.ttl\n", "next, life := p.rec.with(held, d.ttl, nil), max(d.ttl, 30*time.Second)\n")},
}
