package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
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

func searchAll(t *testing.T, x *Index, q Search) ([]string, *Found) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	found := []string{}
	end, err := x.Search(t.Context(), q, func(m Match) { found = append(found, m.Key) }, func(Searched) {})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found, end
}

func TestSearch(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		for key, value := range map[string]string{"app/One": "first VALUE", "app/two": "2nd", "app/one/x": "x", "beta/app": "value", "_h/app": "value"} {
			if key == "app/one/x" {
				key = "app/sub/x"
			}
			put(t, mine, key, value, 0)
		}
		for _, c := range []struct {
			q    Search
			want []string
		}{
			{Search{Text: "/APP", How: "prefix"}, []string{"/app", "/app/One", "/app/sub", "/app/sub/x", "/app/two"}},
			{Search{Text: "one"}, []string{"/app/One"}},
			{Search{Text: "app$", How: "regex"}, []string{"/app", "/beta/app"}},
			{Search{Text: "sub", Dir: "app"}, []string{"/app/sub", "/app/sub/x"}},
			{Search{Text: "value", Values: true}, []string{"/app/One", "/beta/app"}},
			{Search{Text: "^[0-9]", How: "regex", Values: true}, []string{"/app/two"}},
			{Search{Text: "app", Dir: "_h"}, []string{"/_h/app"}},
			{Search{Text: "none"}, []string{}},
		} {
			found, end := searchAll(t, x, c.q)
			if !slices.Equal(found, c.want) || end.Matches != len(c.want) || end.More || !end.Complete || end.Searched.Searched != end.Total {
				t.Errorf("%+v found %q, %+v; want %q", c.q, found, end, c.want)
			}
		}
		if found, end := searchAll(t, x, Search{Text: "a", Limit: 2}); len(found) != 2 || !end.More {
			t.Errorf("with a limit: %q %+v", found, end)
		}
		_, err := x.Search(t.Context(), Search{Text: "(", How: "regex"}, nil, nil)
		wantErr(t, "bad expression", err, store.ErrInvalid)
		_, err = x.Search(t.Context(), Search{How: "soundex"}, nil, nil)
		wantErr(t, "bad kind", err, store.ErrInvalid)
		_, err = x.Search(t.Context(), Search{Dir: "none", Limit: 1}, nil, nil)
		wantErr(t, "no such directory", err, store.ErrNotFound)
	})
}

// A level with more names than are looked at at once.
func TestSearch_Wide(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		for i := range 2*batch + 1 {
			put(t, mine, fmt.Sprintf("a/%05d", i), "x", 0)
		}
		if found, end := searchAll(t, x, Search{Text: "000", Limit: 10000}); len(found) != 104 || end.Total != 2*batch+2 {
			t.Errorf("found %d, %+v", len(found), end)
		}
	})
}

// What was exported can be imported again: the trees are equal, TTLs kept.
func TestImport_OfAnExport(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		put(t, mine, "app/a b/ö?#%@", "1\n<&>", 0)
		put(t, mine, "app/ttl", "2", 500*time.Second)
		put(t, mine, "app/bad", "\ufffd", 0)
		mkdir(t, mine, "app/empty", 300*time.Second)
		put(t, mine, "app/_h/x", "1", 0)
		time.Sleep(100 * time.Second)
		var entries []Import
		var first Header
		var last Trailer
		err := x.Export(t.Context(), "app", func(line any) error {
			switch l := line.(type) {
			case Header:
				first = l
			case Trailer:
				last = l
			case Line:
				text, err := json.Marshal(l)
				if err != nil {
					return err
				}
				var i Import
				if err := json.Unmarshal(text, &i); err != nil {
					return err
				}
				entries = append(entries, i)
			}
			return nil
		})
		if err != nil || first.Format != Format || first.Dir != "/app" || !last.End || last.Entries != 2 || last.Dirs != 3 || !slices.Equal(last.Damaged, []string{"/app/bad"}) {
			t.Fatalf("%+v %+v %v", first, last, err)
		}
		execute(t, x, plan(t, x, Item{"/app", true}, Item{"/app/_h", true}))
		put(t, mine, "app/ttl", "other", 0)
		states := func(rows []Result) (all []string) {
			for _, r := range rows {
				all = append(all, r.Key+" "+r.State)
			}
			return all
		}
		rows, err := x.Compare(t.Context(), entries)
		if err != nil {
			t.Fatal(err)
		}
		wantNames(t, states(rows), "/app same", "/app/a b new", "/app/a b/ö?#%@ new", "/app/empty new", "/app/ttl changed")
		for i := range entries {
			entries[i].Modified = rows[i].Modified
		}
		rows, err = x.Write(t.Context(), entries)
		if err != nil {
			t.Fatal(err)
		}
		wantNames(t, states(rows), "/app same", "/app/a b written", "/app/a b/ö?#%@ written", "/app/empty written", "/app/ttl written")
		rows, err = x.Compare(t.Context(), entries)
		if err != nil {
			t.Fatal(err)
		}
		wantNames(t, states(rows), "/app same", "/app/a b same", "/app/a b/ö?#%@ same", "/app/empty same", "/app/ttl same")
		for key, ttl := range map[string]int64{"app/ttl": 400, "app/empty": 200} {
			if n, err := x.Node(t.Context(), key); err != nil || n.TTL != ttl {
				t.Errorf("%s: %+v %v, want TTL %d", key, n, err, ttl)
			}
		}
	})
}

