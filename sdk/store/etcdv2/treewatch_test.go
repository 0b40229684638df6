package etcdv2_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/etcdv2"
)

// trees returns a tree behind p, and one beside it.
func trees(t *testing.T, p *proxy) (store.Tree, store.Tree) {
	t.Helper()
	c := etcdv2.Config{Endpoints: []string{startProxy(t, p).url}, Prefix: newPrefix(), AnyKey: true}
	s := open(t, c)
	c.Endpoints = []string{endpoint}
	return s, open(t, c)
}

func watchTree(t *testing.T, s store.Tree, dir string, after store.Revision) store.TreeWatcher {
	t.Helper()
	w := s.WatchTree(dir, after)
	t.Cleanup(func() { w.Close() }) //nolint:errcheck // never fails
	return w
}

// changes returns the next n of w.
func changes(t *testing.T, w store.TreeWatcher, n int) []store.TreeChange {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all []store.TreeChange
	for len(all) < n {
		more, err := w.Next(ctx)
		if err != nil {
			t.Fatalf("Next after %d of %d changes = %v", len(all), n, err)
		}
		all = append(all, more...)
	}
	return all
}

// quiet sees to it that w has begun, by a Next that finds nothing.
func quiet(t *testing.T, w store.TreeWatcher) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if got, err := w.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Next = %+v, %v, want nothing", got, err)
	}
}

// isStream tells whether r asks for a stream of changes.
func isStream(r *http.Request) bool { return r.URL.Query().Get("stream") == "true" }

// A dam is a body that can be held back, or brought to an orderly end.
type dam struct {
	io.ReadCloser
	open  <-chan struct{} // nil: it is
	ended <-chan struct{}
}

func (d *dam) Read(p []byte) (int, error) {
	if d.open != nil {
		<-d.open
	}
	type result struct {
		n   int
		err error
	}
	read := make(chan result, 1)
	buf := make([]byte, len(p))
	go func() { // until the body is closed, which it is when this ends
		n, err := d.ReadCloser.Read(buf)
		read <- result{n, err}
	}()
	select {
	case r := <-read:
		return copy(p, buf[:r.n]), r.err
	case <-d.ended:
		return 0, io.EOF
	}
}

// etcd forgets a stream that is not read for 100 changes. All are told in the
// end, each once.
func TestTreeWatch_StreamOverflows(t *testing.T) {
	const n = 400
	gate := make(chan struct{})
	var streams atomic.Int64
	s, beside := trees(t, &proxy{narrow: true, after: func(_ int, resp *http.Response) {
		if isStream(resp.Request) && streams.Add(1) == 1 {
			resp.Body = &dam{ReadCloser: resp.Body, open: gate}
		}
	}})
	start := ok(beside.Create(t.Context(), "start", "", 0))(t)
	w := watchTree(t, s, "", start.Modified)
	quiet(t, w)
	value := strings.Repeat("v", 16<<10) // more than the sockets hold
	for i := range n {
		ok(beside.Put(t.Context(), fmt.Sprint("d/", i%7), fmt.Sprint(i, value), 0))(t)
	}
	close(gate)
	for i, c := range changes(t, w, n) {
		if got, _, _ := strings.Cut(c.Node.Value, "v"); got != fmt.Sprint(i) {
			t.Fatalf("change %d is that of write %s", i, got)
		}
	}
	if streams.Load() < 2 {
		t.Errorf("%d streams: the first one did not overflow, so this tests nothing", streams.Load())
	}
	quiet(t, w)
	ok(beside.Put(t.Context(), "last", "", 0))(t)
	changes(t, w, 1)
}

