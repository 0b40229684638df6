package faults

import (
	"fmt"
	"net/http"
	"sync"
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
	c := drive.NewHTTPClient(t)
	lock := h.URL + "/mod/v2/lock/killed"
	holder := drive.Must(t, c, http.MethodPost, lock, "ttl", "600", "value", "holder")
	const waiters = 20
	var line []*asker
	for i := range waiters {
		parameters := []string{"ttl", "600"}
		if i%2 == 0 {
			parameters = append(parameters, "value", fmt.Sprint("w", i))
		}
		line = append(line, ask(t, c, lock, parameters...))
		drive.AwaitWaiting(t, c, lock, i+1)
	}
	before := mustLine(t, h.Etcd, "killed")
	for range 3 {
		pid := h.Plugin()
		began := time.Now()
		drive.Signal(t, pid, syscall.SIGKILL)
		gone(t, pid, drive.Soon())
		if r := drive.Must(t, c, http.MethodGet, lock); r.Status != http.StatusOK || r.Body != "holder" {
			t.Fatalf("GET = %v, want the holder", r)
		}
		took := time.Since(began)
		t.Logf("served again after %v", took.Round(time.Millisecond))
		if took > drive.Soon() {
			t.Errorf("served again after %v, want within a second", took)
		}
		if r := drive.Must(t, c, http.MethodPut, lock, "ttl", "600", "index", holder.Body); r.Status != http.StatusOK {
			t.Errorf("PUT by the holder = %v", r)
		}
		// All have come to the new process when every entry names it.
		drive.Eventually(t, func() error {
			now, err := lineOf(h.Etcd, "killed")
			if err != nil {
				return err
			}
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
	index := holder.Body
	for i, a := range line {
		release(t, c, lock, index)
		r := a.granted()
		if index = r.Body; index != fmt.Sprint(before[i+1].Index) {
			t.Errorf("grant %d has index %s, want %d", i, index, before[i+1].Index)
		}
		for _, behind := range line[i+1:] {
			behind.waits()
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
	c := drive.NewHTTPClient(t)
	const path = "/mod/v2/lock/hostkilled"
	holder := drive.Must(t, c, http.MethodPost, one.URL+path, "ttl", "600")
	// Another lock, in whose line only the dead host's clients stand: no
	// mirror shows it to the host that lives.
	const lonely = "/mod/v2/lock/lonely"
	drive.Must(t, c, http.MethodPost, one.URL+lonely, "ttl", "600").Token(t)
	waiters := often(10, 1000)
	for i := range waiters {
		ask(t, c, two.URL+path, "ttl", "600")
		ask(t, c, two.URL+lonely, "ttl", "600", "value", fmt.Sprint(i))
	}
	drive.AwaitWaiting(t, c, two.URL+path, waiters)
	drive.AwaitWaiting(t, c, two.URL+lonely, waiters)
	last := ask(t, c, one.URL+path, "ttl", "600")
	drive.AwaitWaiting(t, c, one.URL+path, waiters+1)

	plugin := two.Plugin()
	two.Kill()
	killed := time.Now()
	gone(t, plugin, drive.Soon())
	release(t, c, one.URL+path, holder.Body)
	for _, name := range []string{path, lonely} {
		want := 0
		if err := drive.Within(clearedWithin, func() error {
			if s := drive.StateOf(t, c, one.URL+name); s.Waiting != want {
				return fmt.Errorf("%s: %+v", name, s)
			}
			return nil
		}); err != nil {
			t.Errorf("%v after the host was killed: %v", time.Since(killed), err)
		}
		t.Logf("%s: clear after %v", name, time.Since(killed).Round(100*time.Millisecond))
	}
	if took := time.Since(killed); took > clearedWithin {
		t.Errorf("all clear after %v, want at most %v", took, clearedWithin)
	}
	last.granted()
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
			c := drive.NewHTTPClient(t)
			const path = "/mod/v2/lock/shared"
			holder := drive.Must(t, c, http.MethodPost, etcd.URL+path, "ttl", "600")
			dies := drive.StartCurl(t, one.URL+path, "-d", "ttl=600", "-d", "value=team")
			drive.AwaitWaiting(t, c, etcd.URL+path, 1)
			lives := ask(t, c, two.URL+path, "ttl", "600", "value", "team")
			drive.Eventually(t, func() error {
				if line := mustLine(t, etcd.Etcd, "shared"); len(line) != 2 || len(line[1].Sessions) != 2 {
					return fmt.Errorf("line %+v, want two sessions in the second place", line)
				}
				return nil
			})
			place := mustLine(t, etcd.Etcd, "shared")[1].Index
			// One who waits through the same process alone, and one behind all.
			alone := ask(t, c, one.URL+path, "ttl", "600", "value", "alone")
			drive.AwaitWaiting(t, c, etcd.URL+path, 2)
			behind := ask(t, c, two.URL+path, "ttl", "600")
			drive.AwaitWaiting(t, c, etcd.URL+path, 3)

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
			session := mustLine(t, etcd.Etcd, "shared")
			drive.Eventually(t, func() error {
				line := mustLine(t, etcd.Etcd, "shared")
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
			if line := mustLine(t, etcd.Etcd, "shared"); line[1].Index != place || line[1].Value != "team" {
				t.Fatalf("line %+v, want the shared place with index %d", line, place)
			}
			lives.waits()
			release(t, c, etcd.URL+path, holder.Body)
			if r := lives.granted(); r.Body != fmt.Sprint(place) {
				t.Errorf("granted %v, want index %d", r, place)
			}
			if what == "plugin" {
				if out := dies.Output(); out != fmt.Sprint(place) {
					t.Errorf("the other client was answered %q, want %d", out, place)
				}
			}
			behind.waits()
			if what != "host" {
				alone.waits()
			}
		})
	}
}

// A thousand waiters that hang up at once are out of the line within a second.
func TestCrash_ThousandWaitersHangUp(t *testing.T) {
	h := programs(t).Start(t, drive.Embedded)
	c := drive.NewHTTPClient(t)
	lock := h.URL + "/mod/v2/lock/crowded"
	holder := drive.Must(t, c, http.MethodPost, lock, "ttl", "600")
	const waiters = 1000
	var line []*asker
	for range waiters {
		line = append(line, ask(t, c, lock, "ttl", "600"))
	}
	drive.AwaitWaiting(t, c, lock, waiters)
	began := time.Now()
	var all sync.WaitGroup
	for _, a := range line {
		all.Go(a.hangUp)
	}
	all.Wait()
	if err := drive.Within(drive.Soon(), func() error {
		if s := drive.StateOf(t, c, lock); s.Waiting != 0 || fmt.Sprint(s.Index) != holder.Body {
			return fmt.Errorf("%+v", s)
		}
		return nil
	}); err != nil {
		t.Errorf("%v after they hung up: %v", time.Since(began), err)
	}
	t.Logf("the line was empty after %v", time.Since(began).Round(time.Millisecond))
}
