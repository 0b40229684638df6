package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"strings"
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

// watch mirrors the sessions of all processes until ctx ends. After that it
// changes nothing any more, as another watch may have begun.
func (s *session) watch(ctx context.Context) {
	var pause backoff
	for {
		asked := time.Now()
		list, err := s.q.store.List(ctx, sessionsDir, store.Linearizable)
		if err == nil {
			s.load(ctx, list, asked)
			err = s.follow(ctx, list.Revision)
		}
		if err != nil && !pause.wait(ctx) {
			return
		}
	}
}

func (s *session) load(ctx context.Context, list store.Listing, asked time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	// What was missed before may have been there between the two views.
	clear(s.since)
	s.live = make(map[string]bool, len(list.Entries))
	for _, e := range list.Entries {
		if e.Value == farewell {
			s.parted(e)
			continue
		}
		s.alive(e.Key)
	}
	s.rev, s.seen = list.Revision, asked
}

// alive notes that the session of key is there. Called with mu held.
func (s *session) alive(key string) {
	s.live[key] = true
	delete(s.since, key)
	delete(s.goodbyes, key)
}

// parted notes that the session of e has said farewell. Called with mu held.
func (s *session) parted(e store.Entry) {
	s.over[e.Key] = true
	s.goodbyes[e.Key] = e.Modified
}

func (s *session) follow(ctx context.Context, rev store.Revision) error {
	w := s.q.store.Watch(sessionsDir, rev)
	defer w.Close() //nolint:errcheck // nothing of ours depends on it
	for {
		events, err := w.Next(ctx)
		if err != nil {
			return err
		}
		s.apply(ctx, events)
	}
}

func (s *session) apply(ctx context.Context, events []store.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	for _, ev := range events {
		s.rev = ev.Revision
		switch {
		case ev.Type == store.EventPut && ev.Entry.Value != farewell:
			s.alive(ev.Entry.Key)
		default:
			if ev.Type == store.EventPut {
				s.parted(ev.Entry)
			} else if ev.Type == store.EventDelete {
				s.goodbyes[ev.Entry.Key] = ev.Revision
			}
			if s.live[ev.Entry.Key] && s.inTouchLocked() {
				s.since[ev.Entry.Key] = []absence{{time.Now(), ev.Revision}}
			}
			delete(s.live, ev.Entry.Key)
			s.suspects = true
		}
		if ev.Entry.Key == s.key && ev.Type == store.EventPut {
			_, at, _ := strings.Cut(ev.Entry.Value, " ")
			if n, err := strconv.ParseInt(at, 10, 64); err == nil {
				s.seen = s.born.Add(time.Duration(n))
				s.q.observer.Lag(time.Since(s.seen))
			}
		}
	}
}

// lost reports that the watch opened at opened has not shown a heartbeat for
// too long.
func (s *session) lost(opened time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.seen
	if opened.After(last) {
		last = opened
	}
	return time.Since(last) > beatLost
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

// inTouchLocked reports whether the watch shows what the store does.
func (s *session) inTouchLocked() bool {
	return s.live != nil && time.Since(s.seen) <= beatLost
}

// saidGoodbye reports whether the session id has ended itself after rev and is
// not back, or has said farewell at any time. It had no requests then, or had
// handed them over.
func (s *session) saidGoodbye(id string, rev store.Revision) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := sessionKey(id)
	return s.over[key] || s.goodbyes[key] > rev
}

// dead reports whether the session id has been missed for a whole session TTL
// of uninterrupted contact, in a view at least as new as rev.
func (s *session) dead(id string, rev store.Revision) bool {
	if id == s.id {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.inTouchLocked() {
		clear(s.since) // our own view is in doubt, so nobody is
		return false
	}
	key := sessionKey(id)
	if s.live[key] || s.rev < rev {
		return false
	}
	list := s.since[key]
	if len(list) == 0 || list[len(list)-1].rev < rev {
		list = append(list, absence{time.Now(), s.rev})
	}
	limit := s.limit(key)
	for len(list) > 1 && time.Since(list[1].at) >= limit {
		list = list[1:] // the next one is long enough for all
	}
	s.since[key] = list
	i := slices.IndexFunc(list, func(a absence) bool { return a.rev >= rev })
	return time.Since(list[i].at) >= limit
}

// limit is how long the session of key must be missed. One that has said goodbye
// may have left places for its successor, whose clients may come back for as
// long as after a crash. Called with mu held.
func (s *session) limit(key string) time.Duration {
	if s.goodbyes[key] > 0 {
		return max(sessionTTL, graceValue)
	}
	return sessionTTL
}

// overdue reports whether the time of a session that is missed was over
// between then and now: what waits on it may be cleared away.
func (s *session) overdue(then time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, list := range s.since {
		for _, a := range list {
			if over := a.at.Add(s.limit(key)); over.After(then) && !over.After(time.Now()) {
				return true
			}
		}
	}
	return false
}

// noneLive reports whether the view is in doubt or shows none of ids.
func (s *session) noneLive(ids []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live == nil || !slices.ContainsFunc(ids, func(id string) bool { return s.live[sessionKey(id)] })
}

// allLive reports whether the view is good and shows all of ids.
func (s *session) allLive(ids []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live != nil && !slices.ContainsFunc(ids, func(id string) bool { return !s.live[sessionKey(id)] })
}

// cleared notes that nothing waits on a session that is gone.
func (s *session) cleared() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suspects = s.live == nil || time.Now().Before(s.until)
	clear(s.since)
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
