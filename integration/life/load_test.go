package life

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A load is clients of one module, each on a connection of its own, that make
// one request after the other: one in three asks who holds a lock, the others
// take locks, two clients each, and release them.
type load struct {
	t       testing.TB
	kind    kind
	host    *drive.Host
	stopped chan struct{}
	clients sync.WaitGroup

	mu       sync.Mutex     // guards the rest
	answers  map[string]int // as they should be, by method
	failures []failure
}

// A failure is a request that was answered in another way, or not at all.
type failure struct {
	method, path string
	sent, told   time.Time
	reply        drive.Reply
	err          error
}

func (f failure) String() string {
	return fmt.Sprintf("%s %s, sent %s, after %v = %v, %v", f.method, f.path, f.sent.Format("15:04:05.000"), f.told.Sub(f.sent).Round(time.Millisecond), f.reply, f.err)
}

// held is for how long the host holds a request for a process that starts.
const held = 2 * time.Second

// heldInVain reports whether no process came in that time.
func (f failure) heldInVain() bool {
	return f.err == nil && f.reply.Code() == moduleStarting && saysWhen(f.reply) && f.told.Sub(f.sent) >= held
}

// begin starts the load of so many clients.
func (k kind) begin(t testing.TB, h *drive.Host, clients int) *load {
	t.Helper()
	l := &load{t: t, kind: k, host: h, stopped: make(chan struct{}), answers: make(map[string]int)}
	drive.LockAt(t, h.URL+k.path("held")).Must(k.take, "ttl", 600, k.owner, "holder")
	for i := range clients {
		c := &client{load: l, conn: drive.NewConnection(t, h.URL), owner: fmt.Sprint("client", i), path: k.path(fmt.Sprint("load", i/2))}
		run := c.cycle
		if i%3 == 0 {
			run = c.look
		}
		l.clients.Go(func() {
			defer c.conn.Close()
			for !l.over() {
				run()
				pause()
			}
		})
	}
	t.Cleanup(l.stop)
	return l
}

func (l *load) over() bool {
	select {
	case <-l.stopped:
		return true
	default:
		return false
	}
}

// stop lets all clients finish what they do. It may be called again.
func (l *load) stop() {
	if !l.over() {
		close(l.stopped)
	}
	l.clients.Wait()
}

// end stops the load, logs what it was, and returns its failures.
func (l *load) end() []failure {
	l.t.Helper()
	l.stop()
	good := l.good()
	l.t.Logf("%s: %d requests, %v as they should be, %d failed", l.kind.name, good+len(l.failures), l.answers, len(l.failures))
	if good == 0 {
		l.t.Errorf("%s: no request was answered", l.kind.name)
	}
	return l.failures
}

// good is how many requests were answered as they should be.
func (l *load) good() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range maps.Values(l.answers) {
		n += k
	}
	return n
}

// await waits until n requests were answered as they should be.
func (l *load) await(n int) {
	l.t.Helper()
	drive.Eventually(l.t, func() error {
		if good := l.good(); good < n {
			return fmt.Errorf("%s: %d requests answered, want %d", l.kind.name, good, n)
		}
		return nil
	})
}

// unhurt ends the load, none of whose requests may have failed.
func (l *load) unhurt() {
	l.t.Helper()
	for _, f := range l.end() {
		l.t.Errorf("%s: %v", l.kind.name, f)
	}
}

// A client is one of a load.
type client struct {
	*load
	conn  *drive.Connection
	owner string
	path  string // of its lock
}

// look is a GET.
func (c *client) look() {
	c.send(http.MethodGet, c.kind.path("held"), func(r drive.Reply) bool { return r.Status == http.StatusOK && r.Body == "holder" })
}

// cycle takes the client's lock and releases it, each until it succeeds: after a
// failure nobody knows what has become of it.
func (c *client) cycle() {
	for !c.send(c.kind.take, c.path, func(r drive.Reply) bool { return r.Status == http.StatusOK }, "ttl", "60", c.kind.owner, c.owner) {
		if c.over() {
			return
		}
		pause()
	}
	failed := false
	for !c.send(http.MethodDelete, c.path, func(r drive.Reply) bool {
		return r.Status == http.StatusOK || failed && r.Status == http.StatusNotFound && r.Code() == keyNotFound
	}, c.kind.owner, c.owner) {
		if c.over() && failed {
			return // the lock ends with its TTL
		}
		failed = true
		pause()
	}
}

// pause is what a client does between its requests: so long that the clients of
// a load do not take all of two processors.
func pause() { <-time.After(rand.N(drive.Soon() / 16)) }

// Codes of errors. Source: module documentation, "Errors".
const (
	keyNotFound    = 100
	draining       = 703
	moduleStarting = 704
	moduleDied     = 706
	moduleDisabled = 708
)

// send makes one request and records whether it was answered as it should be.
func (c *client) send(method, path string, good func(drive.Reply) bool, parameters ...string) bool {
	f := failure{method: method, path: path, sent: time.Now()}
	f.reply, f.err = c.conn.Send(c.t.Context(), method, path, parameters...)
	f.told = time.Now()
	if c.t.Context().Err() != nil {
		return true // the test is over
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.err == nil && good(f.reply) {
		c.answers[method]++
		return true
	}
	c.failures = append(c.failures, f)
	return false
}
