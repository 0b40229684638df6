package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// shown is what the module of testdata/privileged shows of another one's lines.
type shown struct {
	Lines []struct {
		Name   string
		Places []place
	}
	Endings []struct {
		Line   string
		Place  place
		Reason string
		By     string
		Next   *place
	}
	Seen  time.Time
	Stale string
}

type place struct {
	Index   uint64
	Value   string
	Held    bool
	Renewed bool
}

// viewed asks the module called name for its view of the locks.
func viewed(h *drive.Host, name string) (s shown, err error) {
	resp, err := http.Get(h.URL + "/mod/" + name + "/view/lock")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return s, fmt.Errorf("view: %s", resp.Status)
	}
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// line is "index value" of each place, the holder with a star.
func (s shown) line(name string) string {
	var places []string
	for _, l := range s.Lines {
		if l.Name != name {
			continue
		}
		for _, p := range l.Places {
			text := fmt.Sprintf("%d %s", p.Index, p.Value)
			if p.Held {
				text += "*"
			}
			places = append(places, text)
		}
	}
	return strings.Join(places, ", ")
}

// ends has the endings, oldest first: "line index reason", who has forced it, and
// who is next.
func (s shown) ends() []string {
	var list []string
	for _, e := range s.Endings {
		text := fmt.Sprintf("%s %d %s", e.Line, e.Place.Index, e.Reason)
		if e.By != "" {
			text += " by " + e.By
		}
		if e.Next != nil {
			text += fmt.Sprintf(", next %d", e.Next.Index)
		}
		list = append(list, text)
	}
	return list
}

// wantView waits until the view shows that.
func wantView(t *testing.T, h *drive.Host, name string, right func(shown) error) {
	t.Helper()
	drive.Eventually(t, func() error {
		s, err := viewed(h, name)
		if err == nil {
			err = right(s)
		}
		return err
	})
}

// showing is a view that is true and has that line.
func showing(name, want string) func(shown) error {
	return func(s shown) error {
		if got := s.line(name); got != want || s.Stale != "" {
			return fmt.Errorf("line %q is %q (%s), want %q", name, got, s.Stale, want)
		}
		return nil
	}
}

// ended is a view that has told of exactly these ends.
func ended(want ...string) func(shown) error {
	return func(s shown) error {
		if got := s.ends(); !slices.Equal(got, want) {
			return fmt.Errorf("ends: %q, want %q", got, want)
		}
		return nil
	}
}

// Both of two hosts on one etcd see lines and ends alike, whichever host brings
// them about.
func TestView_OfLocksOnTwoHosts(t *testing.T) {
	t.Parallel()
	one := programs(t).Start(t, drive.Embedded+privileged(t, "p", `["keys"]`))
	two := programs(t).Start(t, drive.Joined(one.Etcd)+privileged(t, "q", `["keys"]`))
	both := func(right func(shown) error) {
		t.Helper()
		wantView(t, one, "p", right)
		wantView(t, two, "q", right)
	}
	both(showing("a", ""))
	l := one.Lock(t, "a")
	x := l.Take("value", "x")
	y := l.Queue(1, "value", "y")
	z := two.Lock(t, "a").Queue(2, "value", "z")
	var s shown
	wantView(t, one, "p", func(now shown) error {
		s = now
		if !strings.Contains(s.line("a"), "z") {
			return fmt.Errorf("line is %q", s.line("a"))
		}
		return nil
	})
	places := s.Lines[0].Places
	if len(places) != 3 || places[0].Index != x || !places[0].Held || places[1].Value != "y" || places[1].Held {
		t.Fatalf("the line is %+v", places)
	}
	iy, iz := places[1].Index, places[2].Index
	both(showing("a", fmt.Sprintf("%d x*, %d y, %d z", x, iy, iz)))

	force := func(h *drive.Host, name string, index uint64, status int, text string) {
		t.Helper()
		if got, body := told(t, h, "POST", fmt.Sprintf("/mod/%s/force/lock/a/%d", name, index)); got != status || !strings.Contains(body, text) {
			t.Errorf("force %d = %d %s, want %d with %s", index, got, body, status, text)
		}
	}
	force(two, "q", iy, 200, "done")
	if r := y.Answer(); r.Status != http.StatusGone {
		t.Errorf("who waited = %v, want 410", r)
	}
	force(one, "p", x, 200, "done")
	if got := z.Granted(); got != iz {
		t.Errorf("granted %d, want %d", got, iz)
	}
	force(one, "p", x, 502, "no such entry in the line")
	l.Refused(404, 100, http.MethodPut, "ttl", 60, "index", x)
	ends := []string{fmt.Sprintf("a %d forced by q, next %d", iy, x), fmt.Sprintf("a %d forced by p, next %d", x, iz)}
	both(ended(ends...))
	both(showing("a", fmt.Sprintf("%d z*", iz)))

	l.Release(iz)
	short := l.Take("value", "x", "ttl", 1)
	both(ended(append(ends, fmt.Sprintf("a %d released", iz), fmt.Sprintf("a %d expired", short))...))
	renewed := l.Take("value", "x")
	l.Must(http.MethodPut, "ttl", 1, "value", "x")
	both(ended(append(ends, fmt.Sprintf("a %d released", iz), fmt.Sprintf("a %d expired", short), fmt.Sprintf("a %d lapsed", renewed))...))
}

