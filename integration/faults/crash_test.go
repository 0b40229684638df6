package faults

import (
	"fmt"
	"net/http"
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
		if r := l.Ask(http.MethodGet); r.Status != http.StatusOK || r.Body != "holder" {
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

// clearedWithin is when the places of a host that was killed are gone: its
// session's TTL and ten seconds, with a second for the look.
const clearedWithin = (8+10)*time.Second + time.Second

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

// Two clients share a value through two hosts. Whatever dies of the one, the
// other one keeps their place.
func TestCrash_SharedPlaceSurvives(t *testing.T) {
	for _, what := range []string{"client", "plugin", "host"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := programs(t)
			etcd := p.Start(t, drive.Embedded) // of whose lock nobody dies
			one, two := p.Start(t, drive.Joined(etcd.Etcd)), p.Start(t, drive.Joined(etcd.Etcd))
			l, byOne, byTwo := etcd.Lock(t, "shared"), one.Lock(t, "shared"), two.Lock(t, "shared")
			holder := l.Take()
			dies := drive.StartCurl(t, byOne.URL, "-d", "ttl=600", "-d", "value=team")
			l.AwaitWaiting(1)
			lives := byTwo.Post("value", "team")
			drive.Eventually(t, func() error {
				if line := l.Line(); len(line) != 2 || len(line[1].Sessions) != 2 {
					return fmt.Errorf("line %+v, want two sessions in the second place", line)
				}
				return nil
			})
			place := l.Line()[1].Index
			// One who waits through the same process alone, and one behind all.
			alone := byOne.Queue(2, "value", "alone")
			behind := byTwo.Queue(3)

			left := 1 // the sessions that are named in the end
			switch what {
			case "client":
				dies.Kill()
			case "plugin":
				drive.Signal(t, one.Plugin(), syscall.SIGKILL)
				left = 2 // the other client goes on, in the next process
			case "host":
				one.Kill()
			}
			session := l.Line()
			drive.Eventually(t, func() error {
				line := l.Line()
				switch what {
				case "client": // its process has left the place
					if len(line[1].Sessions) != left {
						return fmt.Errorf("line %+v", line)
					}
				case "plugin": // the next one has joined it
					if len(line) != 4 || fmt.Sprint(line[1].Sessions) == fmt.Sprint(session[1].Sessions) || line[2].Sessions[0] == session[2].Sessions[0] {
						return fmt.Errorf("line %+v", line)
					}
				case "host": // its other place was judged
					if len(line) != 3 {
						return fmt.Errorf("line %+v", line)
					}
				}
				return nil
			})
			if line := l.Line(); line[1].Index != place || line[1].Value != "team" {
				t.Fatalf("line %+v, want the shared place with index %d", line, place)
			}
			lives.StillWaits()
			l.Release(holder)
			if index := lives.Granted(); index != place {
				t.Errorf("granted with index %d, want %d", index, place)
			}
			if what == "plugin" {
				if out := dies.Output(); out != fmt.Sprint(place) {
					t.Errorf("the other client was answered %q, want %d", out, place)
				}
			}
			behind.StillWaits()
			if what != "host" {
				alone.StillWaits()
			}
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
