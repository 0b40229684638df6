package queue

import (
	"errors"
	"fmt"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

var (
	// ErrRemoved is returned by Acquire when the entry it waited with was
	// deleted, and when a grant ran out before it could be told.
	ErrRemoved = errors.New("entry removed while waiting")

	// ErrDraining is returned by Acquire when the process is about to end.
	// The place in the line is given up.
	ErrDraining = errors.New("draining")

	// ErrHandover is returned by Acquire when a successor process is ready:
	// the place in the line is kept for the same request made there.
	ErrHandover = errors.New("handed over to the next process")

	// ErrNotInLine is returned by Renew and Release when the line has no such
	// index or value.
	ErrNotInLine = errors.New("no such entry in the line")
)

// A NotObtainedError is returned by Acquire when the lock was not obtained in
// the time allowed. It tells what stood in the way.
type NotObtainedError struct {
	Status   Status // who holds it
	Position int    // own place in the line, 1 = next after the holder; 0 if never queued
}

func (e *NotObtainedError) Error() string {
	who := "nobody yet, its first waiter is being told"
	if e.Status.Held {
		who = fmt.Sprintf("index %d", e.Status.Index)
	}
	return fmt.Sprintf("held by %s", who)
}

// A Status says who holds a lock.
type Status struct {
	Held      bool
	Index     store.Revision // of the holder; the zero value and below if not Held
	Value     string
	Since     time.Time     // of the grant, by the clock of the host that wrote it
	Remaining time.Duration // of the holder's TTL, as etcd counts it: whole seconds rounded up
	Waiting   int           // entries behind the holder
	Revision  store.Revision
}

// A Grant is a lock obtained or renewed.
type Grant struct {
	// Index is the revision at which the entry was created. It only grows
	// from grant to grant of one lock and is the fencing token.
	Index store.Revision
	Value string
	TTL   time.Duration

	start    time.Time // before the write that started the TTL was sent
	delivery *delivery // nil for renewals: nothing to take back
}

// margin is taken off what a client may rely on, for clocks of client and
// store that run at slightly different speed.
func margin(ttl time.Duration) time.Duration {
	return 100*time.Millisecond + ttl/1000
}

// ValidFor says how long the holder may rely on the grant, counted from the
// time at which its request was sent, for a request that was received at
// received (not before it was sent). It is never longer than the store keeps
// the entry.
func (g *Grant) ValidFor(received time.Time) time.Duration {
	return max(0, g.start.Sub(received)+g.TTL-margin(g.TTL))
}

// left is what remains of the grant now, by the local clock.
func (g *Grant) left() time.Duration {
	return g.TTL - margin(g.TTL) - time.Since(g.start)
}

// Delivered reports whether the grant reached its client: err is what kept it
// from it. Every grant that Acquire returned must be reported once. A grant
// that this process brought about and that reached nobody is released.
func (g *Grant) Delivered(err error) {
	if g.delivery != nil {
		g.delivery.report(err == nil)
	}
}

// A delivery is shared by all requests of this process that one grant write
// was the answer to.
type delivery struct {
	q       *Queue
	entry   store.Entry // as the grant left it
	rec     record      // its content
	others  []string    // sessions of other processes that wait on it too
	pending int         // guarded by q.mu
	reached bool        // guarded by q.mu
}

func (d *delivery) report(ok bool) {
	d.q.mu.Lock()
	d.pending--
	d.reached = d.reached || ok
	undo := d.pending == 0 && !d.reached
	d.q.mu.Unlock()
	if undo {
		d.q.takeBack(d)
	}
}
