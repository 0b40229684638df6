package drive

import (
	"context"
	"net/http"
	"testing"
	"time"
)

// A Call is a request under way. A client that the test does not need any more
// hangs up at its end.
type Call struct {
	Sent     time.Time
	Answered time.Time // may be read when the answer was waited for

	t      testing.TB
	what   string
	hangUp context.CancelFunc
	done   chan struct{} // closed when the rest is set, and Answered
	reply  Reply
	err    error
}

func begin(t testing.TB, what string, send func(context.Context) (Reply, error)) *Call {
	ctx, cancel := context.WithCancel(t.Context())
	c := &Call{Sent: time.Now(), t: t, what: what, hangUp: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.reply, c.err = send(ctx)
		c.Answered = time.Now()
	}()
	t.Cleanup(func() { cancel(); <-c.done })
	return c
}

// String is the request, as in the text of a failure.
func (c *Call) String() string { return c.what }

// HangUp breaks the connection off, whether there is an answer or not.
func (c *Call) HangUp() { c.hangUp() }

// Answer waits for the answer.
func (c *Call) Answer() Reply {
	c.t.Helper()
	select {
	case <-c.done:
	case <-time.After(Patience):
		c.t.Fatalf("%s: no answer after %v", c.what, Patience)
	}
	if c.err != nil {
		c.t.Fatalf("%s: %v", c.what, c.err)
	}
	return c.reply
}

// Granted waits for the lock and returns the index.
func (c *Call) Granted() (index uint64) {
	c.t.Helper()
	r := c.Answer()
	if r.Status != http.StatusOK {
		c.t.Fatalf("%s = %v, want the lock", c.what, r)
	}
	return r.Token(c.t)
}

// Refused waits for the answer, which must be an error, see [Lock.Refused].
func (c *Call) Refused(status, code int) {
	c.t.Helper()
	c.Answer().wantError(c.t, c.what, status, code)
}

// Over reports whether there is an answer, or will be none.
func (c *Call) Over() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// StillWaits checks that there is no answer so far.
func (c *Call) StillWaits() {
	c.t.Helper()
	if c.Over() {
		c.t.Errorf("%s = %v, %v, want it to wait", c.what, c.reply, c.err)
	}
}

// GoesOnWaiting is StillWaits after a little while, which is long enough for
// what has happened just before to reach the call; when says what that was.
func (c *Call) GoesOnWaiting(when string) {
	c.t.Helper()
	select {
	case <-c.done:
		c.t.Errorf("%s = %v, %v %s, want it to wait", c.what, c.reply, c.err, when)
	case <-time.After(300 * time.Millisecond):
	}
}
