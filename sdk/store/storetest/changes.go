package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

func testExpiry(t *testing.T, s store.Store) {
	w := watch(t, s, "q", list(t, s, "").Revision)
	start := time.Now()
	x := create(t, s, "q/x", "one", 2*time.Second)
	if x.TTL != 2*time.Second && x.TTL != time.Second { // see testRounding
		t.Fatalf("Create with ttl 2s = %+v", x)
	}
	events := next(t, w, 1)
	wantEvent(t, events[0], store.EventPut, x)
	events = next(t, w, 1)
	wantEvent(t, events[0], store.EventExpire, x)
	if took := time.Since(start); took < 1900*time.Millisecond || took > 5*time.Second {
		t.Fatalf("ttl 2s ran out after %v", took)
	}
	expect(t, s, "q/x", nil)
	if l := list(t, s, "q"); len(l.Entries) != 0 || l.Revision < events[0].Revision {
		t.Fatalf("List = %+v after an expiry at %d", l, events[0].Revision)
	}
	_, err := s.Renew(t.Context(), x, time.Hour)
	wantErr(t, "Renew of an expired entry", err, store.ErrNotFound)
	_, err = s.Swap(t.Context(), x, "two", time.Hour)
	wantErr(t, "Swap of an expired entry", err, store.ErrNotFound)
	if y := create(t, s, "q/x", "three", 0); y.Created <= events[0].Revision {
		t.Fatalf("created %+v after an expiry at %d", y, events[0].Revision)
	}
}

func testRounding(t *testing.T, s store.Store) {
	for i, row := range []struct{ ttl, want time.Duration }{
		{1, time.Second},
		{1500 * time.Millisecond, 2 * time.Second},
		{time.Minute, time.Minute},
		{time.Minute + 1, time.Minute + time.Second},
		{store.MaxTTL, store.MaxTTL},
	} {
		// The v2 API takes the clock twice and may answer a second less.
		if e := create(t, s, fmt.Sprint("k", i), "", row.ttl); e.TTL > row.want || e.TTL < max(time.Second, row.want-time.Second) {
			t.Errorf("Create with ttl %v gives %v, want %v", row.ttl, e.TTL, row.want)
		}
	}
}

// testTTLChanges lets a later expiry be the clock by which it is seen that
// those entries are still there which lost their TTL or got a longer one.
func testTTLChanges(t *testing.T, s store.Store) {
	const short = 3 * time.Second
	ctx := t.Context()
	w := watch(t, s, "", list(t, s, "").Revision)
	var stay []store.Entry
	keep := func(e store.Entry, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		stay = append(stay, e)
	}
	create(t, s, "put", "", short)
	keep(s.Put(ctx, "put", "stays", 0))
	keep(s.Swap(ctx, create(t, s, "swap", "", short), "stays", 0))
	keep(s.Swap(ctx, create(t, s, "longer", "", short), "stays", time.Hour))
	keep(s.Renew(ctx, create(t, s, "renew", "", short), time.Hour))
	keep(s.Renew(ctx, create(t, s, "for-ever", "", short), 0))
	keep(s.Renew(ctx, create(t, s, "was-for-ever", "", 0), time.Hour))
	shorter, err := s.Swap(ctx, create(t, s, "shorter", "", time.Hour), "goes", 2*short)
	if err != nil {
		t.Fatal(err)
	}
	events := next(t, w, 15)
	wantEvent(t, events[14], store.EventExpire, shorter)
	for _, e := range stay {
		expect(t, s, e.Key, &e)
		now, err := s.Get(ctx, e.Key, store.Linearizable)
		if err != nil || (e.TTL == 0) != (now.TTL == 0) || now.TTL > e.TTL || e.TTL > 0 && now.TTL < e.TTL-patience {
			t.Errorf("Get = %+v, %v, want a ttl a little below %v", now, err, e.TTL)
		}
	}
}