// Who has missed more than etcd keeps is told so, and goes on from a new reading.
func TestTreeWatch_WindowMissed(t *testing.T) {
	gate := make(chan struct{})
	s, beside := trees(t, &proxy{narrow: true, after: func(_ int, resp *http.Response) {
		if isStream(resp.Request) {
			resp.Body = &dam{ReadCloser: resp.Body, open: gate}
		}
	}})
	start := ok(beside.Create(t.Context(), "start", "", 0))(t)
	w := watchTree(t, s, "", start.Modified)
	quiet(t, w)
	value := strings.Repeat("v", 16<<10)
	each(8, func(i int) {
		for j := range 180 {
			if _, err := beside.Create(t.Context(), fmt.Sprint("d/", i, "-", j), value, 0); err != nil {
				t.Errorf("Create = %v", err)
			}
		}
	})
	close(gate)
	last := start.Modified
	for {
		got, err := w.Next(t.Context())
		if errors.Is(err, store.ErrCompacted) {
			break
		}
		if err != nil {
			t.Fatalf("Next = %v", err)
		}
		for _, c := range got {
			if c.Revision <= last {
				t.Fatalf("revision %d follows %d", c.Revision, last)
			}
			last = c.Revision
		}
	}
	l, err := s.Level(t.Context(), "", store.Linearizable)
	if err != nil {
		t.Fatal(err)
	}
	w = watchTree(t, s, "", l.Revision)
	e := ok(beside.Put(t.Context(), "after", "", 0))(t)
	if c := changes(t, w, 1)[0]; c.Node.Key != "after" || c.Revision != e.Modified {
		t.Errorf("change %+v", c)
	}
}

func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// A watch that sees nothing lives on while others write more than etcd keeps,
// over the end that etcd gives every stream.
func TestTreeWatch_QuietWhileOthersWrite(t *testing.T) {
	p := &proxy{}
	ends := make([]chan struct{}, 10) // of the streams in the order of their beginning
	for i := range ends {
		ends[i] = make(chan struct{})
	}
	var begun atomic.Int64
	p.after = func(_ int, resp *http.Response) {
		if isStream(resp.Request) {
			resp.Body = &dam{ReadCloser: resp.Body, ended: ends[begun.Add(1)-1]}
		}
	}
	streams := func() int { return int(begun.Load()) }
	s, beside := trees(t, p)
	start := ok(beside.Create(t.Context(), "a/start", "", 0))(t)
	w := watchTree(t, s, "a", start.Modified)
	etcdv2.SetWatchTimes(w, time.Second, 400*time.Millisecond)
	for round, writes := range []int{140, 1, 0} { // the first one: more than etcd keeps
		for streams() < round+2 { // the next one has begun
			quiet(t, w)
		}
		each(8, func(i int) {
			for j := range writes {
				if _, err := beside.Create(t.Context(), fmt.Sprint("b/", round, "-", i, "-", j), "", 0); err != nil {
					t.Errorf("Create = %v", err)
				}
			}
		})
		quiet(t, w)
		close(ends[round])
		quiet(t, w)
	}
	e := ok(beside.Put(t.Context(), "a/x", "", 0))(t)
	if c := changes(t, w, 1)[0]; c.Node.Key != "a/x" || c.Revision != e.Modified {
		t.Errorf("change %+v", c)
	}
}

// A member that is there but silent, or knows no leader, is as good as gone.
func TestTreeWatch_NoContact(t *testing.T) {
	for name, trouble := range map[string]func(w http.ResponseWriter, r *http.Request){
		"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"no leader": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, `{"message":"During election"}`) //nolint:errcheck // the test sees
		},
	} {
		t.Run(name, func(t *testing.T) {
			var on atomic.Bool
			var greets atomic.Int64
			good, end := context.WithTimeout(t.Context(), 30*time.Second)
			defer end()
			s, beside := trees(t, &proxy{before: func(_ int, w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/v2/members/leader" {
					return false
				}
				if greets.Add(1) == 2 { // the first one went well
					end()
				}
				if !on.Load() {
					return false
				}
				trouble(w, r)
				return true
			}})
			start := ok(beside.Create(t.Context(), "start", "", 0))(t)
			w := watchTree(t, s, "", start.Modified)
			etcdv2.SetWatchTimes(w, time.Second, time.Minute)
			if got, err := w.Next(good); !errors.Is(err, context.Canceled) {
				t.Fatalf("Next = %+v, %v, want nothing while greets go well", got, err)
			}
			on.Store(true)
			if got, err := w.Next(t.Context()); !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("Next = %+v, %v, want ErrUnavailable", got, err)
			}
			ok(beside.Put(t.Context(), "x", "", 0))(t) // meanwhile
			on.Store(false)
			if c := changes(t, w, 1)[0]; c.Node.Key != "x" {
				t.Errorf("change %+v", c)
			}
		})
	}
}

