// Package storetest is the conformance suite of package store: a driver's own
// test calls [Run], or [RunBubble] if it can live in testing/synctest's bubble,
// and passes when it keeps every clause of the Store's documentation. A bug
// found in one driver becomes a case here.
package storetest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// An Opener returns a store with nothing below its prefix. It cleans up by
// t.Cleanup.
type Opener func(t *testing.T) store.Store

// Run runs every case as a subtest, each on a store of its own, in real time;
// those that wait for a TTL take some seconds.
func Run(t *testing.T, open Opener) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// RunBubble is Run with a synctest bubble around each case, so that no time
// passes outside of it.
func RunBubble(t *testing.T, open Opener) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.run(t, open(t)) })
		})
	}
}

var cases = []struct {
	name string
	run  func(*testing.T, store.Store)
}{
	{"create, get and list", testCreate},
	{"create answers the standing entry", testCreateExists},
	{"one of many creates wins", testCreateRace},
	{"put keeps the creation", testPut},
	{"swap is guarded", testSwap},
	{"one of many swaps wins", testSwapRace},
	{"renew keeps creation and value", testRenew},
	{"renew of another creation", testRenewRecreated},
	{"many renews all succeed", testRenewRace},
	{"delete is guarded", testDelete},
	{"delete a creation", testDeleteCreation},
	{"list is ordered and below", testList},
	{"list of nothing", testListEmpty},
	{"values of all kinds", testValues},
	{"long keys", testLongKey},
	{"key and directory at once", testKeyAndDir},
	{"invalid arguments", testInvalid},
	{"ended context", testContext},
	{"ttl runs out", testExpiry},
	{"ttl is rounded up", testRounding},
	{"ttl is dropped and renewed", testTTLChanges},
	{"watch tells all, in order, once", testWatch},
	{"watch begins after a revision", testWatchAfter},
	{"watch keeps to its directory", testWatchDir},
	{"watch waits and resumes", testWatchResume},
	{"watch under concurrent writes", testWatchConcurrent},
	{"prune", testPrune},
}

// patience bounds what a case waits for; nothing takes that long.
const patience = 15 * time.Second

func create(t *testing.T, s store.Store, key, value string, ttl time.Duration) store.Entry {
	t.Helper()
	e, err := s.Create(t.Context(), key, value, ttl)
	if err != nil {
		t.Fatalf("Create(%q) = %v", key, err)
	}
	if e.Key != key || e.Value != value || e.Created < 1 || e.Modified != e.Created {
		t.Fatalf("Create(%q, %q) = %+v", key, value, e)
	}
	return e
}

func swap(t *testing.T, s store.Store, e store.Entry, value string, ttl time.Duration) store.Entry {
	t.Helper()
	n, err := s.Swap(t.Context(), e, value, ttl)
	if err != nil {
		t.Fatalf("Swap(%+v, %q) = %v", e, value, err)
	}
	if n.Key != e.Key || n.Value != value || n.Created != e.Created || n.Modified <= e.Modified {
		t.Fatalf("Swap(%+v, %q) = %+v", e, value, n)
	}
	return n
}

func remove(t *testing.T, s store.Store, e store.Entry) {
	t.Helper()
	if err := s.Delete(t.Context(), e); err != nil {
		t.Fatalf("Delete(%+v) = %v", e, err)
	}
}

func list(t *testing.T, s store.Store, dir string) store.Listing {
	t.Helper()
	l, err := s.List(t.Context(), dir, store.Linearizable)
	if err != nil {
		t.Fatalf("List(%q) = %v", dir, err)
	}
	return l
}

// expect checks what is under key by both kinds of read; nil = nothing.
func expect(t *testing.T, s store.Store, key string, want *store.Entry) {
	t.Helper()
	for _, c := range []store.Consistency{store.Linearizable, store.Local} {
		got, err := s.Get(t.Context(), key, c)
		switch {
		case want == nil:
			wantErr(t, "Get of nothing", err, store.ErrNotFound)
		case err != nil:
			t.Fatalf("Get(%q) = %v", key, err)
		case !same(got, *want):
			t.Fatalf("Get(%q) = %+v, want %+v", key, got, *want)
		}
	}
}

// same compares all but the TTL, which runs, and the end, which is corrected to
// it.
func same(a, b store.Entry) bool {
	a.TTL, b.TTL = 0, 0
	a.Expires, b.Expires = time.Time{}, time.Time{}
	return a == b
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("%s: error %v, want %v", what, got, want)
	}
}

// next returns the next n events of w.
func next(t *testing.T, w store.Watcher, n int) []store.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []store.Event
	for len(all) < n {
		events, err := w.Next(ctx)
		if err != nil {
			t.Fatalf("Next after %d of %d events = %v", len(all), n, err)
		}
		if len(events) == 0 {
			t.Fatal("Next returned no event and no error")
		}
		all = append(all, events...)
	}
	if len(all) > n {
		t.Fatalf("%d events, want %d: %+v", len(all), n, all)
	}
	return all
}

func wantEvent(t *testing.T, ev store.Event, typ store.EventType, e store.Entry) {
	t.Helper()
	if ev.Type != typ || !same(ev.Entry, e) {
		t.Fatalf("event %v %+v at %d, want %v %+v", ev.Type, ev.Entry, ev.Revision, typ, e)
	}
	if typ == store.EventPut && ev.Revision != e.Modified || typ != store.EventPut && ev.Revision <= e.Modified {
		t.Fatalf("event %v %+v has revision %d", ev.Type, ev.Entry, ev.Revision)
	}
}

func watch(t *testing.T, s store.Store, dir string, after store.Revision) store.Watcher {
	t.Helper()
	w := s.Watch(dir, after)
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return w
}
