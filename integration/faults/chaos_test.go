package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
	"github.com/etcd-modules/modhost/integration/history"
)

// A site is all there is: members of etcd, and hosts that reach them by links.
type site struct {
	t     testing.TB
	etcd  *drive.Cluster
	hosts []*drive.Host
	links [][]*drive.Link // of a host to a member
	http  *http.Client
	kind  *kind
	last  int // host that was split off last
}

// A kind of storm: what goes wrong in it, for whom, and what may be lost.
type kind struct {
	name                  string
	locks, clients, dying int // clients per lock; see [crowd.Crowd]
	ttl                   int // seconds, the shortest of those who release their lock

	// gentle says that nothing keeps a process out of touch for so long that a
	// place is lost, nor for a whole ttl.
	gentle bool
}

var (
	mixed = &kind{name: "mixed", locks: 3, clients: 20, dying: 8, ttl: 2}

	// In brief storms no trouble is longer than briefly: two of them, one after
	// the other, are less than the TTL of a lock and that of a session.
	brief = &kind{name: "brief", locks: 3, clients: 20, dying: 8, ttl: 5, gentle: true}

	// In far storms one host after the other is far from etcd. Only a lock that
	// nobody releases shows when its TTL ends, and what goes through such a host
	// takes long: so there are many.
	far = &kind{name: "far", locks: 12, clients: 5, dying: 30, ttl: 2}

	// In split storms one host after the other reaches nothing but a member that
	// knows old news only. What waits on a host is cleared away when its session
	// has been missing for as long as it lives, which makes 16 s.
	split = &kind{name: "split", locks: 3, clients: 20, dying: 8, ttl: 15, gentle: true}
)

// briefly is how long a trouble lasts at most in a brief storm.
const briefly = 1200 * time.Millisecond

// kinds are what storms are, one after the other.
var kinds = []*kind{mixed, brief, far, brief, split, brief}

// newSite starts a cluster of members and hosts on it.
func newSite(t testing.TB, p drive.Programs, members, hosts int) *site {
	t.Helper()
	s := &site{t: t, etcd: p.StartCluster(t, members), http: drive.NewHTTPClient(t)}
	for i := range hosts {
		var links []*drive.Link
		var endpoints []string
		for j := range members {
			// Hosts begin with different members.
			l := drive.NewLink(t, strings.TrimPrefix(s.etcd.Members[(i+j)%members].URL, "http://"))
			links, endpoints = append(links, l), append(endpoints, l.URL)
		}
		config := drive.Patiently(drive.At(drive.Joined(endpoints...), drive.FreeAddress(t)))
		s.hosts, s.links = append(s.hosts, p.Start(t, config)), append(s.links, links)
	}
	return s
}

func (s *site) urls() []string {
	var urls []string
	for _, h := range s.hosts {
		urls = append(urls, h.URL)
	}
	return urls
}

// A trouble is something that goes wrong for a while: apply begins it and
// returns what ends it.
type trouble struct {
	what string
	time time.Duration
	// deaf is set for what keeps a process from hearing of etcd, or etcd from
	// hearing of it: if it lasts its places may be lost.
	deaf  bool
	begin func() (end func())
}

// between chooses a time.
func between(rnd *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(rnd.Int64N(int64(to-from)))
}

