package keys

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// TestMain leaves the tests one processor, as in package memory, for the same
// reason.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	os.Exit(m.Run())
}

// inBubble runs f with an index over a store in memory. mine is another view of
// that, as another program has it.
func inBubble(t *testing.T, f func(t *testing.T, x *Index, under, mine *memory.Store), opts ...memory.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		under := memory.New(append(opts, memory.AnyKey())...)
		x := New(under, 1<<20)
		defer x.Close()
		f(t, x, under, under.Sub(""))
	})
}

func put(t *testing.T, s *memory.Store, key, value string, ttl time.Duration) store.Entry {
	t.Helper()
	e, err := s.Put(t.Context(), key, value, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func mkdir(t *testing.T, s *memory.Store, dir string, ttl time.Duration) store.Node {
	t.Helper()
	n, err := s.MakeDir(t.Context(), dir, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func page(t *testing.T, x *Index, q Question) *Page {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	p, err := x.Page(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func names(rows []Row) []string {
	all := []string{}
	for _, r := range rows {
		all = append(all, r.Name)
	}
	return all
}

func wantNames(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("names are %q, want %q", got, want)
	}
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// A follower is a browser that shows a topic.
type follower[T any] struct {
	end context.CancelFunc

	mu   sync.Mutex // guards what follows
	got  []T
	errs []error
}

// follow runs a source as the hub does, until the test ends or end is called.
func follow[T any](t *testing.T, source live.Source, got func(T)) *follower[T] {
	f := &follower[T]{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	f.end = func() { cancel(); <-done }
	t.Cleanup(f.end)
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			err := source(ctx, func(data any) error {
				f.mu.Lock()
				f.got = append(f.got, data.(T))
				f.mu.Unlock()
				if got != nil {
					got(data.(T))
				}
				return nil
			})
			if ctx.Err() == nil {
				f.mu.Lock()
				f.errs = append(f.errs, err)
				f.mu.Unlock()
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
				}
			}
		}
	}()
	return f
}

// settle lets all come to rest that the topics still have to send.
func settle() {
	time.Sleep(2 * pause)
	synctest.Wait()
}

// all returns what was sent, and what failed.
func (f *follower[T]) all() ([]T, []error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got), slices.Clone(f.errs)
}

// last returns what was sent last.
func (f *follower[T]) last(t *testing.T) T {
	t.Helper()
	settle()
	got, errs := f.all()
	if len(got) == 0 {
		t.Fatalf("nothing was sent; errors %v", errs)
	}
	return got[len(got)-1]
}

// A shown directory is what a page makes of the topic of a directory: all rows,
// read by pages when it is told to begin again.
type shownDir struct {
	t   *testing.T
	x   *Index
	dir string

	mu    sync.Mutex // guards what follows
	seq   uint64
	rows  []Row
	gone  bool
	reset int // how often it began again
}

func (s *shownDir) now() (rows []Row, gone bool, reset int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rows), s.gone, s.reset
}

func (s *shownDir) got(m DirState) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case m.Gone:
		s.rows, s.gone = nil, true
		return
	case m.Count != nil:
		s.gone = false
		s.reset++
		s.read()
		return
	}
	for i, c := range m.Changes {
		if seq := m.Seq - uint64(len(m.Changes)-1-i); seq <= s.seq {
			continue // the page was newer
		} else if seq != s.seq+1 {
			s.t.Errorf("%s: version %d follows %d", s.dir, seq, s.seq)
		}
		s.seq++
		switch c.Op {
		case Insert:
			s.rows = slices.Insert(s.rows, c.At, *c.Row)
		case Update:
			s.rows[c.At] = *c.Row
		case Remove:
			s.rows = slices.Delete(s.rows, c.At, c.At+1)
		}
	}
}

func (s *shownDir) read() {
	s.rows = nil
	for {
		p, err := s.x.Page(s.t.Context(), Question{Dir: s.dir, Offset: len(s.rows), Limit: 7})
		if errors.Is(err, store.ErrNotFound) {
			s.gone = true
			return
		}
		if err != nil {
			s.t.Error(err)
			return
		}
		if len(s.rows) > 0 && p.Seq != s.seq {
			s.rows = nil
			continue
		}
		s.seq = p.Seq
		s.rows = append(s.rows, p.Rows...)
		if len(s.rows) == p.Count {
			return
		}
	}
}

func show(t *testing.T, x *Index, dir string) (*shownDir, *follower[DirState]) {
	s := &shownDir{t: t, x: x, dir: dir}
	return s, follow(t, x.Dir(dir), s.got)
}
