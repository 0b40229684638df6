package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A lockClient is what a story has to do with one lock of one host. The TTL of
// what it asks for is ten minutes where the story says nothing else.
type lockClient struct {
	t    *testing.T
	http *http.Client
	host *drive.Host
	path string
}

// lockOf takes the name as it stands in the URL.
func lockOf(t *testing.T, h *drive.Host, name string) *lockClient {
	return &lockClient{t, drive.NewHTTPClient(t), h, "/mod/v2/lock/" + name}
}

func (l *lockClient) address() string { return l.host.URL + l.path }

// ask makes a request that must be answered.
func (l *lockClient) ask(method string, parameters ...string) drive.Reply {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), drive.Patience)
	defer cancel()
	r, err := drive.Send(ctx, l.http, method, l.address(), parameters...)
	if err != nil {
		l.t.Fatalf("%s %s with %q: %v", method, l.path, parameters, err)
	}
	return r
}

// must is ask for what is done; it returns the body.
func (l *lockClient) must(method string, parameters ...string) string {
	l.t.Helper()
	r := l.ask(method, parameters...)
	if r.Status != http.StatusOK {
		l.t.Fatalf("%s %s with %q = %v, want 200", method, l.path, parameters, r)
	}
	return r.Body
}

// refused is ask for what must be an error; code is etcd's.
func (l *lockClient) refused(status, code int, method string, parameters ...string) {
	l.t.Helper()
	wantError(l.t, fmt.Sprintf("%s %s with %q", method, l.path, parameters), l.ask(method, parameters...), status, code)
}

func wantError(t *testing.T, what string, r drive.Reply, status, code int) {
	t.Helper()
	if r.Status != status || codeOf(r) != code {
		t.Errorf("%s = %v, want %d with code %d", what, r, status, code)
	}
}

// codeOf is the errorCode of an error answer, 0 if it is none.
func codeOf(r drive.Reply) int {
	var e struct{ ErrorCode int }
	if json.Unmarshal([]byte(r.Body), &e) != nil {
		return 0
	}
	return e.ErrorCode
}

// take gets the lock, which must be free; it returns the index.
func (l *lockClient) take(parameters ...string) string {
	l.t.Helper()
	return l.must(http.MethodPost, append(lasting(parameters), "timeout", "0")...)
}

// lasting adds a TTL if there is none.
func lasting(parameters []string) []string {
	if slices.Contains(parameters, "ttl") {
		return parameters
	}
	return append([]string{"ttl", "600"}, parameters...)
}

func (l *lockClient) state() drive.LockState {
	l.t.Helper()
	return drive.StateOf(l.t, l.http, l.address())
}

// wantHeld checks who holds the lock, with nearly all of the ten minutes left,
// and how many wait.
func (l *lockClient) wantHeld(index, value string, waiting int) {
	l.t.Helper()
	s := l.state()
	if fmt.Sprint(s.Index) != index || s.Value != value || s.Waiting != waiting || s.Remaining < 500 {
		l.t.Errorf("%s is %+v, want it held by %q, index %s, for ten minutes, and %d waiting", l.path, s, value, index, waiting)
	}
}

// inVain lets a client more wait for so many seconds and go away. It is the
// event that comes after: what others are told wrongly they have been told by
// then.
func (l *lockClient) inVain(seconds int, holder string) {
	l.t.Helper()
	r := l.ask(http.MethodPost, "ttl", "600", "timeout", strconv.Itoa(seconds))
	if r.Status != http.StatusLocked || !strings.Contains(r.Body, "held by index "+holder+",") {
		l.t.Errorf("%s: a client that waits %d s = %v, want 423, held by index %s", l.path, seconds, r, holder)
	}
}

// A waiting request is one that is not expected to be answered at once.
type waiting struct {
	l     *lockClient
	what  string
	done  chan struct{} // closed when the rest is set
	reply drive.Reply
	err   error
}

// post sends a request and goes on.
func (l *lockClient) post(parameters ...string) *waiting {
	parameters = lasting(parameters)
	ctx, cancel := context.WithCancel(l.t.Context())
	w := &waiting{l: l, what: fmt.Sprintf("POST %s with %q", l.path, parameters), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		w.reply, w.err = drive.Send(ctx, l.http, http.MethodPost, l.address(), parameters...)
	}()
	l.t.Cleanup(func() { cancel(); <-w.done })
	return w
}

