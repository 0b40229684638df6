package etcdv2_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/etcdv2"
)

// pair opens a store through p and one beside it with the same prefix.
func pair(t *testing.T, p *proxy) (through, beside *etcdv2.Store) {
	t.Helper()
	prefix := newPrefix()
	startProxy(t, p)
	return open(t, etcdv2.Config{Endpoints: []string{p.url}, Prefix: prefix}),
		open(t, etcdv2.Config{Endpoints: []string{endpoint}, Prefix: prefix})
}

// ok takes the result of a write that must succeed: ok(s.Create(…))(t).
func ok(e store.Entry, err error) func(*testing.T) store.Entry {
	return func(t *testing.T) store.Entry {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
}

func wantEntry(t *testing.T, s *etcdv2.Store, want store.Entry) {
	t.Helper()
	got, err := s.Get(t.Context(), want.Key, store.Linearizable)
	if err != nil || got != want {
		t.Fatalf("Get(%q) = %+v, %v, want %+v", want.Key, got, err, want)
	}
}

func TestStore_LostReplyOfCreate(t *testing.T) {
	p := &proxy{after: loseReply("PUT")}
	s, beside := pair(t, p)
	e := ok(s.Create(t.Context(), "q/x", "mine", 0))(t)
	wantEntry(t, beside, e)
	if n := p.requests("PUT "); n != 1 || e.Value != "mine" {
		t.Fatalf("Create = %+v with %d requests", e, n)
	}
}

func TestStore_LostReplyOfSwap(t *testing.T) {
	p := &proxy{after: loseReply("PUT")}
	s, beside := pair(t, p)
	x := ok(beside.Create(t.Context(), "x", "one", 0))(t)
	y := ok(s.Swap(t.Context(), x, "two", 0))(t)
	wantEntry(t, beside, y)
	if n := p.requests("PUT "); n != 1 || y.Created != x.Created || y.Value != "two" {
		t.Fatalf("Swap = %+v with %d requests", y, n)
	}
}

func TestStore_LostReplyOfRenew(t *testing.T) {
	p := &proxy{after: loseReply("PUT")}
	s, beside := pair(t, p)
	x := ok(beside.Create(t.Context(), "x", "one", 0))(t)
	y := ok(s.Renew(t.Context(), x, time.Hour))(t)
	if n := p.requests("PUT "); n != 2 || y.Created != x.Created || y.Value != "one" || y.TTL != time.Hour {
		t.Fatalf("Renew = %+v with %d requests, want a second renewal", y, n)
	}
}

func TestStore_LostReplyOfPut(t *testing.T) {
	for _, there := range []bool{false, true} {
		p := &proxy{after: loseReply("PUT")}
		s, beside := pair(t, p)
		if there {
			ok(beside.Put(t.Context(), "x", "old", 0))(t)
		}
		e := ok(s.Put(t.Context(), "x", "new", 0))(t)
		wantEntry(t, beside, e)
		if n := p.requests("PUT "); n != 1 || e.Value != "new" {
			t.Fatalf("Put = %+v with %d requests", e, n)
		}
	}
}

func TestStore_LostReplyOfDelete(t *testing.T) {
	for name, remove := range map[string]func(*etcdv2.Store, store.Entry) error{
		"Delete":         func(s *etcdv2.Store, e store.Entry) error { return s.Delete(t.Context(), e) },
		"DeleteCreation": func(s *etcdv2.Store, e store.Entry) error { return s.DeleteCreation(t.Context(), e.Key, e.Created) },
	} {
		p := &proxy{after: loseReply("DELETE")}
		s, beside := pair(t, p)
		x := ok(beside.Create(t.Context(), "x", "one", 0))(t)
		if err := remove(s, x); err != nil || p.requests("DELETE ") != 1 {
			t.Errorf("%s = %v with %d requests", name, err, p.requests("DELETE "))
		}
	}
}

// An answer 503 says nothing about whether the write was applied.
func TestStore_ServerErrorAfterApply(t *testing.T) {
	s, beside := pair(t, &proxy{after: func(n int, resp *http.Response) {
		if resp.Request.Method == "PUT" && n == 0 {
			resp.StatusCode = http.StatusServiceUnavailable
		}
	}})
	wantEntry(t, beside, ok(s.Create(t.Context(), "x", "mine", 0))(t))
}

func TestStore_LostRequest(t *testing.T) {
	drop := func(n int, _ http.ResponseWriter, r *http.Request) bool {
		if r.Method != "GET" && n == 0 {
			panic(http.ErrAbortHandler)
		}
		return false
	}
	ctx := t.Context()
	p := &proxy{before: drop}
	s, beside := pair(t, p)
	if e, err := s.Create(ctx, "x", "one", 0); !errors.Is(err, store.ErrUnavailable) || e != (store.Entry{}) {
		t.Errorf("Create = %+v, %v, want %v: it may still arrive", e, err, store.ErrUnavailable)
	}
	ok(beside.Create(ctx, "x", "one", 0))(t)

	p = &proxy{before: drop}
	startProxy(t, p)
	s, beside = pair(t, p)
	x := ok(beside.Create(ctx, "x", "one", 0))(t)
	y := ok(s.Swap(ctx, x, "two", 0))(t)
	wantEntry(t, beside, y)
	if err := s.Delete(ctx, y); err != nil || p.requests("DELETE ") != 2 {
		t.Errorf("Delete = %v with %d requests, want a second one", err, p.requests("DELETE "))
	}
}

// The reply is lost, and before it is read back somebody else writes.
func TestStore_LostReplyThenChanged(t *testing.T) {
	var beside *etcdv2.Store
	var change func() error
	p := &proxy{before: func(n int, _ http.ResponseWriter, r *http.Request) bool {
		if r.Method != "PUT" || n > 0 {
			return false
		}
		if err := change(); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	}}
	s, beside := pair(t, p)
	ctx := t.Context()
	x := ok(beside.Create(ctx, "x", "one", 0))(t)
	change = func() error {
		_, err := beside.Swap(ctx, x, "theirs", 0)
		return err
	}
	if _, err := s.Swap(ctx, x, "ours", 0); !errors.Is(err, store.ErrChanged) {
		t.Errorf("Swap = %v, want %v", err, store.ErrChanged)
	}
	p = &proxy{before: p.before}
	startProxy(t, p)
	s, beside = pair(t, p)
	change = func() error {
		_, err := beside.Create(ctx, "x", "theirs", 0)
		return err
	}
	// What stands there now does not tell that ours will never come.
	if e, err := s.Create(ctx, "x", "ours", 0); !errors.Is(err, store.ErrUnavailable) || e != (store.Entry{}) {
		t.Errorf("Create = %+v, %v, want %v", e, err, store.ErrUnavailable)
	}
}

// deadEnds are endpoints that nobody answers at.
func deadEnds(t *testing.T) map[string]string {
	t.Helper()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	return map[string]string{"closed": "http://" + closed.Addr().String(), "silent": "http://" + silent.Addr().String()}
}

func TestStore_Unavailable(t *testing.T) {
	gone := store.Entry{Key: "x", Created: 5, Modified: 5}
	calls := map[string]func(context.Context, *etcdv2.Store) error{
		"get": func(ctx context.Context, s *etcdv2.Store) error {
			_, err := s.Get(ctx, "x", store.Linearizable)
			return err
		},
		"list": func(ctx context.Context, s *etcdv2.Store) error {
			_, err := s.List(ctx, "", store.Local)
			return err
		},
		"create": func(ctx context.Context, s *etcdv2.Store) error {
			_, err := s.Create(ctx, "x", "", 0)
			return err
		},
		"put": func(ctx context.Context, s *etcdv2.Store) error {
			_, err := s.Put(ctx, "x", "", 0)
			return err
		},
		"renew": func(ctx context.Context, s *etcdv2.Store) error {
			_, err := s.Renew(ctx, gone, 0)
			return err
		},
		"delete": func(ctx context.Context, s *etcdv2.Store) error { return s.Delete(ctx, gone) },
	}
	var wg sync.WaitGroup
	for name, dead := range deadEnds(t) {
		for op, call := range calls {
			s := open(t, etcdv2.Config{Endpoints: []string{dead, dead}})
			wg.Go(func() {
				start := time.Now()
				err := call(t.Context(), s)
				if took := time.Since(start); !errors.Is(err, store.ErrUnavailable) || took > 7*time.Second { // callTimeout, and a stall
					t.Errorf("%s at a %s endpoint: error %v after %v, want %v within 7s", op, name, err, took, store.ErrUnavailable)
				}
				if name == "closed" {
					return
				}
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				if err := call(ctx, s); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s at a %s endpoint: error %v at the context's end", op, name, err)
				}
			})
		}
	}
	wg.Wait()
}

