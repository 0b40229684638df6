package keys

import (
	"strings"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

func TestNode_FollowsAnEntry(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		f := follow[NodeState](t, x.Follow("a/b"), nil)
		if got := f.last(t); got.Node != nil || got.Reason != "never" {
			t.Errorf("first %+v, want none", got)
		}
		e := put(t, mine, "a/b", "1", 0)
		if got := f.last(t); got.Node == nil || got.Node.Value != "1" || got.Node.Modified != e.Modified || got.Node.TTL != 0 || got.Node.Key != "/a/b" {
			t.Errorf("made: %+v", got.Node)
		}
		put(t, mine, "a/b", "2\ufffd", 5*time.Second)
		if got := f.last(t); got.Node == nil || !got.Node.Damaged || got.Node.TTL != 5 || got.Node.Size != 4 {
			t.Errorf("written: %+v", got.Node)
		}
		time.Sleep(5 * time.Second)
		if got := f.last(t); got.Node != nil || got.Reason != "expired" {
			t.Errorf("at the end %+v", got)
		}
		e = put(t, mine, "a/b", "3", 0)
		settle()
		if err := mine.Delete(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if got := f.last(t); got.Node != nil || got.Reason != "deleted" {
			t.Errorf("deleted: %+v", got)
		}
		// Who looks later is told the same.
		if got := follow[NodeState](t, x.Follow("a/b"), nil).last(t); got.Node != nil || got.Reason != "deleted" {
			t.Errorf("later: %+v", got)
		}
		if _, errs := f.all(); len(errs) > 0 {
			t.Error(errs)
		}
	})
}

func TestNode_FollowsADirectory(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		f := follow[NodeState](t, x.Follow("a"), nil)
		settle()
		e := put(t, mine, "a/b/c", "1", 0)
		if got := f.last(t); got.Node == nil || !got.Node.Dir || got.Node.Count != 1 || got.Node.Created != e.Created {
			t.Errorf("%+v %+v", got, got.Node)
		}
		put(t, mine, "a/d", "1", 0)
		if got := f.last(t); got.Node == nil || got.Node.Count != 2 {
			t.Errorf("%+v %+v", got, got.Node)
		}
		if got := follow[NodeState](t, x.Follow(""), nil).last(t); got.Node == nil || !got.Node.Dir || got.Node.Key != "/" || got.Node.Count != 1 {
			t.Errorf("root: %+v %+v", got, got.Node)
		}
		mkdir(t, mine, "t", 3*time.Second)
		put(t, mine, "t/a", "1", 0)
		in := follow[NodeState](t, x.Follow("t/a"), nil)
		if got := in.last(t); got.Node == nil {
			t.Errorf("%+v", got)
		}
		time.Sleep(3 * time.Second)
		if got := in.last(t); got.Node != nil || got.Reason != "expired" {
			t.Errorf("with its directory: %+v", got)
		}
		if got := follow[NodeState](t, x.Follow("t/a"), nil).last(t); got.Node != nil || got.Reason != "expired" {
			t.Errorf("later: %+v", got)
		}
	})
}

// After a gap in the watch what is shown is read again.
func TestNode_MissedChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		put(t, mine, "a", "1", 0)
		f := follow[NodeState](t, x.Follow("a"), nil)
		settle()
		cut := make(chan struct{})
		under.SetHook(func(op memory.Op, _ string) memory.Fault {
			if op == memory.OpWatch {
				return memory.Fault{Pause: cut}
			}
			return memory.Fault{}
		})
		put(t, mine, "b", "wakes the watch", 0)
		settle()
		put(t, mine, "a", "2", 0)
		mine.Touch(3000)
		close(cut)
		if got := f.last(t); got.Node == nil || got.Node.Value != "2" {
			t.Errorf("%+v", got.Node)
		}
	})
}

// What is told while a node is read is newer than what was read.
func TestNode_ChangesWhileReading(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		put(t, mine, "a", "1", 0)
		answer := make(chan struct{})
		under.SetHook(func(op memory.Op, _ string) memory.Fault {
			if op == memory.OpNode {
				return memory.Fault{Hold: answer}
			}
			return memory.Fault{}
		})
		f := follow[NodeState](t, x.Follow("a"), nil)
		settle()
		put(t, mine, "a", "2", 0)
		settle()
		close(answer)
		if got := f.last(t); got.Node == nil || got.Node.Value != "2" {
			t.Errorf("%+v", got.Node)
		}
	})
}

func TestNode_OfAnIndex(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		put(t, mine, "a/b", strings.Repeat("x", 1<<20), 90*time.Second)
		time.Sleep(30*time.Second + 200*time.Millisecond)
		n, err := x.Node(t.Context(), "a/b")
		if err != nil || n.Size != 1<<20 || len(n.Value) != 1<<20 || n.TTL != 60 || n.Expires != time.Now().Add(59800*time.Millisecond).UnixMilli() {
			t.Errorf("entry: ttl %d, expires %d, %v", n.TTL, n.Expires, err)
		}
		if n, err := x.Node(t.Context(), "a"); err != nil || !n.Dir || n.Count != 1 {
			t.Errorf("directory: %+v %v", n, err)
		}
		_, err = x.Node(t.Context(), "a/none")
		wantErr(t, "nothing", err, store.ErrNotFound)
	})
}

func TestParseKey(t *testing.T) {
	for text, want := range map[string]string{"/": "", "/a": "a", "/a b/ö?#%@/_x": "a b/ö?#%@/_x"} {
		if key, err := ParseKey(text); key != want || err != nil {
			t.Errorf("ParseKey(%q) = %q, %v", text, key, err)
		}
	}
	for _, text := range []string{"", "a", "//", "/a/", "/a//b", "/a/../b", "/.", "/\xff", "/" + strings.Repeat("x", 4000)} {
		if key, err := ParseKey(text); err == nil {
			t.Errorf("ParseKey(%.20q) = %q", text, key)
		}
	}
}

func TestRealmRoot(t *testing.T) {
	for dir, want := range map[string]string{"": "", "a/b": "", "_a": "_a", "_a/b": "_a", "a/_b/c/_d/e/f": "a/_b/c/_d", "a_b/c_": ""} {
		if got := realmRoot(dir); got != want {
			t.Errorf("realmRoot(%q) = %q, want %q", dir, got, want)
		}
	}
}
