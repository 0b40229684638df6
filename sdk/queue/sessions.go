package queue

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// What follows is what a session sees of all sessions, its own included.

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
