package etcdv2_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"go.etcd.io/etcd/client/v2"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/etcdv2"
	"github.com/etcd-modules/modhost/sdk/store/storetest"
)

func TestStore_Tree(t *testing.T) {
	storetest.RunTree(t, func(t *testing.T) store.Tree {
		return open(t, etcdv2.Config{Endpoints: []string{endpoint}, Prefix: newPrefix(), AnyKey: true})
	})
}

// Values of others are not unique: whoever wrote what stands there, nobody can
// tell, and nothing is written twice.
func TestStore_TreeLostReply(t *testing.T) {
	for name, write := range map[string]func(store.Tree, store.Entry) error{
		"create": func(s store.Tree, _ store.Entry) error {
			_, err := s.Create(t.Context(), "new", "on", 0)
			return err
		},
		"swap": func(s store.Tree, e store.Entry) error {
			_, err := s.Swap(t.Context(), e, "on", 0)
			return err
		},
		"put": func(s store.Tree, e store.Entry) error {
			_, err := s.Put(t.Context(), e.Key, "on", 0)
			return err
		},
		"put a new one": func(s store.Tree, _ store.Entry) error {
			_, err := s.Put(t.Context(), "new", "on", 0)
			return err
		},
		"make a directory": func(s store.Tree, _ store.Entry) error {
			_, err := s.MakeDir(t.Context(), "d", 0)
			return err
		},
	} {
		p := &proxy{after: loseReply("PUT")}
		s, beside := trees(t, p)
		e := ok(beside.Create(t.Context(), "x", "off", 0))(t)
		if err := write(s, e); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: error %v, want %v", name, err, store.ErrUnavailable)
		}
		if n := p.requests("PUT "); n != 1 {
			t.Errorf("%s: %d writes, want one", name, n)
		}
	}
}

// A write that was lost on its way is made again, guarded.
func TestStore_TreeLostSwap(t *testing.T) {
	p := &proxy{before: func(n int, _ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && n == 0 {
			panic(http.ErrAbortHandler)
		}
		return false
	}}
	s, beside := trees(t, p)
	e := ok(beside.Create(t.Context(), "x", "off", 0))(t)
	if n, err := s.Swap(t.Context(), e, "on", 0); err != nil || n.Value != "on" || p.requests("PUT ") != 2 {
		t.Errorf("Swap = %+v, %v with %d requests", n, err, p.requests("PUT "))
	}
}

func TestStore_TreeLostReplyOfRemoveDir(t *testing.T) {
	s, beside := trees(t, &proxy{after: loseReply("DELETE")})
	if _, err := beside.MakeDir(t.Context(), "d", 0); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveDir(t.Context(), "d"); err != nil {
		t.Errorf("RemoveDir = %v", err)
	}
	if _, err := beside.Node(t.Context(), "d", store.Linearizable); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Node = %v, want ErrNotFound", err)
	}
}

// An entry that has taken the directory's place just before is no success.
func TestStore_TreeRemoveDirRace(t *testing.T) {
	var beside store.Tree
	p := &proxy{before: func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			if err := beside.RemoveDir(t.Context(), "d"); err != nil {
				t.Error(err)
			}
			ok(beside.Create(t.Context(), "d", "just made", 0))(t)
		}
		return false
	}}
	var s store.Tree
	s, beside = trees(t, p)
	if _, err := beside.MakeDir(t.Context(), "d", 0); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveDir(t.Context(), "d"); !errors.Is(err, store.ErrChanged) || !strings.Contains(err.Error(), "just made") {
		t.Errorf("RemoveDir = %v, want ErrChanged with the value", err)
	}
}

// Bytes that are no UTF-8 are lost on their way, and can be told.
func TestStore_TreeDamagedValue(t *testing.T) {
	prefix := newPrefix()
	s := open(t, etcdv2.Config{Endpoints: []string{endpoint}, Prefix: prefix, AnyKey: true})
	for _, value := range []string{"\xff\xfe\x00A", "whole: ö"} {
		if _, err := raw(t).Set(t.Context(), prefix+"/x", value, nil); err != nil {
			t.Fatal(err)
		}
		e, err := s.Get(t.Context(), "x", store.Local)
		if want := value[0] == 0xff; err != nil || store.Damaged(e.Value) != want {
			t.Errorf("Get = %+v, %v, damaged: %t, want %t", e, err, store.Damaged(e.Value), want)
		}
	}
}

// The end of a directory with all in it by another program's hand.
func TestTreeWatch_RemovedWithAllInIt(t *testing.T) {
	prefix := newPrefix()
	s := open(t, etcdv2.Config{Endpoints: []string{endpoint}, Prefix: prefix, AnyKey: true})
	start := ok(s.Create(t.Context(), "a/b/x", "", 0))(t)
	later := func(dir string) store.TreeWatcher { return watchTree(t, s, dir, start.Modified) }
	live := map[string]store.TreeWatcher{"": later(""), "a": later("a"), "a/b": later("a/b")}
	for _, w := range live {
		quiet(t, w)
	}
	if _, err := raw(t).Delete(t.Context(), prefix+"/a", &client.DeleteOptions{Recursive: true}); err != nil {
		t.Fatal(err)
	}
	neighbour := ok(s.Create(t.Context(), "ab", "", 0))(t)
	for dir, w := range live {
		want, n := dir, 1
		if dir == "" {
			want, n = "a", 2 // and the neighbour
		}
		for name, w := range map[string]store.TreeWatcher{"live": w, "later": later(dir)} {
			got := changes(t, w, n)
			if c := got[0]; c.Type != store.EventDelete || c.Node.Key != want || !c.Node.Dir || c.Revision <= start.Modified {
				t.Errorf("%s, %q: %+v, want the end of %q", name, dir, c, want)
			}
			if len(got) != n || n == 2 && (got[1].Node.Key != "ab" || got[1].Revision != neighbour.Modified) {
				t.Errorf("%s, %q: %+v", name, dir, got)
			}
		}
	}
	again := ok(s.Create(t.Context(), "a/b/x", "", 0))(t)
	for dir, w := range live {
		if c := changes(t, w, 1)[0]; c.Node.Key != "a/b/x" || c.Revision != again.Modified {
			t.Errorf("%q: then %+v", dir, c)
		}
	}
}