func testWatch(t *testing.T, s store.Store) {
	w := watch(t, s, "", list(t, s, "").Revision)
	x := create(t, s, "x", "one", time.Hour)
	events := next(t, w, 1) // from here on the watch is under way
	wantEvent(t, events[0], store.EventPut, x)
	y := swap(t, s, x, "two", time.Hour)
	z, err := s.Renew(t.Context(), y, 2*time.Hour)
	if err != nil {
		t.Fatalf("Renew = %v", err)
	}
	_, err = s.Create(t.Context(), "x", "no", 0)
	wantErr(t, "Create of what is there", err, store.ErrExists)
	remove(t, s, z)
	p, err := s.Put(t.Context(), "x", "three", 0)
	if err != nil {
		t.Fatalf("Put = %v", err)
	}
	if err := s.DeleteCreation(t.Context(), "x", p.Created); err != nil {
		t.Fatalf("DeleteCreation = %v", err)
	}
	events = next(t, w, 5)
	wantEvent(t, events[0], store.EventPut, y)
	wantEvent(t, events[1], store.EventPut, z)
	wantEvent(t, events[2], store.EventDelete, z)
	wantEvent(t, events[3], store.EventPut, p)
	wantEvent(t, events[4], store.EventDelete, p)
	if ttl := events[1].Entry.TTL; ttl != 2*time.Hour {
		t.Errorf("event of a renewal has ttl %v", ttl)
	}
	for i := 1; i < len(events); i++ {
		if events[i].Revision <= events[i-1].Revision {
			t.Fatalf("revisions out of order: %+v", events)
		}
	}
}

func testWatchAfter(t *testing.T, s store.Store) {
	x := create(t, s, "x", "one", 0)
	y := create(t, s, "y", "two", 0)
	l := list(t, s, "")
	z := create(t, s, "z", "three", 0)
	events := next(t, watch(t, s, "", x.Modified), 2)
	wantEvent(t, events[0], store.EventPut, y)
	wantEvent(t, events[1], store.EventPut, z)
	wantEvent(t, next(t, watch(t, s, "", l.Revision), 1)[0], store.EventPut, z)
	wantEvent(t, next(t, watch(t, s, "", z.Modified-1), 1)[0], store.EventPut, z)
}

func testWatchDir(t *testing.T, s store.Store) {
	after := list(t, s, "").Revision
	create(t, s, "qq/a", "", 0)
	create(t, s, "r", "", 0)
	x := create(t, s, "q/x", "", 0)
	create(t, s, "p/q/x", "", 0)
	y := create(t, s, "q/sub/y", "", 0)
	events := next(t, watch(t, s, "q", after), 2)
	wantEvent(t, events[0], store.EventPut, x)
	wantEvent(t, events[1], store.EventPut, y)
	wantEvent(t, next(t, watch(t, s, "q/sub", after), 1)[0], store.EventPut, y)
}

func testWatchResume(t *testing.T, s store.Store) {
	w := watch(t, s, "q", list(t, s, "").Revision)
	for i := range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		events, err := w.Next(ctx)
		cancel()
		if len(events) > 0 {
			t.Fatalf("Next = %+v before any change", events)
		}
		wantErr(t, "Next without a change", err, context.DeadlineExceeded)
		x := create(t, s, fmt.Sprint("q/x", i), "", 0)
		wantEvent(t, next(t, w, 1)[0], store.EventPut, x)
	}
	done := make(chan store.Event)
	go func() {
		defer close(done)
		if events, err := w.Next(t.Context()); err != nil || len(events) != 1 {
			t.Errorf("Next = %+v, %v", events, err)
		} else {
			done <- events[0]
		}
	}()
	x := create(t, s, "q/last", "", 0)
	if ev, ok := <-done; ok {
		wantEvent(t, ev, store.EventPut, x)
	}
}

func testWatchConcurrent(t *testing.T, s store.Store) {
	const writers, rounds = 6, 10
	after := list(t, s, "").Revision
	watchers := []store.Watcher{watch(t, s, "q", after), watch(t, s, "", after)}
	go each(writers, func(i int) {
		for r := range rounds {
			e, err := s.Create(t.Context(), fmt.Sprint("q/w", i), fmt.Sprint(i, " ", r), 0)
			if err == nil {
				err = s.Delete(t.Context(), e)
			}
			if err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		}
	})
	var first []store.Event
	for _, w := range watchers {
		events := next(t, w, 2*writers*rounds)
		live := make(map[string]store.Entry)
		for i, ev := range events {
			if i > 0 && ev.Revision <= events[i-1].Revision {
				t.Fatalf("revision %d after %d", ev.Revision, events[i-1].Revision)
			}
			if ev.Type == store.EventPut {
				live[ev.Entry.Key] = ev.Entry
				continue
			}
			if !same(live[ev.Entry.Key], ev.Entry) {
				t.Fatalf("event %+v, want the end of %+v", ev, live[ev.Entry.Key])
			}
			delete(live, ev.Entry.Key)
		}
		if len(live) > 0 {
			t.Fatalf("left over: %+v", live)
		}
		if first == nil {
			first = events
		}
		for i := range events {
			if events[i].Revision != first[i].Revision {
				t.Fatalf("watchers disagree on event %d: %+v and %+v", i, first[i], events[i])
			}
		}
	}
}