// choose makes the next trouble. Nothing but rnd decides what it is.
func (s *site) choose(rnd *rand.Rand) trouble {
	host, member := rnd.IntN(len(s.hosts)), rnd.IntN(len(s.etcd.Members))
	h, m := s.hosts[host], s.etcd.Members[member]
	short := between(rnd, 100*time.Millisecond, 3*time.Second)
	long := between(rnd, 500*time.Millisecond, 12*time.Second)
	delay := between(rnd, 20*time.Millisecond, 1500*time.Millisecond)
	which := rnd.IntN(20)
	part := rnd.Float64()
	switch s.kind {
	case brief:
		short, long, delay = min(short, briefly), min(long, briefly), min(delay, 200*time.Millisecond)
	case far:
		// So far that it makes a difference at which end a TTL is counted, and
		// not so far that calls of etcd, which have a second, come to nothing.
		return s.distant(host, max(long, 4*time.Second), 350*time.Millisecond+delay/15)
	case split:
		// Another host each time, so that the last one is heard of.
		s.last = (s.last + 1 + rnd.IntN(len(s.hosts)-1)) % len(s.hosts)
		lag := between(rnd, time.Second, 2*time.Second)
		// So long that the watches are given up and lines are read anew.
		return s.splitOff(s.last, member, lag, lag+5500*time.Millisecond)
	}
	switch which {
	case 0, 1, 17:
		return trouble{fmt.Sprintf("plugin of host %d killed", host), short, false, func() func() {
			if pid := h.Plugin(); pid != 0 {
				syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it may have ended by itself
			}
			return func() {}
		}}
	case 2, 3, 4:
		return trouble{fmt.Sprintf("plugin of host %d stopped", host), long, true, func() func() {
			pid := h.Plugin()
			if pid != 0 {
				syscall.Kill(pid, syscall.SIGSTOP) //nolint:errcheck // it may have ended
			}
			return func() {
				if pid != 0 {
					syscall.Kill(pid, syscall.SIGCONT) //nolint:errcheck // the host may have replaced it
				}
			}
		}}
	case 5:
		return trouble{fmt.Sprintf("host %d killed", host), short, true, func() func() {
			h.Kill()
			return h.Restart
		}}
	case 6:
		return trouble{fmt.Sprintf("host %d ends and starts again", host), short, true, func() func() {
			h.Stop()
			return h.Restart
		}}
	case 7:
		return trouble{fmt.Sprintf("host %d stopped", host), short, true, func() func() {
			drive.Signal(s.t, h.PID(), syscall.SIGSTOP)
			return func() { drive.Signal(s.t, h.PID(), syscall.SIGCONT) }
		}}
	case 8:
		return trouble{fmt.Sprintf("member %d killed", member), long, true, func() func() {
			m.Kill()
			return m.Restart
		}}
	case 9:
		return trouble{fmt.Sprintf("member %d stopped", member), long, true, func() func() {
			drive.Signal(s.t, m.PID(), syscall.SIGSTOP)
			return func() { drive.Signal(s.t, m.PID(), syscall.SIGCONT) }
		}}
	case 10, 11:
		return trouble{fmt.Sprintf("member %d cut off from the others", member), long, true, func() func() {
			s.etcd.Isolate(m)
			return s.etcd.Heal
		}}
	case 12:
		return s.onLinks(fmt.Sprintf("host %d cut off from etcd", host), long, true, host, drive.Trouble{Cut: true})
	case 13, 18:
		return s.distant(host, long, delay)
	case 14:
		return s.onLinks(fmt.Sprintf("host %d loses pieces of what it says to etcd, and of the replies", host), long, true, host,
			drive.Trouble{Lossy: 0.02 + part/10})
	case 15:
		return s.splitOff(host, member, min(long/4, time.Second), long)
	default:
		return trouble{"history overrun", short, false, func() func() {
			s.overrun(1200)
			return func() {}
		}}
	}
}

// distant makes every piece between a host and etcd take delay longer.
func (s *site) distant(host int, long, delay time.Duration) trouble {
	return s.onLinks(fmt.Sprintf("host %d far from etcd", host), long, true, host, drive.Trouble{Delay: delay})
}

// splitOff cuts a member off from the others and, when the host has heard from
// them for lag, leaves the host with that one, which knows old news only.
func (s *site) splitOff(host, member int, lag, long time.Duration) trouble {
	what := fmt.Sprintf("host %d and member %d cut off from the others", host, member)
	return trouble{what, long, true, func() func() {
		s.etcd.Isolate(s.etcd.Members[member])
		<-time.After(lag)
		var others []*drive.Link
		for i, l := range s.links[host] {
			if (host+i)%len(s.etcd.Members) != member {
				l.Set(drive.Trouble{Refuse: true})
				others = append(others, l)
			}
		}
		return func() {
			s.etcd.Heal()
			for _, l := range others {
				l.Set(drive.Trouble{})
			}
		}
	}}
}

