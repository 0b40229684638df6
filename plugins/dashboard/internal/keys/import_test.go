package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

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