// wait sends a request that becomes the n-th in the line behind the holder.
func (l *lockClient) wait(n int, parameters ...string) *waiting {
	l.t.Helper()
	w := l.post(parameters...)
	l.awaitWaiting(n, w)
	return w
}

// awaitWaiting waits until n wait behind the holder; some must be among them.
func (l *lockClient) awaitWaiting(n int, some ...*waiting) {
	l.t.Helper()
	drive.Eventually(l.t, func() error {
		for _, w := range some {
			w.stillWaits()
		}
		if l.t.Failed() {
			l.t.FailNow()
		}
		if s := l.state(); s.Waiting != n {
			return fmt.Errorf("%d waiting, want %d", s.Waiting, n)
		}
		return nil
	})
}

// answer waits for it.
func (w *waiting) answer() drive.Reply {
	w.l.t.Helper()
	select {
	case <-w.done:
	case <-time.After(drive.Patience):
		w.l.t.Fatalf("%s: no answer after %v", w.what, drive.Patience)
	}
	if w.err != nil {
		w.l.t.Fatalf("%s: %v", w.what, w.err)
	}
	return w.reply
}

// granted waits for the lock and returns the index.
func (w *waiting) granted() string {
	w.l.t.Helper()
	r := w.answer()
	if r.Status != http.StatusOK {
		w.l.t.Fatalf("%s = %v, want the lock", w.what, r)
	}
	return r.Body
}

// stillWaits checks that it was not answered so far.
func (w *waiting) stillWaits() {
	w.l.t.Helper()
	select {
	case <-w.done:
		w.l.t.Errorf("%s = %v, %v, want it to wait: somebody else holds the lock", w.what, w.reply, w.err)
	default:
	}
}

// A caller is a client on a connection of its own that it can leave in the
// manner of a program that is killed, and still know whether it was answered:
// it closes its own side only.
type caller struct {
	t    *testing.T
	conn *net.TCPConn
}

// call sends a POST with parameters in the query and goes on.
func (l *lockClient) call(parameters ...string) *caller {
	l.t.Helper()
	query := url.Values{"ttl": {"600"}}
	for i := 0; i < len(parameters); i += 2 {
		query.Set(parameters[i], parameters[i+1])
	}
	c := dial(l.t, l.host)
	if _, err := fmt.Fprintf(c.conn, "POST %s?%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", l.path, query.Encode()); err != nil {
		l.t.Fatal(err)
	}
	return c
}

func dial(t *testing.T, h *drive.Host) *caller {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() }) //nolint:errcheck // it may be closed
	return &caller{t, conn.(*net.TCPConn)}
}

// answer reads an answer; the connection stays open. The zero Reply says that
// the host has closed the connection without one.
func (c *caller) answer() drive.Reply {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(drive.Patience)); err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c.conn), nil)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close() //nolint:errcheck // read to the end
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("the host has neither answered nor closed the connection after %v", drive.Patience)
	}
	if err != nil {
		return drive.Reply{}
	}
	return drive.Reply{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}
}

// leave hangs up and returns the grant that came all the same, else "".
func (c *caller) leave() string {
	c.t.Helper()
	defer c.conn.Close() //nolint:errcheck // all has been read
	if err := c.conn.CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
	return c.answer().Body
}

// An etcdNode is a key as etcd's v2 API shows it.
type etcdNode struct {
	Key           string
	Value         string
	ModifiedIndex uint64
	Expiration    string
	Nodes         []etcdNode
}

// etcd reads a key, or a directory with all that is in it; false if there is none.
func (l *lockClient) etcd(key string) (etcdNode, bool) {
	l.t.Helper()
	r := drive.Must(l.t, l.http, http.MethodGet, l.host.Etcd+"/v2/keys"+key, "recursive", "true", "sorted", "true")
	var answer struct{ Node etcdNode }
	if r.Status == http.StatusNotFound {
		return answer.Node, false
	}
	if err := json.Unmarshal([]byte(r.Body), &answer); r.Status != http.StatusOK || err != nil {
		l.t.Fatalf("etcd: GET %s = %v, %v", key, r, err)
	}
	return answer.Node, true
}

// linesDir is where the module has its locks in etcd, one directory each.
const linesDir = "/_mod/lock/q/"
