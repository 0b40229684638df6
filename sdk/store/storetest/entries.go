package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

func testCreate(t *testing.T, s store.Store) {
	expect(t, s, "a/x", nil)
	x := create(t, s, "a/x", "one", 0)
	y := create(t, s, "a/y", "two", 0)
	if x.TTL != 0 || y.Created <= x.Created {
		t.Fatalf("created %+v, then %+v", x, y)
	}
	expect(t, s, "a/x", &x)
	l := list(t, s, "a")
	if !slices.Equal(l.Entries, []store.Entry{x, y}) || l.Revision < y.Modified {
		t.Fatalf("List = %+v, want %+v and %+v", l, x, y)
	}
}

func testCreateExists(t *testing.T, s store.Store) {
	x := create(t, s, "x", "one", 0)
	got, err := s.Create(t.Context(), "x", "two", 0)
	wantErr(t, "second Create", err, store.ErrExists)
	if !same(got, x) {
		t.Fatalf("standing entry = %+v, want %+v", got, x)
	}
	expect(t, s, "x", &x)
	remove(t, s, x)
	if again := create(t, s, "x", "three", 0); again.Created <= x.Created {
		t.Fatalf("created %+v after %+v", again, x)
	}
}

func testCreateRace(t *testing.T, s store.Store) {
	const n = 24
	won, lost := make([]store.Entry, n), make([]store.Entry, n)
	each(n, func(i int) {
		e, err := s.Create(t.Context(), "q/x", fmt.Sprint("value ", i), time.Minute)
		switch {
		case err == nil:
			won[i] = e
		case errors.Is(err, store.ErrExists):
			lost[i] = e
		default:
			t.Errorf("Create = %v", err)
		}
	})
	won = slices.DeleteFunc(won, func(e store.Entry) bool { return e.Created == 0 })
	lost = slices.DeleteFunc(lost, func(e store.Entry) bool { return e.Created == 0 })
	if len(won) != 1 || len(lost) != n-1 {
		t.Fatalf("%d creates won and %d were answered the standing entry", len(won), len(lost))
	}
	for _, e := range lost {
		if !same(e, won[0]) {
			t.Fatalf("standing entry = %+v, want %+v", e, won[0])
		}
	}
	expect(t, s, "q/x", &won[0])
}

func testPut(t *testing.T, s store.Store) {
	x, err := s.Put(t.Context(), "x", "one", time.Hour)
	if err != nil || x.Value != "one" || x.Created != x.Modified || x.TTL != time.Hour {
		t.Fatalf("Put = %+v, %v", x, err)
	}
	n, err := s.Put(t.Context(), "x", "two", 0)
	if err != nil || n.Value != "two" || n.Created != x.Created || n.Modified <= x.Modified || n.TTL != 0 {
		t.Fatalf("Put over %+v = %+v, %v", x, n, err)
	}
	expect(t, s, "x", &n)
	each(8, func(i int) {
		if _, err := s.Put(t.Context(), "x", fmt.Sprint(i), 0); err != nil {
			t.Errorf("concurrent Put = %v", err)
		}
	})
	if got, err := s.Get(t.Context(), "x", store.Linearizable); err != nil || got.Created != x.Created {
		t.Fatalf("Get = %+v, %v, want creation %d", got, err, x.Created)
	}
}

func testSwap(t *testing.T, s store.Store) {
	x := create(t, s, "x", "one", 0)
	y := swap(t, s, x, "two", 0)
	expect(t, s, "x", &y)
	_, err := s.Swap(t.Context(), x, "three", 0)
	wantErr(t, "Swap of an old state", err, store.ErrChanged)
	expect(t, s, "x", &y)
	remove(t, s, y)
	_, err = s.Swap(t.Context(), y, "four", 0)
	wantErr(t, "Swap of a deleted entry", err, store.ErrNotFound)
	z := create(t, s, "x", "five", 0)
	_, err = s.Swap(t.Context(), y, "six", 0)
	wantErr(t, "Swap of an earlier creation", err, store.ErrNotFound)
	expect(t, s, "x", &z)
}