func (s *site) onLinks(what string, long time.Duration, deaf bool, host int, tr drive.Trouble) trouble {
	return trouble{what, long, deaf, func() func() {
		for _, l := range s.links[host] {
			l.Set(tr)
		}
		return func() {
			for _, l := range s.links[host] {
				l.Set(drive.Trouble{})
			}
		}
	}}
}

// overrun makes n writes that have nothing to do with modhost. etcd remembers
// the last 1000 for its watchers. Members may be down: what fails is left out.
func (s *site) overrun(n int) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	var writers sync.WaitGroup
	for w := range 16 {
		writers.Go(func() {
			for i := range n / 16 {
				form := url.Values{"value": {"x"}}.Encode()
				address := fmt.Sprintf("%s/v2/keys/other/%d-%d", s.etcd.Members[w%len(s.etcd.Members)].URL, w, i%10)
				req, err := http.NewRequestWithContext(ctx, http.MethodPut, address, strings.NewReader(form))
				if err != nil {
					return
				}
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				resp, err := s.http.Do(req)
				if err != nil {
					return
				}
				resp.Body.Close() //nolint:errcheck // not read
			}
		})
	}
	writers.Wait()
}

// A record of troubles says when places may have been lost.
type record struct {
	mu    sync.Mutex // guards spans
	spans [][2]time.Time
}

func (r *record) add(from, to time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans = append(r.spans, [2]time.Time{from, to})
}

// mayLose reports whether one of the spans overlaps the time of a request. What
// was lost is told up to half a minute later.
func (r *record) mayLose(from, to time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if s[0].Before(to) && s[1].Add(30*time.Second).After(from) {
			return true
		}
	}
	return false
}

// lossy begins a history in which replies of etcd may get lost.
func lossy() *history.History {
	h := history.New()
	h.Lossy = true
	return h
}

// storm makes one trouble after the other, two at a time at most, until over or
// the end of ctx, and ends them all. It must be called by the test's own goroutine.
func (s *site) storm(ctx context.Context, rnd *rand.Rand, r *record, over time.Time) {
	type ongoing struct {
		trouble
		begun time.Time
		end   func()
	}
	var now []ongoing
	defer func() {
		for _, o := range now {
			o.end()
		}
	}()
	ctx, cancel := context.WithDeadline(ctx, over)
	defer cancel()
	until := func(at time.Time) {
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(at)):
		}
	}
	for ctx.Err() == nil {
		next := s.choose(rnd)
		pause := between(rnd, 100*time.Millisecond, 2*time.Second)
		// What is chosen depends on the seed only, so what can't begin beside
		// the present trouble waits for its end.
		for len(now) > 1 || len(now) > 0 && !now[0].beside(next.what) {
			until(now[0].begun.Add(now[0].time))
			now[0].end()
			now = now[1:]
		}
		if ctx.Err() != nil {
			return
		}
		s.t.Logf("%s for %v", next.what, next.time.Round(time.Millisecond))
		begun := time.Now()
		if next.deaf && !s.kind.gentle {
			r.add(begun, begun.Add(next.time))
		}
		now = append(now, ongoing{next, begun, next.begin()})
		until(begun.Add(pause))
	}
}

// beside reports whether another trouble may begin while this one lasts: not
// one of the same thing, nor of a second member, without which etcd has no
// majority for as long as both last.
func (tr trouble) beside(what string) bool {
	return (!strings.Contains(tr.what, "member") || !strings.Contains(what, "member")) &&
		(!strings.Contains(tr.what, "host") || !strings.Contains(what, "host"))
}
