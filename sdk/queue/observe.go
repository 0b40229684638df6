package queue

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// An Observer is told what a queue does, for metrics. Fields may be nil. They
// are called by several goroutines at a time, some of them with the queue's
// mutex held: they return at once and do not call the queue.
type Observer struct {
	// Granted: a request of this process obtained the lock. Of several that
	// share a place, each counts. waited is as of [Request.Since].
	Granted func(waited time.Duration)

	// TimedOut: a request's Wait was over. Refused: one that would not wait did
	// not obtain the lock at once. Left: a request's context ended while it
	// waited.
	TimedOut func(waited time.Duration)
	Refused  func()
	Left     func(waited time.Duration)

	// Renewed: an entry that holds its lock got a new TTL, by Renew or because
	// its owner asked for the lock again.
	Renewed func()

	// Released: Release removed an entry that held its lock, granted held ago
	// as the clock of the host that granted it says. Not what expired, and not
	// a grant that was taken back because it reached nobody.
	Released func(held time.Duration)

	// Expired: the store ended a held entry because its TTL was over. A mirror
	// has seen it: this is known only of locks that somebody waits for in this
	// process, and every process that has waiters of that lock is told.
	Expired func()

	// Lag: the watch has shown a heartbeat of this process so long after it was
	// sent, the write included. Heartbeats are sent every second while there are
	// requests in a line, and for half a minute after.
	Lag func(lag time.Duration)

	// Relisted: the mirror of a line has to be read anew. Why is RelistCompacted
	// or RelistSilent.
	Relisted func(why string)
}

// Why the mirror of a line is read anew, see [Observer].
const (
	RelistCompacted = "compacted" // the store no longer keeps the changes that the watch would show next
	RelistSilent    = "silent"    // the watch has not shown a heartbeat for too long
)

// filled returns o with functions that do nothing where there is none.
func (o Observer) filled() Observer {
	for _, f := range []*func(time.Duration){&o.Granted, &o.TimedOut, &o.Left, &o.Released, &o.Lag} {
		if *f == nil {
			*f = func(time.Duration) {}
		}
	}
	for _, f := range []*func(){&o.Refused, &o.Renewed, &o.Expired} {
		if *f == nil {
			*f = func() {}
		}
	}
	if o.Relisted == nil {
		o.Relisted = func(string) {}
	}
	return o
}

// told passes the answer to w on, and counts it.
func (q *Queue) told(w *waiter, o outcome) (*Grant, error) {
	switch {
	case o.grant != nil && o.again:
		q.observer.Renewed()
	case o.grant != nil:
		q.observer.Granted(time.Since(w.since))
	case errors.As(o.err, new(*NotObtainedError)): // by who waits for an answer, that is at once
		q.observer.Refused()
	}
	return o.grant, o.err
}

// gaveUp counts a request that ended without an answer.
func (q *Queue) gaveUp(ctx context.Context, w *waiter, why error) {
	switch {
	case errors.As(why, new(*NotObtainedError)):
		q.observer.TimedOut(time.Since(w.since))
	case ctx.Err() != nil:
		q.observer.Left(time.Since(w.since))
	}
}

// Waiting returns how many requests of this process are in Acquire.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, l := range q.lines {
		for _, p := range l.places {
			n += len(p.waiters)
		}
	}
	return n
}

// A Census counts the entries of all lines in the store, whichever process has
// made them, at one revision.
type Census struct {
	Held     int // locks that are held
	Waiting  int // entries that do not hold their lock; each may have several requests
	Revision store.Revision
}

// Census counts. It reads all entries of all lines, by one linearizable
// listing: on a cluster of several v2 members that is one raft entry. A hundred
// thousand entries are some 30 MB, so don't ask often.
// [store.ErrUnavailable] and ctx's error as for any read.
func (q *Queue) Census(ctx context.Context) (Census, error) {
	list, err := q.store.List(ctx, linesDir, store.Linearizable)
	if err != nil {
		return Census{}, err
	}
	c := Census{Revision: list.Revision}
	begun := make(map[string]bool) // lines whose first entry was seen
	for _, it := range decodeAll(list.Entries) {
		dir := strings.TrimSuffix(it.entry.Key, "/"+it.id)
		if !begun[dir] && it.rec.State == held {
			c.Held++
		} else {
			c.Waiting++
		}
		begun[dir] = true
	}
	return c, nil
}
