package faults

import (
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A plugin that is killed serves again within a second. Nobody who waits loses
// its place, with a value or without, and the holder keeps lock and index.
func TestCrash_PluginKilled(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Patiently(drive.Embedded))
	l := h.Lock(t, "killed")
	index := l.Take("value", "holder")
	const waiters = 20
	var calls []*drive.Call
	for i := range waiters {
		var parameters []any
		if i%2 == 0 {
			parameters = []any{"value", fmt.Sprint("w", i)}
		}
		calls = append(calls, l.Queue(i+1, parameters...))
	}
	before := l.Line()
	for range 3 {
		pid := h.Plugin()
		began := time.Now()
		drive.Signal(t, pid, syscall.SIGKILL)
		drive.Gone(t, pid, drive.Soon())
		r := l.Ask(http.MethodGet)
		for r.Code() == 704 && time.Since(began) < drive.Soon() { // after the two seconds for which the host holds it
			r = l.Ask(http.MethodGet)
		}
		if r.Status != http.StatusOK || r.Body != "holder" {
			t.Fatalf("GET = %v, want the holder", r)
		}
		took := time.Since(began)
		t.Logf("served again after %v", took.Round(time.Millisecond))
		if took > drive.Soon() {
			t.Errorf("served again after %v, want within a second", took)
		}
		l.Must(http.MethodPut, "ttl", 600, "index", index)
		// All have come to the new process when every entry names it.
		drive.Eventually(t, func() error {
			now := l.Line()
			if len(now) != len(before) {
				return fmt.Errorf("%d entries, want %d", len(now), len(before))
			}
			for i, s := range now {
				if s.Index != before[i].Index {
					t.Fatalf("place %d has index %d now, had %d", i, s.Index, before[i].Index)
				}
				if i > 0 && (len(s.Sessions) != 1 || s.Sessions[0] == before[i].Sessions[0]) {
					return fmt.Errorf("place %d waits on %q, as before", i, s.Sessions)
				}
			}
			before = now
			return nil
		})
	}
	for i, c := range calls {
		l.Release(index)
		if index = c.Granted(); index != before[i+1].Index {
			t.Errorf("grant %d has index %d, want %d", i, index, before[i+1].Index)
		}
		for _, behind := range calls[i+1:] {
			behind.StillWaits()
		}
	}
}

// A request that the plugin has not even read when it dies goes on in the next
// one: the lock is obtained, or waited for, as if nothing had happened.
func TestCrash_RequestsOnTheirWay(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Patiently(drive.Embedded))
	free, held := h.Lock(t, "onitsway"), h.Lock(t, "onitsway-held")
	index := held.Take()
	pid := h.Plugin()
	drive.Signal(t, pid, syscall.SIGSTOP)
	obtains, waits := free.Post(), held.Post("value", "w")
	obtains.GoesOnWaiting("at a plugin that has stopped")
	drive.Signal(t, pid, syscall.SIGKILL)
	free.WantHeld(obtains.Granted(), "", 0)
	held.AwaitWaiting(1, waits)
	held.Release(index)
	held.WantHeld(waits.Granted(), "w", 0)
}

// clearedWithin is when the places of a host that was killed are gone: its
// session's TTL and ten seconds, with some time for the look.
var clearedWithin = (8+10)*time.Second + drive.Soon()

// When a host is killed its plugin goes with it, and what waited through it is
// out of the line soon. Those behind it go on.
func TestCrash_HostKilled(t *testing.T) {
	t.Parallel()
	p := programs(t)
	one := p.Start(t, drive.Embedded)
	two := p.Start(t, drive.Joined(one.Etcd))
	l, through := one.Lock(t, "hostkilled"), two.Lock(t, "hostkilled")
	holder := l.Take()
	// Another lock, in whose line only the dead host's clients stand: no
	// mirror shows it to the host that lives.
	lonely, lonelyThrough := one.Lock(t, "lonely"), two.Lock(t, "lonely")
	lonely.Take()
	waiters := inLongRun(10, 1000)
	for i := range waiters {
		through.Post()
		lonelyThrough.Post("value", i)
	}
	through.AwaitWaiting(waiters)
	lonelyThrough.AwaitWaiting(waiters)
	last := l.Queue(waiters + 1)

	plugin := two.Plugin()
	two.Kill()
	killed := time.Now()
	drive.Gone(t, plugin, drive.Soon())
	l.Release(holder)
	for _, l := range []*drive.Lock{l, lonely} {
		if err := drive.Within(clearedWithin, func() error {
			if s := l.State(); s.Waiting != 0 {
				return fmt.Errorf("%s: %+v", l.URL, s)
			}
			return nil
		}); err != nil {
			t.Errorf("%v after the host was killed: %v", time.Since(killed), err)
		}
		t.Logf("%s: clear after %v", l.URL, time.Since(killed).Round(100*time.Millisecond))
	}
	if took := time.Since(killed); took > clearedWithin {
		t.Errorf("all clear after %v, want at most %v", took, clearedWithin)
	}
	last.Granted()
}

