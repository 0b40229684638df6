package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A listener has what Watch has told it, a line for each listing.
type listener struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (l *listener) hear(list []Status) error {
	var line []string
	for _, m := range list {
		line = append(line, fmt.Sprintf("%s %s %d", m.Name, m.State, m.Restarts))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.Join(line, ", "))
	return nil
}

// heard checks what was told since the last time.
func (l *listener) heard(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.lines, want) {
		t.Errorf("told %q, want %q", l.lines, want)
	}
	l.lines = nil
}

func TestSupervisor_WatchTellsWhatChanges(t *testing.T) {
	m := &memory{serve: hello, startTakes: time.Second}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		var l listener
		done := make(chan error)
		go func() { done <- s.Watch(t.Context(), l.hear) }()
		l.heard(t, "mod starting 0")
		time.Sleep(time.Second)
		l.heard(t, "mod ready 0")
		spec, _ := s.Wanted("mod")
		s.Apply([]Spec{spec})
		time.Sleep(time.Minute)
		l.heard(t) // nothing is new
		m.last().kill()
		time.Sleep(time.Second)
		l.heard(t, "mod starting 1", "mod ready 1")

		other := spec
		other.Name, other.Enabled = "an", false
		s.Apply([]Spec{spec, other})
		l.heard(t, "an disabled 0, mod ready 1")
		s.Apply([]Spec{other})
		l.heard(t, "an disabled 0")

		// It ends when nothing will change any more.
		s.Apply([]Spec{spec, other})
		l.heard(t, "an disabled 0, mod starting 0")
		time.Sleep(time.Second)
		l.heard(t, "an disabled 0, mod ready 0")
		begin(s, httptest.NewRequest("GET", "/mod/mod", nil))
		synctest.Wait()
		s.Drain()
		if err := <-done; err != nil {
			t.Errorf("Watch = %v", err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if n := len(l.lines); n == 0 || l.lines[n-1] != "an disabled 0, mod disabled 0" {
			t.Errorf("told %q at the end", l.lines)
		}
	})
}

// What changes while nobody listens is told once, and who fails or leaves is told
// nothing more.
func TestSupervisor_WatchGathers(t *testing.T) {
	m := &memory{serve: hello}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		synctest.Wait()
		var l listener
		gate, full := make(chan struct{}), errors.New("full")
		done := make(chan error)
		go func() {
			done <- s.Watch(t.Context(), func(list []Status) error {
				l.hear(list)
				if _, ok := <-gate; !ok {
					return full
				}
				return nil
			})
		}()
		l.heard(t, "mod ready 0")
		for range 3 {
			m.last().kill()
			time.Sleep(time.Minute)
		}
		gate <- struct{}{}
		l.heard(t, "mod ready 3")
		close(gate)
		if err := <-done; err != full {
			t.Errorf("Watch = %v, want %v", err, full)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- s.Watch(ctx, l.hear) }()
		l.heard(t, "mod ready 3")
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Watch = %v", err)
		}
	})
}

// A host without modules comes to its end, too.
func TestSupervisor_WatchOfNothing(t *testing.T) {
	inBubble(t, &memory{serve: hello}, nil, func(t *testing.T, s *Supervisor) {
		s.Apply(nil)
		var l listener
		done := make(chan error)
		go func() { done <- s.Watch(t.Context(), l.hear) }()
		l.heard(t, "")
		s.Drain()
		if err := <-done; err != nil {
			t.Errorf("Watch = %v", err)
		}
	})
}

// ends is a line for each end of the module's processes.
func ends(s *Supervisor) []string {
	synctest.Wait()
	var lines []string
	for _, e := range s.Ends("mod") {
		line := fmt.Sprintf("%d %q %q", e.PID, e.Exit, e.Reason)
		if e.Ordered {
			line += " ordered"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestSupervisor_EndsSayHowProcessesEnded(t *testing.T) {
	m := &memory{serve: hello}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		if got := ends(s); len(got) > 0 || s.Ends("none") != nil {
			t.Errorf("at first: %q", got)
		}
		began := time.Now()
		time.Sleep(time.Minute)
		m.last().kill()
		time.Sleep(time.Minute)
		spec, _ := s.Wanted("mod")
		s.Restart(spec)
		time.Sleep(time.Minute)
		synctest.Wait()
		m.startErr = errors.New("no luck")
		again(s, func(s *Spec) { s.Args = []string{"x"} })
		time.Sleep(time.Minute)
		again(s, func(s *Spec) { s.Enabled = false })
		time.Sleep(time.Minute)
		want := []string{
			`1 "fake exit" "ended: fake exit"`,
			`1 "fake exit" "module \"mod\" has a new process" ordered`,
			`0 "" "no luck"`,
			`1 "fake exit" "module \"mod\" was disabled" ordered`,
		}
		if got := ends(s); !slices.Equal(got, want) {
			t.Errorf("ends: %q, want %q", got, want)
		}
		if e := s.Ends("mod")[0]; !e.Time.Equal(began.Add(time.Minute)) {
			t.Errorf("the first has ended at %v, want %v", e.Time, began.Add(time.Minute))
		}

		synctest.Wait()
		m.startErr = nil
		again(s, func(s *Spec) { s.Enabled, s.RestartMax = true, 0 })
		for range keptEnds + 3 {
			time.Sleep(time.Minute)
			m.last().kill()
		}
		if got := ends(s); len(got) != keptEnds || got[0] != want[0] {
			t.Errorf("%d ends: %q", len(got), got)
		}
	})
}
