package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// A TreeOpener returns a tree with nothing below its prefix, for keys as
// [store.CheckAnyKey] allows them. It cleans up by t.Cleanup.
type TreeOpener func(t *testing.T) store.Tree

// RunTree is [Run] for what a [store.Tree] promises beyond a store.
func RunTree(t *testing.T, open TreeOpener) {
	for _, c := range treeCases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// RunTreeBubble is [RunBubble] for what a [store.Tree] promises beyond a store.
func RunTreeBubble(t *testing.T, open TreeOpener) {
	for _, c := range treeCases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.run(t, open(t)) })
		})
	}
}

var treeCases = []struct {
	name string
	run  func(*testing.T, store.Tree)
}{
	{"nodes and levels", testLevel},
	{"names of all kinds", testTreeNames},
	{"hidden nodes", testHidden},
	{"make a directory", testMakeDir},
	{"remove a directory", testRemoveDir},
	{"one of many makes a directory", testMakeDirRace},
	{"invalid arguments of a tree", testTreeInvalid},
	{"when entries expire", testExpires},
	{"a directory expires with all in it", testDirExpiry},
	{"tree watch tells all, in order, once", testTreeWatch},
	{"tree watch keeps to its directory", testTreeWatchDir},
	{"tree watch leaves out hidden nodes", testTreeWatchHidden},
	{"tree watch waits and resumes", testTreeWatchResume},
	{"tree watch under concurrent writes", testTreeWatchConcurrent},
}

func level(t *testing.T, s store.Tree, dir string) store.Level {
	t.Helper()
	l, err := s.Level(t.Context(), dir, store.Linearizable)
	if err != nil {
		t.Fatalf("Level(%q) = %v", dir, err)
	}
	return l
}

func makeDir(t *testing.T, s store.Tree, dir string, ttl time.Duration) store.Node {
	t.Helper()
	n, err := s.MakeDir(t.Context(), dir, ttl)
	if err != nil {
		t.Fatalf("MakeDir(%q) = %v", dir, err)
	}
	if n.Key != dir || !n.Dir || n.Value != "" || n.Created < 1 || n.Modified != n.Created {
		t.Fatalf("MakeDir(%q) = %+v", dir, n)
	}
	return n
}

func removeDir(t *testing.T, s store.Tree, dir string) {
	t.Helper()
	if err := s.RemoveDir(t.Context(), dir); err != nil {
		t.Fatalf("RemoveDir(%q) = %v", dir, err)
	}
}

// names are the keys of the nodes, directories with a slash behind.
func names(nodes []store.Node) string {
	var list []string
	for _, n := range nodes {
		if n.Dir {
			n.Key += "/"
		}
		list = append(list, n.Key)
	}
	return strings.Join(list, " ")
}

// expectNode checks what is at key by both kinds of read; nil = nothing.
func expectNode(t *testing.T, s store.Tree, key string, want *store.Node) {
	t.Helper()
	for _, c := range []store.Consistency{store.Linearizable, store.Local} {
		got, err := s.Node(t.Context(), key, c)
		switch {
		case want == nil:
			wantErr(t, "Node of nothing", err, store.ErrNotFound)
		case err != nil:
			t.Fatalf("Node(%q) = %v", key, err)
		case !sameNode(got, *want):
			t.Fatalf("Node(%q) = %+v, want %+v", key, got, *want)
		}
	}
}

func sameNode(a, b store.Node) bool { return a.Dir == b.Dir && same(a.Entry, b.Entry) }