// A sharing is a line with a place that clients of two hosts share: the holder,
// the shared place, the place of one who came by the first host alone, and one
// behind all who came by the second.
type sharing struct {
	t           *testing.T
	one         *drive.Host // on which somebody dies
	lock        *drive.Lock // seen by a host on which nobody does
	holder      uint64
	dies, alone *drive.Curl // through the host one
	lives       *drive.Call // shares the place of dies
	behind      *drive.Call
	before      []drive.Entry // the line
}

func share(t *testing.T) *sharing {
	t.Helper()
	p := programs(t)
	etcd := p.Start(t, drive.Embedded)
	s := &sharing{t: t, one: p.Start(t, drive.Joined(etcd.Etcd)), lock: etcd.Lock(t, "shared")}
	byOne, byTwo := s.one.Lock(t, "shared"), p.Start(t, drive.Joined(etcd.Etcd)).Lock(t, "shared")
	s.holder = s.lock.Take()
	s.dies = drive.StartCurl(t, byOne.URL, "-d", "ttl=600", "-d", "value=team")
	s.lock.AwaitWaiting(1)
	s.lives = byTwo.Post("value", "team")
	s.await(func(line []drive.Entry) bool { return len(line) == 2 && len(line[1].Sessions) == 2 })
	s.alone = drive.StartCurl(t, byOne.URL, "-d", "ttl=600", "-d", "value=alone")
	s.lock.AwaitWaiting(2)
	s.behind = byTwo.Queue(3)
	s.before = s.lock.Line()
	return s
}

// await waits until the line, as etcd has it, is as it shall be.
func (s *sharing) await(good func([]drive.Entry) bool) {
	s.t.Helper()
	drive.Eventually(s.t, func() error {
		if line := s.lock.Line(); !good(line) {
			return fmt.Errorf("line %+v", line)
		}
		return nil
	})
}

// Two clients share a value through two hosts. Whatever dies of the one, the
// other one keeps their place. What happens to the place of the one who came
// alone shows that the death has been dealt with.
func TestCrash_SharedPlaceSurvives(t *testing.T) {
	for what, death := range map[string]func(s *sharing){
		"client": func(s *sharing) {
			s.dies.Kill()
			s.await(func(line []drive.Entry) bool { return len(line[1].Sessions) == 1 })
		},
		"plugin": func(s *sharing) { // the client goes on in the next process
			drive.Signal(s.t, s.one.Plugin(), syscall.SIGKILL)
			s.await(func(line []drive.Entry) bool {
				return len(line) == 4 && !slices.Equal(line[1].Sessions, s.before[1].Sessions) && !slices.Equal(line[2].Sessions, s.before[2].Sessions)
			})
		},
		"plugin with its clients": func(s *sharing) { // the next process clears what nobody comes back to
			drive.Signal(s.t, s.one.Plugin(), syscall.SIGKILL)
			s.dies.Kill()
			s.alone.Kill()
			s.await(func(line []drive.Entry) bool { return len(line) == 3 })
		},
		"host": func(s *sharing) { // the other host does
			// A plugin whose host dies before it may clear some of it in its last moment.
			drive.Signal(s.t, s.one.Plugin(), syscall.SIGSTOP)
			s.one.Kill()
			s.await(func(line []drive.Entry) bool { return len(line) == 3 })
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := share(t)
			death(s)
			place := s.before[1].Index
			if line := s.lock.Line(); line[1].Index != place || line[1].Value != "team" {
				t.Fatalf("line %+v, want the shared place with index %d", line, place)
			}
			s.lives.StillWaits()
			s.lock.Release(s.holder)
			if index := s.lives.Granted(); index != place {
				t.Errorf("granted with index %d, want %d", index, place)
			}
			if what == "plugin" {
				if out := s.dies.Output(); out != fmt.Sprint(place) {
					t.Errorf("the other client was answered %q, want %d", out, place)
				}
			}
			s.behind.StillWaits()
		})
	}
}

// A thousand waiters that hang up at once are out of the line within a second.
func TestCrash_ThousandWaitersHangUp(t *testing.T) {
	h := programs(t).Start(t, drive.Embedded)
	l := h.Lock(t, "crowded")
	holder := l.Take()
	const waiters = 1000
	var calls []*drive.Call
	for range waiters {
		calls = append(calls, l.Post())
	}
	l.AwaitWaiting(waiters)
	began := time.Now()
	for _, c := range calls {
		c.HangUp()
	}
	if err := drive.Within(drive.Soon(), func() error {
		if s := l.State(); s.Waiting != 0 || s.Index != holder {
			return fmt.Errorf("%+v", s)
		}
		return nil
	}); err != nil {
		t.Errorf("%v after they hung up: %v", time.Since(began), err)
	}
	t.Logf("the line was empty after %v", time.Since(began).Round(time.Millisecond))
}