// A view says that it may be old when etcd is out of reach or has no quorum, and
// goes on when it is back.
func TestView_SaysWhenItMayBeOld(t *testing.T) {
	t.Parallel()
	etcd := programs(t).StartCluster(t, 3)
	h := programs(t).Start(t, drive.Joined(etcd.Endpoints()...)+privileged(t, "p", `["keys"]`))
	l := h.Lock(t, "a")
	x := l.Take("value", "x")
	line := fmt.Sprintf("%d x*", x)
	wantView(t, h, "p", showing("a", line))
	stale := func(s shown) error {
		if s.Stale == "" || s.line("a") != line {
			return fmt.Errorf("seen %s ago, stale: %q, %s", time.Since(s.Seen), s.Stale, s.line("a"))
		}
		return nil
	}
	for _, m := range etcd.Members {
		drive.Signal(t, m.PID(), syscall.SIGSTOP)
	}
	wantView(t, h, "p", stale)
	for _, m := range etcd.Members {
		drive.Signal(t, m.PID(), syscall.SIGCONT)
	}
	wantView(t, h, "p", showing("a", line))

	for _, m := range etcd.Members[:2] { // the last one has no quorum, and answers all the same
		m.Kill()
	}
	wantView(t, h, "p", stale)
	for _, m := range etcd.Members[:2] {
		m.Restart()
	}
	wantView(t, h, "p", showing("a", line))

	// Members that the view may ask are cut off from the others, one after the
	// other, so that the one it watches is among them.
	for _, m := range etcd.Members {
		etcd.Isolate(m)
		l.Insist(http.MethodDelete, "index", x)
		wantView(t, h, "p", showing("a", ""))
		etcd.Heal()
		x = l.Insist(http.MethodPost, "ttl", 600, "value", "x", "timeout", 0).Token(t)
		line = fmt.Sprintf("%d x*", x)
		wantView(t, h, "p", showing("a", line))
	}
}

// What a module with the privilege modules is told of all modules, as it comes.
func TestModules_Followed(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded+privileged(t, "p", `["modules"]`))
	ctx, cancel := context.WithTimeout(t.Context(), drive.Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL+"/mod/p/follow", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(resp.Body)
	// next reads until a listing has the lock in that state.
	next := func(state string, restarts int) {
		t.Helper()
		for lines.Scan() {
			var list []drive.Module
			if err := json.Unmarshal(lines.Bytes(), &list); err != nil {
				t.Fatalf("%v: %s", err, lines.Bytes())
			}
			for _, m := range list {
				if m.Name == "lock" && m.State == state && m.Restarts == restarts {
					return
				}
			}
		}
		t.Fatalf("no listing has the lock %s after %d restarts: %v", state, restarts, lines.Err())
	}
	next("ready", 0)
	pid := h.Plugin()
	drive.Signal(t, pid, syscall.SIGKILL)
	next("ready", 1)
	want := func(path, text string) {
		t.Helper()
		if status, body := told(t, h, "GET", path); status != 200 || !strings.Contains(body, text) {
			t.Errorf("GET %s = %d %s, want %s", path, status, body, text)
		}
	}
	want("/mod/p/modules/lock", fmt.Sprintf(`"pid":%d,"reason":"ended: signal: killed","exit":"signal: killed","ordered":false}]`, pid))
	want("/mod/p/metrics/modhost_module_restarts_total", `{"label":[{"name":"module","value":"lock"}],"counter":{"value":1}}`)
	want("/mod/p/metrics/process_resident_memory_bytes", `{"name":"module","value":"p"}`)
	if status, body := told(t, h, "POST", "/mod/p/disable/lock"); status != 200 {
		t.Errorf("disable = %d %s", status, body)
	}
	next("disabled", 1)
	// How a process ends that was asked to is a matter of how busy the machine is.
	want("/mod/p/modules/lock", `"reason":"module \"lock\" was disabled","exit":"`)
	want("/mod/p/modules/lock", `,"ordered":true}]`)
	if status, body := told(t, h, "GET", "/mod/p/modules/none"); status != 502 || !strings.Contains(body, `no module "none"`) {
		t.Errorf("GET what is none = %d %s", status, body)
	}
}