func testSwapRace(t *testing.T, s store.Store) {
	x := create(t, s, "x", "start", 0)
	const n = 16
	won := make([]store.Entry, n)
	each(n, func(i int) {
		e, err := s.Swap(t.Context(), x, fmt.Sprint("value ", i), 0)
		if err == nil {
			won[i] = e
		} else if !errors.Is(err, store.ErrChanged) {
			t.Errorf("Swap = %v, want %v", err, store.ErrChanged)
		}
	})
	won = slices.DeleteFunc(won, func(e store.Entry) bool { return e.Created == 0 })
	if len(won) != 1 {
		t.Fatalf("%d swaps of one state succeeded", len(won))
	}
	expect(t, s, "x", &won[0])
}

func testRenew(t *testing.T, s store.Store) {
	x := create(t, s, "x", "one", time.Minute)
	y, err := s.Renew(t.Context(), x, time.Hour)
	if err != nil || y.Created != x.Created || y.Value != "one" || y.Modified <= x.Modified || y.TTL != time.Hour {
		t.Fatalf("Renew(%+v) = %+v, %v", x, y, err)
	}
	z := swap(t, s, y, "two", time.Minute)
	n, err := s.Renew(t.Context(), x, 2*time.Hour)
	if err != nil || n.Created != x.Created || n.Value != "two" || n.Modified <= z.Modified || n.TTL != 2*time.Hour {
		t.Fatalf("Renew of an old state = %+v, %v", n, err)
	}
	expect(t, s, "x", &n)
	remove(t, s, n)
	_, err = s.Renew(t.Context(), n, time.Hour)
	wantErr(t, "Renew of a deleted entry", err, store.ErrNotFound)
	expect(t, s, "x", nil)
}

func testRenewRecreated(t *testing.T, s store.Store) {
	x := create(t, s, "x", "one", time.Minute)
	remove(t, s, x)
	y := create(t, s, "x", "two", time.Minute)
	_, err := s.Renew(t.Context(), x, time.Hour)
	wantErr(t, "Renew of an earlier creation", err, store.ErrNotFound)
	got, err := s.Get(t.Context(), "x", store.Linearizable)
	if err != nil || !same(got, y) || got.TTL > time.Minute {
		t.Fatalf("Get = %+v, %v, want %+v untouched", got, err, y)
	}
}

func testRenewRace(t *testing.T, s store.Store) {
	x := create(t, s, "x", "one", time.Minute)
	each(8, func(i int) {
		if n, err := s.Renew(t.Context(), x, time.Hour); err != nil || n.Created != x.Created || n.Value != "one" {
			t.Errorf("concurrent Renew = %+v, %v", n, err)
		}
	})
}

func testDelete(t *testing.T, s store.Store) {
	x := create(t, s, "x", "one", 0)
	y := swap(t, s, x, "two", 0)
	wantErr(t, "Delete of an old state", s.Delete(t.Context(), x), store.ErrChanged)
	expect(t, s, "x", &y)
	remove(t, s, y)
	expect(t, s, "x", nil)
	wantErr(t, "second Delete", s.Delete(t.Context(), y), store.ErrNotFound)
	z := create(t, s, "x", "three", 0)
	wantErr(t, "Delete of an earlier creation", s.Delete(t.Context(), y), store.ErrNotFound)
	expect(t, s, "x", &z)
}

func testDeleteCreation(t *testing.T, s store.Store) {
	x := create(t, s, "x", "one", 0)
	swap(t, s, x, "two", 0)
	wantErr(t, "DeleteCreation of none", s.DeleteCreation(t.Context(), "x", x.Created+1000), store.ErrNotFound)
	if err := s.DeleteCreation(t.Context(), "x", x.Created); err != nil {
		t.Fatalf("DeleteCreation = %v", err)
	}
	expect(t, s, "x", nil)
	wantErr(t, "second DeleteCreation", s.DeleteCreation(t.Context(), "x", x.Created), store.ErrNotFound)
	y := create(t, s, "x", "three", 0)
	wantErr(t, "DeleteCreation of an earlier one", s.DeleteCreation(t.Context(), "x", x.Created), store.ErrNotFound)
	expect(t, s, "x", &y)
}

