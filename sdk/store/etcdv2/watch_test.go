package etcdv2_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v2"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/etcdv2"
)

func nextEvent(t *testing.T, w store.Watcher) store.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	events, err := w.Next(ctx)
	if err != nil || len(events) != 1 {
		t.Fatalf("Next = %+v, %v", events, err)
	}
	return events[0]
}

func TestStore_WatchOverrun(t *testing.T) {
	s := open(t, etcdv2.Config{Endpoints: []string{endpoint}, Prefix: newPrefix()})
	x := ok(s.Create(t.Context(), "x", "one", 0))(t)
	keys, foreign := raw(t), newPrefix()
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			for range 500 {
				if _, err := keys.Set(t.Context(), fmt.Sprint(foreign, "/", i), "v", nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, after := range []store.Revision{0, x.Modified} {
		if _, err := s.Watch("", after).Next(t.Context()); !errors.Is(err, store.ErrCompacted) {
			t.Fatalf("Next after %d = %v, want %v", after, err, store.ErrCompacted)
		}
	}
	l, err := s.List(t.Context(), "", store.Linearizable)
	if err != nil || len(l.Entries) != 1 || l.Revision < x.Modified+5000 {
		t.Fatalf("List = %+v, %v", l, err)
	}
	w := s.Watch("", l.Revision)
	y := ok(s.Swap(t.Context(), x, "two", 0))(t)
	if ev := nextEvent(t, w); ev.Entry != y {
		t.Fatalf("event %+v, want %+v", ev, y)
	}
}

// What others do with etcd's own tools.
func TestStore_WatchForeignChanges(t *testing.T) {
	prefix, keys, ctx := newPrefix(), raw(t), t.Context()
	s := open(t, etcdv2.Config{Endpoints: []string{endpoint}, Prefix: prefix})
	l, err := s.List(ctx, "", store.Linearizable)
	if err != nil {
		t.Fatal(err)
	}
	w, ww := s.Watch("queue", l.Revision), s.Watch("", l.Revision)
	do := func(_ *client.Response, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(keys.Set(ctx, prefix+"/queue", "", &client.SetOptions{Dir: true}))
	do(keys.Set(ctx, prefix+"/que/x", "near by", nil))
	do(keys.Delete(ctx, prefix+"/que", &client.DeleteOptions{Recursive: true}))
	do(keys.Set(ctx, prefix+"/queue/x", "set", nil))
	do(keys.Set(ctx, prefix+"/queue/x", "set again", nil)) // a new creation
	do(keys.Update(ctx, prefix+"/queue/x", "update"))
	do(keys.Delete(ctx, prefix+"/queue/x", nil))
	do(keys.Set(ctx, prefix+"/queue/y", "", nil))
	do(keys.Delete(ctx, prefix+"/queue", &client.DeleteOptions{Recursive: true}))
	for i, want := range []struct {
		typ   store.EventType
		value string
	}{
		{store.EventPut, "set"}, {store.EventPut, "set again"}, {store.EventPut, "update"},
		{store.EventDelete, "update"}, {store.EventPut, ""},
	} {
		if ev := nextEvent(t, w); ev.Type != want.typ || ev.Entry.Value != want.value {
			t.Fatalf("event %d = %+v, want %v of %q", i, ev, want.typ, want.value)
		}
	}
	if _, err := w.Next(ctx); !errors.Is(err, store.ErrCompacted) {
		t.Fatalf("Next after rm -r = %v, want %v", err, store.ErrCompacted)
	}
	nextEvent(t, ww)
	if _, err := ww.Next(ctx); !errors.Is(err, store.ErrCompacted) {
		t.Fatalf("Next after rm -r further down = %v, want %v", err, store.ErrCompacted)
	}
}

// A server or proxy may end a long poll without an event or break it off.
func TestStore_WatchPollEnds(t *testing.T) {
	p := &proxy{before: func(n int, w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("wait") != "true" {
			return false
		}
		switch n {
		case 0:
			w.Header().Set("X-Etcd-Cluster-Id", "1")
			return true
		case 1, 2: // net/http itself repeats a GET once if the connection is not fresh
			panic(http.ErrAbortHandler)
		}
		return false
	}}
	s, beside := pair(t, p)
	x := ok(beside.Create(t.Context(), "x", "one", 0))(t)
	w := s.Watch("", x.Modified-1)
	if _, err := w.Next(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("Next on a broken connection = %v, want %v", err, store.ErrUnavailable)
	}
	for p.requests("wait=true") < 3 {
		w.Next(t.Context())
	}
	if ev := nextEvent(t, w); ev.Entry != x {
		t.Fatalf("event %+v, want %+v", ev, x)
	}
	if p.requests("stream") != 0 {
		t.Fatalf("requests %q", p.log)
	}
}

func TestStore_WatchPollsAgain(t *testing.T) {
	polled := make(chan struct{}, 100)
	p := &proxy{before: func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("wait") == "true" {
			polled <- struct{}{}
		}
		return false
	}}
	s, beside := pair(t, p)
	s.SetPollTime(20 * time.Millisecond)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for range 4 {
			<-polled
		}
		if _, err := beside.Create(t.Context(), "x", "one", 0); err != nil {
			t.Error(err)
		}
	})
	l, err := beside.List(t.Context(), "", store.Linearizable)
	if err != nil {
		t.Fatal(err)
	}
	if ev := nextEvent(t, s.Watch("", l.Revision)); ev.Entry.Key != "x" {
		t.Fatalf("event %+v", ev)
	}
}

// Many watches wait; writes beside them must not.
func TestStore_WatchesDontStarveWrites(t *testing.T) {
	s := open(t, etcdv2.Config{Endpoints: []string{endpoint}, Prefix: newPrefix()})
	l, err := s.List(t.Context(), "", store.Linearizable)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if events, err := s.Watch("end", l.Revision).Next(t.Context()); err != nil || len(events) != 1 {
				t.Errorf("Next = %+v, %v", events, err)
			}
		})
	}
	for i := range 50 {
		ok(s.Create(t.Context(), fmt.Sprint("k", i), "", 0))(t)
	}
	ok(s.Create(t.Context(), "end/x", "", 0))(t)
	wg.Wait()
}
