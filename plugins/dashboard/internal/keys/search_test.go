package keys

import (
	"fmt"
	"slices"
	"testing"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

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