func testList(t *testing.T, s store.Store) {
	var want []store.Entry
	for _, key := range []string{"q/z", "q/sub/y", "q/a", "q/~A-9", "q/sub/deep/b"} {
		want = append(want, create(t, s, key, "of "+key, 0))
	}
	other := []store.Entry{create(t, s, "qq/x", "", 0), create(t, s, "r", "", 0)}
	want[0] = swap(t, s, want[0], "later", 0) // the order is that of creation
	for _, c := range []store.Consistency{store.Linearizable, store.Local} {
		l, err := s.List(t.Context(), "q", c)
		if err != nil || !slices.Equal(l.Entries, want) || l.Revision < want[0].Modified {
			t.Fatalf("List(q) = %+v, %v, want %+v", l, err, want)
		}
	}
	if l := list(t, s, ""); !slices.Equal(l.Entries, append(want, other...)) {
		t.Fatalf("List of all = %+v", l.Entries)
	}
	remove(t, s, want[1])
	before := list(t, s, "q")
	if !slices.Equal(before.Entries, slices.Delete(slices.Clone(want), 1, 2)) || before.Revision <= want[0].Modified {
		t.Fatalf("List after a delete = %+v", before)
	}
}

func testListEmpty(t *testing.T, s store.Store) {
	x := create(t, s, "q/x", "", 0)
	remove(t, s, create(t, s, "gone/y", "", 0))
	for _, dir := range []string{"none", "none/deeper", "gone", "q/x"} {
		l := list(t, s, dir)
		if len(l.Entries) != 0 || l.Revision <= x.Modified {
			t.Fatalf("List(%q) = %+v", dir, l)
		}
	}
}

func testValues(t *testing.T, s store.Store) {
	for i, value := range []string{
		"", " ", "plain", `"quoted" \ and <&>`, "lines\r\n\ttabs\n", "a=b&c=d%20;+", "\x00\x01\x1f\x7f",
		"grüße, 世界, 🙂,\u2028\u2029\ufffd\ufeff", strings.Repeat("é\n\"", 128<<10/4),
	} {
		key := fmt.Sprint("v/", i)
		e := create(t, s, key, value, 0)
		expect(t, s, key, &e)
		e = swap(t, s, e, value+"!", 0)
		expect(t, s, key, &e)
		e, err := s.Renew(t.Context(), e, time.Hour)
		if err != nil || e.Value != value+"!" {
			t.Fatalf("Renew = %.40q, %v", e.Value, err)
		}
		remove(t, s, e)
	}
}

func testLongKey(t *testing.T, s store.Store) {
	for _, key := range []string{strings.Repeat("k", store.MaxKey), strings.Repeat("seg/", store.MaxKey/4-1) + "end~"} {
		dir := key[:strings.LastIndexByte(key, '/')+1]
		w := watch(t, s, strings.TrimSuffix(dir, "/"), list(t, s, "").Revision)
		e := create(t, s, key, "one", time.Hour)
		e = swap(t, s, e, "two", time.Hour)
		e, err := s.Renew(t.Context(), e, time.Hour)
		if err != nil {
			t.Fatalf("Renew = %v", err)
		}
		expect(t, s, key, &e)
		if l := list(t, s, ""); len(l.Entries) != 1 || !same(l.Entries[0], e) {
			t.Fatalf("List = %d entries", len(l.Entries))
		}
		next(t, w, 3)
		if err := s.DeleteCreation(t.Context(), key, e.Created); err != nil {
			t.Fatalf("DeleteCreation = %v", err)
		}
	}
}

func testKeyAndDir(t *testing.T, s store.Store) {
	x := create(t, s, "a/x", "", 0)
	check := func(what string, err error) {
		t.Helper()
		if err != nil && !errors.Is(err, store.ErrInvalid) {
			t.Fatalf("%s = %v, want none or %v", what, err, store.ErrInvalid)
		}
	}
	expect(t, s, "a", nil)
	expect(t, s, "a/x/y", nil)
	_, err := s.Create(t.Context(), "a", "", 0)
	check("Create of a directory's name", err)
	_, err = s.Put(t.Context(), "a", "", 0)
	check("Put of a directory's name", err)
	_, err = s.Create(t.Context(), "a/x/y", "", 0)
	check("Create below an entry", err)
	_, err = s.Put(t.Context(), "a/x/y", "", 0)
	check("Put below an entry", err)
	expect(t, s, "a/x", &x)
}