func testLevel(t *testing.T, s store.Tree) {
	if l := level(t, s, ""); len(l.Nodes) != 0 || !l.Dir.Dir || l.Dir.Key != "" {
		t.Fatalf("Level of an empty root = %+v", l)
	}
	expectNode(t, s, "", &store.Node{Dir: true})
	b := create(t, s, "a/b", "one", 0)
	b = swap(t, s, b, "two", time.Hour)
	create(t, s, "a/c/d/e", "deep", 0)
	create(t, s, "a!", "the slash does not count", 0)
	last := create(t, s, "B", "upper case comes first", 0)
	for dir, want := range map[string]string{"": "B a/ a!", "a": "a/b a/c/", "a/c": "a/c/d/", "a/c/d": "a/c/d/e"} {
		for _, c := range []store.Consistency{store.Linearizable, store.Local} {
			l, err := s.Level(t.Context(), dir, c)
			if err != nil || names(l.Nodes) != want || l.Dir.Key != dir || !l.Dir.Dir || l.Revision < last.Modified {
				t.Errorf("Level(%q) = %+v, %v, want %s", dir, l, err, want)
			}
		}
	}
	a := level(t, s, "a")
	if a.Dir.Created != b.Created || a.Dir.Modified != b.Created || !same(a.Nodes[0].Entry, b) || a.Nodes[0].TTL <= 0 || a.Nodes[0].Expires.IsZero() {
		t.Errorf("Level = %+v, want the entry %+v in it", a, b)
	}
	expectNode(t, s, "a/b", &a.Nodes[0])
	expectNode(t, s, "a/c", &a.Nodes[1])
	expectNode(t, s, "a", &a.Dir)
	for _, key := range []string{"none", "a/none", "a/b/c"} {
		expectNode(t, s, key, nil)
		_, err := s.Level(t.Context(), key, store.Linearizable)
		wantErr(t, "Level of nothing", err, store.ErrNotFound)
	}
	_, err := s.Level(t.Context(), "a/b", store.Linearizable)
	wantErr(t, "Level of an entry", err, store.ErrInvalid)
}

