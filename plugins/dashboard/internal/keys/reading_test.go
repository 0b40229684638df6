package keys

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// A change that is told while a level is read is neither lost nor made twice.
func TestIndex_ChangesWhileReading(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		put(t, mine, "a/1", "x", 0)
		put(t, mine, "a/2", "x", 0)
		before, after := make(chan struct{}), make(chan struct{})
		under.SetHook(func(op memory.Op, key string) memory.Fault {
			if op == memory.OpLevel && key == "a" {
				return memory.Fault{Pause: before, Hold: after}
			}
			return memory.Fault{}
		})
		s, f := show(t, x, "a")
		settle()
		put(t, mine, "a/0", "told and read", 0)
		e := put(t, mine, "a/1", "told and read", 0)
		synctest.Wait()
		close(before)
		synctest.Wait()
		put(t, mine, "a/2", "told only", 0)
		put(t, mine, "a/3/4", "told only", 0)
		if err := mine.Delete(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		close(after)
		settle()
		wantShown(t, mine, s)
		if got, _ := f.all(); len(got) != 1 || *got[0].Count != 3 {
			t.Errorf("was told %+v, want all at once", got)
		}
	})
}

// What was already there when a level was read is not told, however late the
// watch tells of it.
func TestIndex_OldChangesAreNotTold(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		put(t, mine, "a/1", "x", 0)
		settle()
		late := make(chan struct{})
		under.SetHook(func(op memory.Op, _ string) memory.Fault {
			if op == memory.OpWatch {
				return memory.Fault{Pause: late}
			}
			return memory.Fault{}
		})
		put(t, mine, "wakes", "the watch", 0)
		synctest.Wait()
		mkdir(t, mine, "a/d", time.Second)
		put(t, mine, "a/d/old", "x", 0)
		put(t, mine, "a/2", "x", time.Second)
		time.Sleep(2 * time.Second) // they go
		put(t, mine, "a/2", "y", 0)
		put(t, mine, "a/d/new", "y", 0)
		s, f := show(t, x, "a")
		d, fd := show(t, x, "a/d")
		settle()
		close(late)
		settle()
		wantShown(t, mine, s)
		wantShown(t, mine, d)
		for _, f := range []*follower[DirState]{f, fd} {
			if got, _ := f.all(); len(got) != 1 {
				t.Errorf("was told %+v, want all at once", got)
			}
		}
	})
}

// A directory comes or goes while it is read, after the store has looked.
func TestIndex_ComesOrGoesWhileReading(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		mkdir(t, mine, "goes", 0)
		mkdir(t, mine, "above", 3*time.Second)
		put(t, mine, "above/goes/x", "x", 0)
		put(t, mine, "turns/x", "x", 0)
		answer := make(chan struct{})
		under.SetHook(func(op memory.Op, _ string) memory.Fault {
			if op == memory.OpLevel {
				return memory.Fault{Hold: answer}
			}
			return memory.Fault{}
		})
		var all []*shownDir
		for _, dir := range []string{"comes", "goes", "above/goes", "turns"} {
			s, _ := show(t, x, dir)
			all = append(all, s)
		}
		settle()
		put(t, mine, "comes/x", "x", 0)
		if err := mine.RemoveDir(t.Context(), "goes"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		close(answer)
		settle()
		for i, s := range all {
			wantShown(t, mine, s)
			if _, gone, _ := s.now(); gone != (i == 1 || i == 2) {
				t.Errorf("%s: gone %v", s.dir, gone)
			}
		}
	})
}

// A directory that comes, goes and comes again.
func TestIndex_DirectoryComesAndGoes(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		s, f := show(t, x, "a/b")
		if got := f.last(t); !got.Gone || got.Entry {
			t.Errorf("first %+v, want that it is not there", got)
		}
		var asked atomic.Int64
		under.SetHook(func(memory.Op, string) memory.Fault { asked.Add(1); return memory.Fault{} })
		time.Sleep(time.Hour)
		if n := asked.Load(); n > 0 {
			t.Errorf("the store was asked %d times for what is not there", n)
		}
		put(t, mine, "a/b/c", "1", 0)
		settle()
		wantShown(t, mine, s)
		mkdir(t, mine, "t", 2*time.Second)
		put(t, mine, "t/u/v", "1", 0)
		below, fb := show(t, x, "t/u")
		settle()
		wantShown(t, mine, below)
		time.Sleep(2 * time.Second)
		if got := fb.last(t); !got.Gone {
			t.Errorf("after the end of what is above: %+v", got)
		}
		put(t, mine, "t/u", "an entry", 0)
		if got := fb.last(t); !got.Gone || !got.Entry {
			t.Errorf("with an entry of that name: %+v", got)
		}
		for _, f := range []*follower[DirState]{f, fb} {
			if _, errs := f.all(); len(errs) > 0 {
				t.Error(errs)
			}
		}
	})
}

// A plain PUT of etcd's API can make a directory in the place of an entry. What
// comes into it is known from then on.
func TestIndex_DirectoryInThePlaceOfAnEntry(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		e := put(t, mine, "x", "1", 0)
		follow(t, x.Counts, func(Counts) {})
		settle()
		r, _, release := x.use("")
		defer release()
		r.mu.Lock()
		defer r.mu.Unlock()
		for i, n := range []store.Node{{Entry: store.Entry{Key: "x"}, Dir: true}, {Entry: store.Entry{Key: "x/y", Value: "2"}}} {
			at := e.Modified + 1 + store.Revision(i)
			n.Created, n.Modified = at, at
			r.apply(store.TreeChange{Type: store.EventPut, Node: n, Revision: at})
		}
		if r.rows-r.dirs != 1 || r.dirs != 1 || !r.complete() {
			t.Errorf("%d entries, %d directories, complete %v", r.rows-r.dirs, r.dirs, r.complete())
		}
		if l := r.at("x"); l == nil || l.state != loaded || l.rows.n != 1 {
			t.Errorf("the level is %+v", l)
		}
	})
}
