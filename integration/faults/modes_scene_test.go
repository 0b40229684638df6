package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A scene is a host and a client of it.
type scene struct {
	t    *testing.T
	host *drive.Host
	http *http.Client
}

func onHost(t *testing.T, h *drive.Host) *scene { return &scene{t, h, drive.NewHTTPClient(t)} }

func (s *scene) lock(name string) string { return s.host.URL + "/mod/v2/lock/" + name }

// do makes a request that must get an answer.
func (s *scene) do(method, name string, parameters ...string) drive.Reply {
	s.t.Helper()
	return drive.Must(s.t, s.http, method, s.lock(name), parameters...)
}

// want makes a request that must get an answer with that status.
func (s *scene) want(status int, method, name string, parameters ...string) drive.Reply {
	s.t.Helper()
	r := s.do(method, name, parameters...)
	if r.Status != status {
		s.t.Errorf("%s %s %q = %v, want %d", method, name, parameters, r, status)
	}
	return r
}

// take obtains a lock that must be free, and returns its index as text.
func (s *scene) take(name string, parameters ...string) string {
	s.t.Helper()
	r := s.do(http.MethodPost, name, append(parameters, "timeout", "0")...)
	r.Token(s.t)
	return r.Body
}

// A call is a request under way.
type call struct {
	t        *testing.T
	what     string
	hangUp   context.CancelFunc
	done     chan struct{} // closed when what follows is set
	sent     time.Time
	answered time.Time
	reply    drive.Reply
	err      error
}

// begin sends a request without waiting for the answer.
func (s *scene) begin(method, name string, parameters ...string) *call {
	ctx, cancel := context.WithCancel(s.t.Context())
	c := &call{t: s.t, hangUp: cancel, done: make(chan struct{}), sent: time.Now()}
	c.what = fmt.Sprintf("%s %s %q", method, name, parameters)
	go func() { // ends with the test's context at the latest
		defer cancel()
		defer close(c.done)
		c.reply, c.err = drive.Send(ctx, s.http, method, s.lock(name), parameters...)
		c.answered = time.Now()
	}()
	return c
}

// queue begins a POST and returns when n entries wait behind the holder.
func (s *scene) queue(n int, name string, parameters ...string) *call {
	s.t.Helper()
	c := s.begin(http.MethodPost, name, parameters...)
	drive.AwaitWaiting(s.t, s.http, s.lock(name), n)
	return c
}

// end waits for the answer, for as long as limit.
func (c *call) end(limit time.Duration) drive.Reply {
	c.t.Helper()
	select {
	case <-c.done:
	case <-time.After(limit):
		c.t.Fatalf("%s: no answer after %v", c.what, limit)
	}
	if c.err != nil {
		c.t.Errorf("%s: %v", c.what, c.err)
	}
	return c.reply
}

// granted waits until the call is answered with a grant.
func (c *call) granted() uint64 {
	c.t.Helper()
	return c.end(drive.Patience).Token(c.t)
}

// waits checks that the call is not answered for a little while, which is long
// enough for what has happened just before to reach it.
func (c *call) waits(why string) {
	c.t.Helper()
	select {
	case <-c.done:
		c.t.Errorf("%s = %v, %v %s, want it to wait", c.what, c.reply, c.err, why)
	case <-time.After(300 * time.Millisecond):
	}
}

// waitsStill checks that there is no answer yet.
func (c *call) waitsStill(t testing.TB) {
	t.Helper()
	select {
	case <-c.done:
		t.Errorf("%s = %v, %v, want it to wait", c.what, c.reply, c.err)
	default:
	}
}

// An entry is what etcd has of one place in a line.
type entry struct {
	Key               string
	Created, Modified uint64
	State, Value      string
}

// entries asks etcd for what is in the line of a lock whose name is of letters
// and digits, "" for all lines, the oldest first.
func entries(t testing.TB, etcd, name string) []entry {
	t.Helper()
	resp, err := http.Get(etcd + "/v2/keys/_mod/lock/q/" + name + "?recursive=true")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	type node struct {
		Key, Value                  string
		CreatedIndex, ModifiedIndex uint64
		Dir                         bool
		Nodes                       []json.RawMessage
	}
	var answer struct{ Node json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	var found []entry
	var walk func(json.RawMessage)
	walk = func(text json.RawMessage) {
		var n node
		if len(text) == 0 {
			return
		}
		if err := json.Unmarshal(text, &n); err != nil {
			t.Fatal(err)
		}
		for _, sub := range n.Nodes {
			walk(sub)
		}
		if n.Dir {
			return
		}
		e := entry{Key: n.Key, Created: n.CreatedIndex, Modified: n.ModifiedIndex}
		if err := json.Unmarshal([]byte(n.Value), &e); err != nil {
			t.Fatalf("%s: %v", n.Key, err)
		}
		found = append(found, e)
	}
	walk(answer.Node)
	slices.SortFunc(found, func(a, b entry) int { return int(int64(a.Created) - int64(b.Created)) })
	return found
}

// wantEntries waits until etcd has n entries in the line, and returns them.
func wantEntries(t testing.TB, etcd, name string, n int) (found []entry) {
	t.Helper()
	drive.Eventually(t, func() error {
		if found = entries(t, etcd, name); len(found) != n {
			return fmt.Errorf("entries of %s = %v, want %d", name, found, n)
		}
		return nil
	})
	return found
}

// removeEntry takes an entry out of etcd behind the plugin's back.
func removeEntry(t testing.TB, etcd, key string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, etcd+"/v2/keys"+key, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close() //nolint:errcheck // not read
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("DELETE %s = %s, want 200", key, resp.Status)
	}
}