func TestImport_ConflictsAndChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		put(t, mine, "entry", "1", 0)
		put(t, mine, "dir/x", "1", 60*time.Second)
		entries := []Import{
			{Key: "/entry/below/it", Value: "1"},
			{Key: "/entry", Dir: true},
			{Key: "/dir", Value: "1"},
			{Key: "/dir/x", Value: "1"},
			{Key: "/dir/x", Value: "1", TTL: 60},
			{Key: "/entry", Value: "2"},
			{Key: "/new", Value: "\ufffd"},
			{Key: "new", Value: "1"},
			{Key: "/", Dir: true},
			{Key: "/new", Value: "1", TTL: -1},
		}
		rows, err := x.Compare(t.Context(), entries)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{Conflict, Conflict, Conflict, Changed, Same, Changed, Invalid, Invalid, Invalid, Invalid}
		for i, r := range rows {
			if r.State != want[i] || r.State != Same && r.Why == "" && i != 5 {
				t.Errorf("%+v is %+v, want %s", entries[i], r, want[i])
			}
		}
		seen := rows[5].Modified
		put(t, mine, "entry", "theirs", 0)
		put(t, mine, "new", "theirs", 0)
		rows, err = x.Write(t.Context(), []Import{
			{Key: "/entry", Value: "2", Modified: seen},
			{Key: "/new", Value: "1"},
			{Key: "/entry", Dir: true},
			{Key: "/gone", Value: "1", Modified: "5"},
			{Key: "/entry/x", Value: "1"},
			{Key: "/x", Value: "1", Modified: "five"},
		})
		if err != nil {
			t.Fatal(err)
		}
		want = []string{Changed, Changed, Changed, Changed, Failed, Failed}
		for i, r := range rows {
			if r.State != want[i] || r.Why == "" {
				t.Errorf("%+v, want %s", r, want[i])
			}
		}
		under.SetHook(func(op memory.Op, _ string) memory.Fault {
			if op == memory.OpNode {
				return memory.Fault{Refuse: store.ErrUnavailable}
			}
			return memory.Fault{}
		})
		if _, err := x.Compare(t.Context(), entries); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("without etcd: %v", err)
		}
	})
}

// Each write takes its seconds when etcd is away: what is behind the first ones is
// not tried.
func TestImport_StoreAway(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		var asked atomic.Int64
		under.SetHook(func(op memory.Op, _ string) memory.Fault {
			if op != memory.OpMakeDir && op != memory.OpCreate {
				return memory.Fault{}
			}
			asked.Add(1)
			return memory.Fault{Refuse: store.ErrUnavailable}
		})
		for _, dir := range []bool{true, false} {
			asked.Store(0)
			all := make([]Import, 1000)
			for i := range all {
				all[i] = Import{Key: fmt.Sprintf("/k%d", i), Dir: dir}
			}
			rows, err := x.Write(t.Context(), all)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range rows {
				if r.State != Failed || r.Key != all[i].Key || r.Why == "" {
					t.Fatalf("%+v", r)
				}
			}
			if last := rows[len(rows)-1]; asked.Load() > atATime || !strings.Contains(last.Why, "not tried") {
				t.Errorf("%d writes were tried; the last one is %+v", asked.Load(), last)
			}
		}
	})
}