func TestStore_TwoEndpoints(t *testing.T) {
	for name, dead := range deadEnds(t) {
		t.Run(name+" first", func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, &proxy{})
			s := open(t, etcdv2.Config{Endpoints: []string{dead, p.url}, Prefix: newPrefix()})
			if l, err := s.List(t.Context(), "", store.Linearizable); err != nil || len(l.Entries) != 0 {
				t.Fatalf("List = %+v, %v", l, err)
			}
			x := ok(s.Create(t.Context(), "x", "one", 0))(t)
			x = ok(s.Swap(t.Context(), x, "two", 0))(t)
			wantEntry(t, s, x)
			if events, err := s.Watch("", x.Created).Next(t.Context()); err != nil || events[0].Entry != x {
				t.Fatalf("Next = %+v, %v", events, err)
			}
		})
	}
	t.Run("reply lost at the first", func(t *testing.T) {
		t.Parallel()
		a, b := startProxy(t, &proxy{after: loseReply("PUT")}), startProxy(t, &proxy{})
		s := open(t, etcdv2.Config{Endpoints: []string{a.url, b.url}, Prefix: newPrefix()})
		wantEntry(t, s, ok(s.Create(t.Context(), "x", "one", 0))(t))
		if a.requests("PUT ") != 1 || b.requests("PUT ") != 0 || b.requests("GET ") == 0 {
			t.Fatalf("requests %q and %q, want the create once and read back at the other", a.log, b.log)
		}
	})
}