func testInvalid(t *testing.T, s store.Store) {
	ctx := t.Context()
	good := create(t, s, "good", "", 0)
	before := list(t, s, "")
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a.b", "_a", "a/_b", "a b", "a%20b", "ä", "a\x00", "a?b", "a#b",
		strings.Repeat("k", store.MaxKey+1),
	} {
		bad := good
		bad.Key = key
		_, getErr := s.Get(ctx, key, store.Local)
		_, putErr := s.Put(ctx, key, "", 0)
		_, createErr := s.Create(ctx, key, "", 0)
		_, swapErr := s.Swap(ctx, bad, "", 0)
		_, renewErr := s.Renew(ctx, bad, 0)
		errs := []error{getErr, putErr, createErr, swapErr, renewErr, s.Delete(ctx, bad), s.DeleteCreation(ctx, key, 1)}
		if key != "" { // "" is a directory: all
			_, listErr := s.List(ctx, key, store.Local)
			_, watchErr := s.Watch(key, 0).Next(ctx)
			errs = append(errs, listErr, watchErr)
		}
		for i, err := range errs {
			wantErr(t, fmt.Sprintf("call %d with key %.20q", i, key), err, store.ErrInvalid)
		}
	}
	for _, ttl := range []time.Duration{-1, -time.Hour, store.MaxTTL + 1} {
		_, putErr := s.Put(ctx, "x", "", ttl)
		_, createErr := s.Create(ctx, "x", "", ttl)
		_, swapErr := s.Swap(ctx, good, "", ttl)
		_, renewErr := s.Renew(ctx, good, ttl)
		for i, err := range []error{putErr, createErr, swapErr, renewErr} {
			wantErr(t, fmt.Sprintf("call %d with ttl %v", i, ttl), err, store.ErrInvalid)
		}
	}
	for _, value := range []string{"\xff", strings.Repeat("v", store.MaxValue+1)} {
		_, putErr := s.Put(ctx, "x", value, 0)
		_, createErr := s.Create(ctx, "x", value, 0)
		_, swapErr := s.Swap(ctx, good, value, 0)
		for i, err := range []error{putErr, createErr, swapErr} {
			wantErr(t, fmt.Sprintf("call %d with value %.20q", i, value), err, store.ErrInvalid)
		}
	}
	for _, e := range []store.Entry{{Key: "good", Created: good.Created}, {Key: "good", Modified: good.Modified}} {
		_, swapErr := s.Swap(ctx, e, "two", 0)
		_, renewErr := s.Renew(ctx, e, 0)
		for i, err := range []error{swapErr, renewErr, s.Delete(ctx, e)} {
			wantErr(t, fmt.Sprintf("call %d with an entry without revision", i), err, store.ErrInvalid)
		}
	}
	if after := list(t, s, ""); !slices.Equal(after.Entries, before.Entries) {
		t.Fatalf("List = %+v, want %+v", after, before)
	}
}

func testContext(t *testing.T, s store.Store) {
	x := create(t, s, "x", "one", 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Get(ctx, "x", store.Linearizable)
	wantErr(t, "Get", err, context.Canceled)
	_, err = s.List(ctx, "", store.Linearizable)
	wantErr(t, "List", err, context.Canceled)
	_, err = s.Create(ctx, "y", "", 0)
	wantErr(t, "Create", err, context.Canceled)
	_, err = s.Swap(ctx, x, "two", 0)
	wantErr(t, "Swap", err, context.Canceled)
	wantErr(t, "Delete", s.Delete(ctx, x), context.Canceled)
	_, err = watch(t, s, "", x.Modified).Next(ctx)
	wantErr(t, "Next", err, context.Canceled)
}

func testPrune(t *testing.T, s store.Store) {
	p, ok := s.(store.Pruner)
	if !ok {
		t.Skip("the driver keeps no directories")
	}
	prune := func(want int) {
		t.Helper()
		if n, err := p.Prune(t.Context(), "q"); n != want || err != nil {
			t.Fatalf("Prune = %d, %v, want %d", n, err, want)
		}
	}
	prune(0)
	a, b := create(t, s, "q/a/x", "", 0), create(t, s, "q/b/x", "", 0)
	other := create(t, s, "r/c/x", "", 0)
	remove(t, s, a)
	remove(t, s, other)
	w := watch(t, s, "q", list(t, s, "").Revision)
	prune(0) // a is empty for the first time
	prune(1)
	prune(0)
	remove(t, s, b)
	prune(0)
	b = create(t, s, "q/b/y", "", 0)
	prune(0) // b was empty, but is not any more
	remove(t, s, b)
	prune(0)
	events := next(t, w, 3) // of the entries: a pruned directory is no event
	wantEvent(t, events[1], store.EventPut, b)
	wantEvent(t, events[2], store.EventDelete, b)
	prune(1)
	create(t, s, "q/a/x", "again", 0)
}

// each runs f for 0 to n-1 at once and waits for all.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