func TestPast(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		settle()
		start := time.Now()
		time.Sleep(time.Second)
		put(t, mine, "a/b", "1", 0)
		put(t, mine, "a/b", strings.Repeat("ö", maxKept), 0)
		e := put(t, mine, "a/b", "3", 10*time.Second)
		mkdir(t, mine, "t", 5*time.Second)
		put(t, mine, "t/x", "1", 0)
		time.Sleep(20 * time.Second)
		put(t, mine, "a/b", "4", 0)
		settle()
		types := func(p Past) (all []string) {
			for _, v := range p.Versions {
				all = append(all, v.Type+" "+cut(v.Value, 3))
			}
			return all
		}
		p := x.Past("a/b")
		wantNames(t, types(p), "put 4", "expire ", "put 3", "put ö", "put 1")
		if p.Since > start.UnixMilli() || p.Bounded || p.Why == "" || p.Versions[2].Revision != e.Modified || p.Versions[2].Expires == 0 || p.Versions[1].At <= p.Versions[2].At {
			t.Errorf("past %+v", p)
		}
		if v := p.Versions[3]; !v.Truncated || v.Size != 2*maxKept || len(v.Value) != maxKept {
			t.Errorf("a long value: %d bytes of %d", len(v.Value), v.Size)
		}
		wantNames(t, types(x.Past("t/x")), "expire ", "put 1")
		wantNames(t, types(x.Past("t/none")))
		wantNames(t, types(x.Past("none")))
		// It does not seem as if nothing had happened to what is hidden.
		put(t, mine, "_hidden/k", "1", 0)
		settle()
		if p := x.Past("_hidden/k"); p.Since != 0 || len(p.Versions) > 0 || p.Why != whyHidden {
			t.Errorf("of a hidden key: %+v", p)
		}
	})
}

// Of what was there before, the last state is known, at no time.
func TestPast_Before(t *testing.T) {
	h := &history{limit: 1000}
	h.began()
	before := store.Node{Entry: store.Entry{Key: "a", Value: "0", Created: 1, Modified: 1}}
	h.add(store.TreeChange{Type: store.EventPut, Node: store.Node{Entry: store.Entry{Key: "a", Value: "1", Created: 1, Modified: 5}}, Before: &before, Revision: 5})
	h.add(store.TreeChange{Type: store.EventDelete, Node: store.Node{Entry: store.Entry{Key: "b", Value: "1", Created: 1, Modified: 2}}, Revision: 6})
	if p := h.past("a"); len(p.Versions) != 2 || p.Versions[1].At != 0 || p.Versions[1].Value != "0" || p.Versions[0].At == 0 {
		t.Errorf("%+v", p)
	}
	if p := h.past("b"); len(p.Versions) != 2 || p.Versions[1].Value != "1" || p.Versions[0].Revision != 6 {
		t.Errorf("%+v", p)
	}
	if h.ended("b") != "deleted" || h.ended("a") != "" {
		t.Error("how they ended")
	}
}

// The oldest go when there is no room.
func TestPast_Bounded(t *testing.T) {
	h := &history{limit: 10_000}
	h.began()
	for i := range 1000 {
		n := store.Node{Entry: store.Entry{Key: fmt.Sprintf("k%d", i%7), Value: strings.Repeat("x", i), Created: 1, Modified: store.Revision(i + 1)}}
		h.add(store.TreeChange{Type: store.EventPut, Node: n, Revision: n.Modified})
		if h.bytes > h.limit {
			t.Fatalf("%d bytes", h.bytes)
		}
	}
	var bytes int64
	n := 0
	for key, versions := range h.versions {
		for _, v := range versions {
			bytes += cost(key, v)
			n++
		}
	}
	if bytes != h.bytes || n != len(h.order) || n == 0 {
		t.Errorf("%d versions of %d bytes, counted %d of %d", n, bytes, len(h.order), h.bytes)
	}
	if p := h.past("k5"); !p.Bounded || len(p.Versions) == 0 || p.Versions[0].Revision != 1000 {
		t.Errorf("the latest: bounded %v, %d versions", p.Bounded, len(p.Versions))
	}
}

// What is cut off a large value is not kept by what is left of it.
func TestPast_HoldsNoMoreThanItsBound(t *testing.T) {
	const limit, size = 1 << 20, 1 << 20
	h := &history{limit: limit}
	before := heap()
	for i := range 50 {
		h.add(store.TreeChange{Type: store.EventPut, Node: store.Node{Entry: store.Entry{
			Key: fmt.Sprintf("k%d", i), Value: strings.Repeat("x", size), Modified: store.Revision(i + 1),
		}}, Revision: store.Revision(i + 1)})
	}
	if grown := heap() - before; grown > 4*limit {
		t.Errorf("%d bytes are kept, with a bound of %d", grown, limit)
	}
	runtime.KeepAlive(h)
}

// heap is how many bytes are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
