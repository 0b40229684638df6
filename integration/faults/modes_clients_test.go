package faults

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
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
func newSocket(t testing.TB, l *drive.Lock) *socket {
	t.Helper()
	address, path, _ := strings.Cut(strings.TrimPrefix(l.URL, "http://"), "/")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the copy stays open
	tcp := conn.(*net.TCPConn)
	if err := tcp.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(tcp, "POST /%s?ttl=600 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", path); err != nil {
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
