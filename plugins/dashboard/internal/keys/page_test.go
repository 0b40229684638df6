package keys

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

func TestIndex_Page(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		for i := range 25 {
			put(t, mine, fmt.Sprintf("a/Key%02d", i), "x", 0)
		}
		put(t, mine, "a/other ö", "x", 0)
		for _, c := range []struct {
			q      Question
			offset int
			found  bool
			count  int
			first  string
			n      int
		}{
			{Question{Limit: 10}, 0, false, 26, "Key00", 10},
			{Question{Limit: 10, Offset: 20}, 20, false, 26, "Key20", 6},
			{Question{Limit: 10, Offset: 30}, 30, false, 26, "", 0},
			{Question{Limit: 10, Around: "Key15"}, 10, true, 26, "Key10", 10},
			{Question{Limit: 10, Around: "Key155"}, 10, false, 26, "Key10", 10},
			{Question{Limit: 10, Around: "zzz"}, 20, false, 26, "Key20", 6},
			{Question{Limit: 10, Filter: "kEY1"}, 0, false, 10, "Key10", 10},
			{Question{Limit: 3, Filter: "y1", Around: "Key14"}, 3, true, 10, "Key13", 3},
			{Question{Limit: 3, Filter: "y1", Offset: 9}, 9, false, 10, "Key19", 1},
			{Question{Limit: 3, Filter: "y1", Offset: 90}, 90, false, 10, "", 0},
			{Question{Limit: 3, Filter: "^key0", Offset: 2}, 2, false, 10, "Key02", 3},
			{Question{Limit: 3, Filter: "^ey"}, 0, false, 0, "", 0},
			{Question{Limit: 3, Filter: "Ö"}, 0, false, 1, "other ö", 1},
		} {
			c.q.Dir = "a"
			p := page(t, x, c.q)
			first := ""
			if len(p.Rows) > 0 {
				first = p.Rows[0].Name
			}
			if p.Offset != c.offset || p.Found != c.found || p.Count != c.count || p.Of != 26 || first != c.first || len(p.Rows) != c.n {
				t.Errorf("%+v: %+v", c.q, p)
			}
		}
		_, err := x.Page(t.Context(), Question{Dir: "none", Limit: 1})
		wantErr(t, "page of nothing", err, store.ErrNotFound)
		_, err = x.Page(t.Context(), Question{Dir: "a/Key01", Limit: 1})
		wantErr(t, "page of an entry", err, store.ErrInvalid)
		if x.realms[""].top.sub("none") != nil {
			t.Error("what is not there is remembered")
		}
	})
}

// Beyond the limit no more is read behind what is shown.
func TestIndex_Limit(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		for i := range 20 {
			put(t, mine, fmt.Sprintf("a%02d/b", i), "x", 0)
		}
		x.realms[""].walker.limit = 30
		f := follow[Counts](t, x.Counts, nil)
		time.Sleep(time.Minute)
		if got := f.last(t); !got.Limited || got.Complete || got.Dirs != 20 || got.Entries != 10 {
			t.Errorf("counts %+v, want those up to the limit", got)
		}
		var found []string
		end, err := x.Search(t.Context(), Search{Text: "/b", Limit: 100}, func(m Match) { found = append(found, m.Key) }, func(Searched) {})
		if err != nil || len(found) != 20 || !reflect.DeepEqual(*end, Found{Searched{40, 40, true}, true, 20, false}) {
			t.Errorf("found %q, %+v, %v; want what is beyond the limit, too", found, end, err)
		}
		if n := x.realms[""].rows; n != 30 {
			t.Errorf("%d rows are kept", n)
		}
	})
}
