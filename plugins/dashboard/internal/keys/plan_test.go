package keys

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

func plan(t *testing.T, x *Index, items ...Item) *Plan {
	t.Helper()
	p, err := x.Plan(t.Context(), items)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func execute(t *testing.T, x *Index, p *Plan) *Outcome {
	t.Helper()
	o, err := x.Execute(t.Context(), p.ID, p.Typed, func(Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestPlan_RecursiveDelete(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		for i := range 30 {
			put(t, mine, fmt.Sprintf("app/d%d/k%02d", i%3, i), "12345", 0)
		}
		put(t, mine, "app2/k", "stays", 0)
		mkdir(t, mine, "app/empty", 0)
		p := plan(t, x, Item{"/app", true}, Item{"/app/d1", true}, Item{"/app/d1/k01", false}, Item{"/app", true})
		if p.Entries != 30 || p.Dirs != 5 || p.Bytes != 150 || len(p.Sample) != 20 || p.Sample[0] != "/app/d0/k00" || p.More != 10 || p.Typed != "/app" || p.Revision == 0 {
			t.Errorf("plan %+v", p)
		}
		if p := plan(t, x, Item{"/app", false}, Item{"/app/d1/k01", false}); p.Entries != 30 || p.Dirs != 5 {
			t.Errorf("of a directory that was an entry: plan %+v", p)
		}
		_, err := x.Execute(t.Context(), p.ID, "/ap", func(Progress) {})
		wantErr(t, "typed wrong", err, store.ErrInvalid)
		o := execute(t, x, p)
		if o.Deleted != 35 || o.Done != 35 || o.Total != 35 || len(o.Failed) > 0 || !o.End || o.Stopped != "" {
			t.Errorf("outcome %+v", o)
		}
		wantNames(t, names(page(t, x, Question{}).Rows), "app2")
		_, err = x.Execute(t.Context(), p.ID, p.Typed, func(Progress) {})
		wantErr(t, "again", err, store.ErrNotFound)
	})
}

// What was changed after the plan, or is hidden, or new, stays.
func TestPlan_Guards(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		for _, key := range []string{"a/1", "a/2", "a/3", "a/d/1", "b/1", "b/_h/1", "c"} {
			put(t, mine, key, "x", 0)
		}
		p := plan(t, x, Item{"/a", true}, Item{"/b", true}, Item{"/c", false})
		if p.Entries != 6 || p.Dirs != 3 || p.Typed != "9" {
			t.Errorf("plan %+v", p)
		}
		put(t, mine, "a/1", "changed", 0)
		gone, err := mine.Get(t.Context(), "a/2", store.Local)
		if err == nil {
			err = mine.Delete(t.Context(), gone)
		}
		again, err2 := mine.Get(t.Context(), "a/3", store.Local)
		if err2 == nil {
			err2 = mine.Delete(t.Context(), again)
		}
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		put(t, mine, "a/3", "made anew", 0)
		put(t, mine, "a/d/new", "x", 0)
		o := execute(t, x, p)
		var failed []string
		for _, f := range o.Failed {
			failed = append(failed, f.Key)
		}
		slices.Sort(failed)
		wantNames(t, failed, "/a", "/a/1", "/a/3", "/a/d", "/b")
		if o.Deleted != 3 || o.Absent != 1 {
			t.Errorf("outcome %+v", o)
		}
		wantNames(t, names(page(t, x, Question{Dir: "a"}).Rows), "1", "3", "d")
		wantNames(t, names(page(t, x, Question{Dir: "b/_h"}).Rows), "1")
	})
}

func TestPlan_EndsAndRefuses(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		put(t, mine, "a/1", "x", 0)
		p := plan(t, x, Item{"/a/1", false})
		time.Sleep(planKept)
		_, err := x.Execute(t.Context(), p.ID, p.Typed, func(Progress) {})
		wantErr(t, "old plan", err, store.ErrNotFound)
		for _, items := range [][]Item{nil, {{"/", true}}, {{"a", true}}} {
			_, err := x.Plan(t.Context(), items)
			wantErr(t, fmt.Sprint(items), err, store.ErrInvalid)
		}
		first := plan(t, x, Item{"/a", true})
		for range maxPlans {
			time.Sleep(time.Second)
			p = plan(t, x, Item{"/a", true})
		}
		_, err = x.Execute(t.Context(), first.ID, first.Typed, func(Progress) {})
		wantErr(t, "one too many", err, store.ErrNotFound)
		if o := execute(t, x, p); o.Deleted != 2 {
			t.Errorf("outcome %+v", o)
		}
	})
}

// What nobody carries out is not kept for ever, nor is all that was looked at.
func TestPlan_Memory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p plans
		many := make([]target, maxInAll*2/5)
		for i := range 4 {
			p.put(&planned{Plan: Plan{ID: fmt.Sprint(i)}, until: time.Now().Add(planKept), entries: many})
			time.Sleep(time.Second)
		}
		kept := func() []string {
			p.mu.Lock()
			defer p.mu.Unlock()
			return slices.Sorted(maps.Keys(p.byID))
		}
		wantNames(t, kept(), "2", "3")
		time.Sleep(planKept)
		synctest.Wait()
		wantNames(t, kept()) // those that are left can't be carried out
		p.put(&planned{Plan: Plan{ID: "all"}, until: time.Now().Add(planKept), entries: make([]target, maxInAll)})
		if _, err := p.take("all", ""); err != nil {
			t.Error(err)
		}
	})
}

// When etcd is away the rest is not tried.
func TestPlan_StoreAway(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		for i := range 200 {
			put(t, mine, fmt.Sprintf("a/%03d", i), "x", 0)
		}
		p := plan(t, x, Item{"/a", true})
		var n atomic.Int64
		under.SetHook(func(op memory.Op, _ string) memory.Fault {
			if op == memory.OpDelete && n.Add(1) > 50 {
				return memory.Fault{Lose: store.ErrUnavailable}
			}
			return memory.Fault{}
		})
		o := execute(t, x, p)
		if o.Stopped == "" || o.Done == o.Total || len(o.Failed) == 0 || len(o.Failed) > atATime || !strings.Contains(o.Failed[0].Why, "may have been") {
			t.Errorf("outcome %+v", o)
		}
	})
}