// A storage is what a lock protects. It takes writes that carry a token, and
// refuses those with an older token than one that it has seen.
type storage struct {
	URL string

	mu      sync.Mutex // guards the rest
	newest  uint64
	first   map[uint64]time.Time // when a token was seen for the first time
	refused map[uint64]int
}

func newStorage(t testing.TB) *storage {
	st := &storage{first: make(map[uint64]time.Time), refused: make(map[uint64]int)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := strconv.ParseUint(r.FormValue("token"), 10, 64)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		st.mu.Lock()
		defer st.mu.Unlock()
		if token < st.newest {
			st.refused[token]++
			w.WriteHeader(http.StatusConflict)
			return
		}
		st.newest = token
		if st.first[token].IsZero() {
			st.first[token] = time.Now()
		}
	}))
	t.Cleanup(server.Close)
	st.URL = server.URL
	return st
}

// awaitWrite waits for the first write with a token newer than after.
func (st *storage) awaitWrite(t testing.TB, after uint64) (token uint64, at time.Time) {
	t.Helper()
	drive.Eventually(t, func() error {
		st.mu.Lock()
		defer st.mu.Unlock()
		if token, at = st.newest, st.first[st.newest]; token <= after {
			return fmt.Errorf("no write with a token above %d", after)
		}
		return nil
	})
	return token, at
}

// write sends one write to the storage.
func (st *storage) write(t testing.TB, token string) {
	t.Helper()
	resp, err := http.Get(st.URL + "?token=" + token)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close() //nolint:errcheck // not read
}

func (st *storage) refusals(token uint64) int {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.refused[token]
}

// A holder is a shell script, with a process group of its own, that takes a
// lock and then writes to the storage for ever. It never looks at the clock.
type holder struct {
	t   testing.TB
	pid int
}

func startHolder(t testing.TB, lock string, ttl int, st *storage) *holder {
	t.Helper()
	cmd := exec.Command("bash", "-c", `
		token=$(curl -sf -X POST "$0" -d ttl="$1") || exit
		while curl -s -o /dev/null "$2" -d token="$token"; do sleep 0.02; done
	`, lock, strconv.Itoa(ttl), st.URL)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h := &holder{t, cmd.Process.Pid}
	t.Cleanup(func() {
		syscall.Kill(-h.pid, syscall.SIGKILL) //nolint:errcheck // it may have ended
		cmd.Wait()                            //nolint:errcheck // it was killed
	})
	return h
}

func (h *holder) signal(sig syscall.Signal) {
	h.t.Helper()
	drive.Signal(h.t, -h.pid, sig)
}

// each calls do for 0 to n-1, so many at a time.
func each(workers, n int, do func(i int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range workers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	wg.Wait()
}

// A socket is a client's connection that is closed with a reset, as that of a
// client which crashes or whose network breaks off.
type socket struct{ fd int }

// newSocket asks for a lock.
func newSocket(t testing.TB, s *scene, name string) *socket {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.host.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the copy stays open
	tcp := conn.(*net.TCPConn)
	if err := tcp.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(tcp, "POST /mod/v2/lock/%s?ttl=600 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", name); err != nil {
		t.Fatal(err)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	k := &socket{}
	syscall.ForkLock.RLock() // a process that is started now must not get a copy of it
	defer syscall.ForkLock.RUnlock()
	if e := raw.Control(func(fd uintptr) { k.fd, err = syscall.Dup(int(fd)) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	syscall.CloseOnExec(k.fd)
	return k
}

// reset breaks the connection off, and reports whether an answer had arrived.
// Go's own calls would let others run between the look and the reset, and
// answers arrive meanwhile.
func (k *socket) reset() (answered bool) {
	var b [1]byte
	n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(k.fd), uintptr(unsafe.Pointer(&b)), 1,
		syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
	syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(k.fd), 0, 0) //nolint:errcheck // it is to be broken
	return e == 0 && n > 0
}