func testTreeNames(t *testing.T, s store.Tree) {
	for i, name := range []string{"a_b.c", "ö/%2F ?#&=+:;", "<b>", "a b", "世界", `"\`, ".a", "a..", "%", "tab\t"} {
		dir := fmt.Sprint("of ", name)
		n := makeDir(t, s, dir, 0)
		e := create(t, s, dir+"/"+name, fmt.Sprint(i), 0)
		expectNode(t, s, dir, &n)
		top, _, _ := strings.Cut(name, "/")
		if l := level(t, s, dir); len(l.Nodes) != 1 || l.Nodes[0].Key != dir+"/"+top {
			t.Errorf("Level(%q) = %+v", dir, l)
		}
		expectNode(t, s, e.Key, &store.Node{Entry: e})
		w := watchTree(t, s, dir, n.Created)
		wantChange(t, nextChanges(t, w, 1)[0], store.EventPut, store.Node{Entry: e}, nil)
		remove(t, s, e)
		wantChange(t, nextChanges(t, w, 1)[0], store.EventDelete, store.Node{Entry: e}, nil)
	}
}

func testHidden(t *testing.T, s store.Tree) {
	x := create(t, s, "a/x", "", 0)
	h := create(t, s, "a/_h", "hidden", 0)
	create(t, s, "_d/y", "in a hidden one", 0)
	makeDir(t, s, "a/_d2", 0)
	for dir, want := range map[string]string{"": "a/", "a": "a/x", "_d": "_d/y", "a/_d2": ""} {
		if l := level(t, s, dir); names(l.Nodes) != want {
			t.Errorf("Level(%q) = %s, want %s", dir, names(l.Nodes), want)
		}
	}
	expectNode(t, s, "a/_h", &store.Node{Entry: h})
	expect(t, s, "a/_h", &h)
	if l := list(t, s, ""); len(l.Entries) != 1 || l.Entries[0].Key != "a/x" {
		t.Errorf("List = %+v, want no hidden entries", l.Entries)
	}
	if l := list(t, s, "_d"); len(l.Entries) != 1 {
		t.Errorf("List of a hidden directory = %+v", l.Entries)
	}
	w := watch(t, s, "a", x.Modified)
	last := create(t, s, "a/z", "", 0)
	wantEvent(t, next(t, w, 1)[0], store.EventPut, last)
}

func testMakeDir(t *testing.T, s store.Tree) {
	d := makeDir(t, s, "a/b/c", 0)
	expectNode(t, s, "a/b/c", &d)
	if l := level(t, s, "a/b/c"); len(l.Nodes) != 0 {
		t.Errorf("Level of a new directory = %+v", l)
	}
	if l := level(t, s, "a"); names(l.Nodes) != "a/b/" || l.Dir.TTL != 0 || !l.Dir.Expires.IsZero() {
		t.Errorf("Level = %+v", l)
	}
	_, err := s.MakeDir(t.Context(), "a/b/c", 0)
	wantErr(t, "MakeDir of a directory", err, store.ErrExists)
	_, err = s.MakeDir(t.Context(), "a", 0)
	wantErr(t, "MakeDir of a directory above", err, store.ErrExists)
	x := create(t, s, "a/x", "", 0)
	_, err = s.MakeDir(t.Context(), "a/x", 0)
	wantErr(t, "MakeDir of an entry", err, store.ErrExists)
	_, err = s.MakeDir(t.Context(), "a/x/y", 0)
	wantErr(t, "MakeDir below an entry", err, store.ErrInvalid)
	expect(t, s, "a/x", &x)

	began := time.Now()
	short := makeDir(t, s, "short", 1500*time.Millisecond) // rounded up
	if short.TTL != 2*time.Second || short.Expires.Before(began.Add(time.Second)) || short.Expires.After(time.Now().Add(2*time.Second)) {
		t.Errorf("MakeDir = %+v", short)
	}
	if l := level(t, s, "short"); l.Dir.TTL <= 0 || l.Dir.TTL > 2*time.Second {
		t.Errorf("Level = %+v", l)
	}
	_, err = s.Create(t.Context(), "a/b/c", "", 0)
	wantErr(t, "Create of a directory's name", err, store.ErrInvalid)
}

func testRemoveDir(t *testing.T, s store.Tree) {
	x := create(t, s, "a/x", "", 0)
	makeDir(t, s, "b/c", 0)
	create(t, s, "d/_hidden", "", 0)
	for _, dir := range []string{"a", "b", "d"} {
		err := s.RemoveDir(t.Context(), dir)
		wantErr(t, "RemoveDir of one that holds something", err, store.ErrNotEmpty)
		if errors.Is(err, store.ErrUnavailable) {
			t.Errorf("RemoveDir = %v, which sounds as if etcd were gone", err)
		}
	}
	wantErr(t, "RemoveDir of an entry", s.RemoveDir(t.Context(), "a/x"), store.ErrInvalid)
	expect(t, s, "a/x", &x)
	for _, dir := range []string{"none", "a/none", "a/x/y", "none/y"} {
		wantErr(t, "RemoveDir of nothing", s.RemoveDir(t.Context(), dir), store.ErrNotFound)
	}
	remove(t, s, x)
	for _, dir := range []string{"a", "b/c", "b"} {
		removeDir(t, s, dir)
		expectNode(t, s, dir, nil)
		wantErr(t, "second RemoveDir", s.RemoveDir(t.Context(), dir), store.ErrNotFound)
	}
	if l := level(t, s, ""); names(l.Nodes) != "d/" {
		t.Errorf("Level = %+v", l)
	}
	create(t, s, "a", "an entry now", 0)
}

func testMakeDirRace(t *testing.T, s store.Tree) {
	won := make(chan store.Node, 8)
	each(8, func(int) {
		if n, err := s.MakeDir(t.Context(), "d", 0); err == nil {
			won <- n
		}
	})
	if len(won) != 1 {
		t.Fatalf("%d of 8 made the directory", len(won))
	}
	n := <-won
	expectNode(t, s, "d", &n)
}

func testTreeInvalid(t *testing.T, s store.Tree) {
	for _, key := range []string{"/", "/a", "a/", "a//b", ".", "a/../b", "a/.", "\xff", strings.Repeat("x", store.MaxKey+1)} {
		_, nodeErr := s.Node(t.Context(), key, store.Local)
		_, levelErr := s.Level(t.Context(), key, store.Local)
		_, makeErr := s.MakeDir(t.Context(), key, 0)
		_, watchErr := watchTree(t, s, key, 0).Next(t.Context())
		for i, err := range []error{nodeErr, levelErr, makeErr, s.RemoveDir(t.Context(), key), watchErr} {
			wantErr(t, fmt.Sprintf("call %d with key %.20q", i, key), err, store.ErrInvalid)
		}
	}
	_, err := s.MakeDir(t.Context(), "", 0)
	wantErr(t, "MakeDir of the root", err, store.ErrInvalid)
	wantErr(t, "RemoveDir of the root", s.RemoveDir(t.Context(), ""), store.ErrInvalid)
	for _, ttl := range []time.Duration{-1, store.MaxTTL + 1} {
		_, err := s.MakeDir(t.Context(), "d", ttl)
		wantErr(t, "MakeDir with a bad ttl", err, store.ErrInvalid)
	}
	expectNode(t, s, "d", nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, nodeErr := s.Node(ended, "x", store.Linearizable)
	_, levelErr := s.Level(ended, "", store.Linearizable)
	_, makeErr := s.MakeDir(ended, "x", 0)
	_, watchErr := watchTree(t, s, "", 0).Next(ended)
	for i, err := range []error{nodeErr, levelErr, makeErr, s.RemoveDir(ended, "x"), watchErr} {
		wantErr(t, fmt.Sprintf("call %d in an ended context", i), err, context.Canceled)
	}
}

// testExpires checks the ends that are told in every way that there is.
func testExpires(t *testing.T, s store.Tree) {
	began := time.Now()
	check := func(what string, e store.Entry, ttl time.Duration) {
		t.Helper()
		if ttl == 0 {
			if e.TTL != 0 || !e.Expires.IsZero() {
				t.Errorf("%s: TTL %v, expires %v, want never", what, e.TTL, e.Expires)
			}
			return
		}
		if earliest, latest := began.Add(ttl-time.Second), time.Now().Add(ttl); e.Expires.Before(earliest) || e.Expires.After(latest) {
			t.Errorf("%s: expires %v, want between %v and %v", what, e.Expires, earliest, latest)
		}
	}
	never := create(t, s, "d/never", "", 0)
	check("Create", never, 0)
	x := create(t, s, "d/x", "", time.Minute)
	check("Create", x, time.Minute)
	x = swap(t, s, x, "two", time.Hour)
	check("Swap", x, time.Hour)
	y, err := s.Put(t.Context(), "d/y", "", 2*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	check("Put", y, 2*time.Hour)
	y, err = s.Renew(t.Context(), y, 3*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	check("Renew", y, 3*time.Hour)
	got, err := s.Get(t.Context(), "d/y", store.Linearizable)
	if err != nil {
		t.Fatal(err)
	}
	check("Get", got, 3*time.Hour)
	want := map[string]time.Duration{"d/never": 0, "d/x": time.Hour, "d/y": 3 * time.Hour}
	for _, e := range list(t, s, "d").Entries {
		check("List", e, want[e.Key])
	}
	for _, n := range level(t, s, "d").Nodes {
		check("Level", n.Entry, want[n.Key])
	}
	steps := []time.Duration{0, time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour}
	for i, ev := range next(t, watch(t, s, "d", never.Created-1), len(steps)) {
		check("Watch", ev.Entry, steps[i])
	}
	changes := nextChanges(t, watchTree(t, s, "d", never.Created-1), len(steps))
	for i, c := range changes {
		check("WatchTree", c.Node.Entry, steps[i])
	}
	check("WatchTree, before", changes[2].Before.Entry, time.Minute)
	y, err = s.Renew(t.Context(), y, 0)
	if err != nil {
		t.Fatal(err)
	}
	check("Renew without a TTL", y, 0)
}

func testDirExpiry(t *testing.T, s store.Tree) {
	d := makeDir(t, s, "d", 5*time.Second)
	create(t, s, "d/x", "", 0)
	create(t, s, "d/sub/y", "", time.Hour)
	e := create(t, s, "e", "stays", 0)
	root, inside, entries := watchTree(t, s, "", e.Modified), watchTree(t, s, "d/sub", e.Modified), watch(t, s, "", e.Modified)
	wantChange(t, nextChanges(t, root, 1)[0], store.EventExpire, d, nil)
	expectNode(t, s, "d", nil)
	expectNode(t, s, "d/sub/y", nil)
	if l := level(t, s, ""); names(l.Nodes) != "e" {
		t.Errorf("Level = %+v", l)
	}
	c := nextChanges(t, inside, 1)[0]
	if c.Type != store.EventExpire || !c.Node.Dir || c.Node.Key != "d/sub" || c.Node.Created != 0 || c.Before != nil {
		t.Errorf("what a watch of a directory below was told: %+v", c)
	}
	// A watch of entries can't name those that went.
	_, err := entries.Next(t.Context())
	wantErr(t, "Next of a watch of entries", err, store.ErrCompacted)
	last := create(t, s, "d/x", "again", 0)
	wantChange(t, nextChanges(t, root, 1)[0], store.EventPut, store.Node{Entry: last}, nil)
	wantChange(t, nextChanges(t, watchTree(t, s, "d", c.Revision), 1)[0], store.EventPut, store.Node{Entry: last}, nil)
}
