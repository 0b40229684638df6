package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

const (
	// sessionTTL is how long a process may be out of touch with the store
	// before others clear away what it left waiting.
	sessionTTL = 8 * time.Second

	// beat is the interval of heartbeats. A watch that does not show them for
	// beatLost is not to be trusted.
	beat     = time.Second
	beatLost = 3 * time.Second

	// sessionIdle is how long a session is kept up without places.
	sessionIdle = 30 * time.Second

	// farewell is the content of the entry of a session that has handed all its
	// requests over and will never wait again: others then know that it is not
	// only missing. Its successor may have looked for sessions only after the
	// end, but has done so within farewellTTL.
	farewell    = "handed over"
	farewellTTL = time.Minute
)

// A session keeps one small entry in the store as long as this process has
// requests in a line, so that others can tell them from left-overs, and
// watches those of others. Its heartbeats are ordinary writes, which the watch
// must show: that is how it knows that the watch is alive.
type session struct {
	q     *Queue
	id    string
	key   string
	ended []string // sessions of processes known to have ended

	start chan struct{} // capacity 1: somebody needs the session
	born  time.Time     // from which heartbeats are dated

	mu       sync.Mutex // guards what follows
	up       chan struct{}
	beaten   time.Time                 // when the latest heartbeat was sent that succeeded
	live     map[string]bool           // sessions in the store, by key segment
	rev      store.Revision            // of live
	seen     time.Time                 // when the latest of our own heartbeats was sent that the watch has shown
	since    map[string][]absence      // of sessions that are missed, by key, the oldest first
	goodbyes map[string]store.Revision // of those that took their entry away themselves, by key
	over     map[string]bool           // those that have said farewell, by key
	suspects bool                      // entries may be waiting somewhere on sessions that are gone
	until    time.Time                 // suspects stays until then, whatever is found
}

// An absence says that a session was missed from then on, in a view as of rev.
// What was written later, and names the session, has an absence of its own:
// whoever wrote it was there after the earlier one had begun.
type absence struct {
	at  time.Time
	rev store.Revision
}

func newSession(q *Queue, id string, ended []string) *session {
	return &session{
		q: q, id: id, key: sessionKey(id), ended: ended,
		start:    make(chan struct{}, 1),
		born:     time.Now(),
		up:       make(chan struct{}),
		since:    make(map[string][]absence),
		goodbyes: make(map[string]store.Revision),
		over:     make(map[string]bool),
	}
}

func sessionKey(id string) string { return sessionsDir + "/" + encodeSegment(id) }

// ensure returns when the session's entry is in the store. Entries that wait
// must not name a session before that: they would look left over.
func (s *session) ensure(ctx context.Context) error {
	up := s.fresh()
	select {
	case <-up:
		return nil
	default:
	}
	s.need()
	t := time.NewTimer(4 * time.Second)
	defer t.Stop()
	select {
	case <-up:
		return nil
	case <-t.C:
		return store.ErrUnavailable
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fresh returns the channel that is closed when the session's entry is in the
// store: after an outage the entry has expired there, and it was missed by
// others for as long as that, so it must be written again first.
func (s *session) fresh() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.up:
		if time.Since(s.beaten) >= sessionTTL {
			s.up = make(chan struct{})
		}
	default:
	}
	return s.up
}

func (s *session) need() {
	select {
	case s.start <- struct{}{}:
	default:
	}
}

// suspect asks for a look through all lines.
func (s *session) suspect() {
	s.mu.Lock()
	s.suspects = true
	s.mu.Unlock()
	s.need()
}

// suspectFor is suspect for so long: what is to be found may come only then.
func (s *session) suspectFor(d time.Duration) {
	s.mu.Lock()
	s.until = time.Now().Add(d)
	s.mu.Unlock()
	s.suspect()
}

func (s *session) suspecting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.suspects
}

// run waits until the session is needed and keeps it up while it is.
func (s *session) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.start:
			s.keep(ctx)
		}
	}
}

// keep holds the session up until it was idle for long enough or ctx ends.
func (s *session) keep(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()

	var e store.Entry
	used := time.Now()
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	var again context.CancelFunc // ends the current watch of sessions
	opened := time.Now()
	swept := time.Now()
	for {
		now := time.Now()
		next, err := s.heartbeat(ctx, e)
		switch {
		case err == nil:
			e = next
			if again == nil {
				var wctx context.Context
				wctx, again = context.WithCancel(ctx)
				watching.Go(func() { s.watch(wctx) })
				opened = now
			}
			s.beat(now)
			s.set(true)
		case errors.Is(err, context.Canceled):
			return
		default:
			s.q.log.Warn("session heartbeat failed", "session", s.id, "error", err)
		}
		if s.lost(opened) && again != nil {
			// The watch, or the member behind it, is out of touch: start
			// over, here and in every mirror, and forget what was missed.
			again()
			again = nil
			s.reset()
			s.q.relistAll()
		}
		if s.q.hasPlaces() || s.suspecting() {
			used = now
		}
		if now.Sub(used) > sessionIdle {
			s.set(false)
			if s.q.hasPlaces() { // came between the two looks
				continue
			}
			if again != nil {
				again()
			}
			s.reset()
			if err := s.q.store.Delete(ctx, e); err != nil {
				s.q.log.Debug("session left to expire", "session", s.id, "error", err)
			}
			return
		}
		s.q.judgeMirrors(ctx)
		if age := now.Sub(swept); age >= sweepEvery || s.suspecting() && (age >= suspectEvery || s.overdue(swept)) {
			s.q.sweep(ctx)
			swept = now
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.start:
		}
	}
}

// heartbeat writes the session's entry, under the same name as before should
// it have expired.
func (s *session) heartbeat(ctx context.Context, e store.Entry) (store.Entry, error) {
	// It differs each time, so that a lost reply can be told, and says when it
	// was sent: a watch that was held up shows old ones, which prove nothing.
	content := rand.Text() + " " + strconv.FormatInt(int64(time.Since(s.born)), 10)
	if e.Created != 0 {
		next, err := s.q.store.Swap(ctx, e, content, sessionTTL)
		if !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrChanged) {
			return next, err
		}
	}
	// Nobody else writes this key, so whatever is there is ours.
	return s.q.store.Put(ctx, s.key, content, sessionTTL)
}

func (s *session) beat(sent time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beaten = sent
}

// set says whether entries may name the session.
func (s *session) set(up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.up:
		if !up {
			s.up = make(chan struct{})
		}
	default:
		if up {
			close(s.up)
		}
	}
}

// reset forgets what other sessions look like: contact was interrupted, and
// a session missed before may have been there meanwhile.
func (s *session) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live, s.rev, s.seen = nil, 0, time.Time{}
	clear(s.since)
	clear(s.goodbyes)
}

// end takes the session's entry out of the store, so that nobody has to wait
// for its expiry. Called when run has ended.
func (s *session) end(ctx context.Context) {
	s.mu.Lock()
	up := s.up
	s.mu.Unlock()
	select {
	case <-up:
	default:
		return
	}
	err := s.depart(ctx)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.q.log.Debug("session left to expire", "session", s.id, "error", err)
	}
}

// depart writes the session's last word, or none.
func (s *session) depart(ctx context.Context) error {
	s.q.mu.Lock()
	handover := s.q.handover
	s.q.mu.Unlock()
	if handover {
		_, err := s.q.store.Put(ctx, s.key, farewell, farewellTTL)
		return err
	}
	e, err := s.q.store.Get(ctx, s.key, store.Linearizable)
	if err != nil {
		return err
	}
	return s.q.store.Delete(ctx, e)
}