// Connections that break cost nothing but a word.
func TestTreeWatch_Breaks(t *testing.T) {
	p := &proxy{}
	var broken atomic.Int64
	p.after = func(_ int, resp *http.Response) {
		if isStream(resp.Request) && broken.Add(1) <= 3 {
			resp.Body = &breaking{resp.Body}
		}
	}
	s, beside := trees(t, p)
	start := ok(beside.Create(t.Context(), "start", "", 0))(t)
	w := watchTree(t, s, "", start.Modified)
	var got []store.TreeChange
	for i, unavailable := 0, 0; len(got) < 10; i++ {
		if i < 10 {
			ok(beside.Put(t.Context(), "x", fmt.Sprint(i), 0))(t)
		}
		more, err := w.Next(t.Context())
		if err != nil {
			if unavailable++; !errors.Is(err, store.ErrUnavailable) || unavailable > 6 {
				t.Fatalf("Next = %v", err)
			}
			continue
		}
		got = append(got, more...)
	}
	for i, c := range got {
		if c.Node.Value != fmt.Sprint(i) {
			t.Errorf("change %d is %+v", i, c)
		}
	}
}

// breaking is a body that breaks after its first piece.
type breaking struct{ io.ReadCloser }

func (b *breaking) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), 100)])
	if err == nil {
		err = errors.New("broken")
	}
	return n, err
}

// When a node ends is corrected to what its TTL allows, which says most about
// what was just read.
func TestClock_Expires(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	after := func(s float64) time.Time { return at.Add(time.Duration(s * float64(time.Second))) }
	for _, c := range []struct {
		ahead, end float64 // seconds
		now        bool
		want       float64
	}{
		{0, 9.5, true, 9.5},
		{0, 10.5, true, 10},
		{0, 8, true, 9},
		{0, 8, false, 8}, // told a while ago
		{0, 10.5, false, 10},
		{3600, 3609.5, true, 9.5},
		{3600, 3610.8, true, 10},
		{-3600, -3592, false, 8},
	} {
		got := etcdv2.Expires(time.Duration(c.ahead)*time.Second, after(c.end), 10*time.Second, at, c.now)
		if !got.Equal(after(c.want)) {
			t.Errorf("%+v: expires %v after it was read", c, got.Sub(at))
		}
	}
}

// The clocks of etcd's machine and ours may differ by hours.
func TestStore_ExpiresByOurClock(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"same": 0, "ahead": 3 * time.Hour, "behind": -3 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			s, beside := trees(t, &proxy{after: func(_ int, resp *http.Response) {
				date, err := http.ParseTime(resp.Header.Get("Date"))
				if err != nil {
					return // the proxy's own answers
				}
				resp.Header.Set("Date", date.Add(ahead).Format(http.TimeFormat))
				resp.Body = &shifted{resp.Body, ahead}
			}})
			start := ok(beside.Create(t.Context(), "start", "", 0))(t)
			began := time.Now()
			check := func(what string, e store.Entry) {
				t.Helper()
				// One second more than for what was just read: dates are in seconds.
				if earliest, latest := began.Add(time.Hour-2*time.Second), time.Now().Add(time.Hour+time.Second); e.Expires.Before(earliest) || e.Expires.After(latest) {
					t.Errorf("%s: expires %v, want between %v and %v", what, e.Expires, earliest, latest)
				}
			}
			check("Create", ok(s.Create(t.Context(), "x", "", time.Hour))(t))
			check("Get", ok(s.Get(t.Context(), "x", store.Linearizable))(t))
			check("a change from before", changes(t, watchTree(t, s, "", start.Modified), 1)[0].Node.Entry)
			events, err := s.Watch("", start.Modified).Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			check("an event from before", events[0].Entry)
		})
	}
}

// shifted is an answer with its expiration shifted.
type shifted struct {
	io.ReadCloser
	by time.Duration
}

func (s *shifted) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	text := string(p[:n])
	if _, rest, found := strings.Cut(text, `"expiration":"`); found {
		old, _, _ := strings.Cut(rest, `"`)
		end, parseErr := time.Parse(time.RFC3339Nano, old)
		if parseErr == nil {
			// As long as before, whatever zeros are left out at the end.
			text = strings.Replace(text, old, end.Add(s.by).Format(time.RFC3339Nano), 1)
		}
	}
	return copy(p, text), err
}
