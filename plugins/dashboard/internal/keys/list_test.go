package keys

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/etcd-modules/modhost/sdk/store"
)

func named(name string, dir bool) row {
	return newRow(store.Node{Entry: store.Entry{Key: "a/" + name, Value: "v" + name}, Dir: dir})
}

// A list is what a sorted slice would be, whatever is done to it.
func TestList_LikeASlice(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, maxChunk/2 + 1, 3000} {
		var want []row
		for i := range size {
			want = append(want, named(fmt.Sprintf("%06d", 2*i), i%3 == 0))
		}
		l := newList(slices.Clone(want))
		for range 6000 {
			name := fmt.Sprintf("%06d", random.IntN(2*size+50))
			i, there := slices.BinarySearchFunc(want, name, func(r row, name string) int { return strings.Compare(r.key(), name) })
			p, found := l.find(name)
			if found != there || p.at != i {
				t.Fatalf("find(%q) = %d %v, want %d %v", name, p.at, found, i, there)
			}
			switch r := named(name, random.IntN(2) == 0); {
			case !there:
				l.insert(p, r)
				want = slices.Insert(want, i, r)
			case random.IntN(5) == 0:
				l.set(p, r)
				want[i] = r
			default:
				l.remove(p)
				want = slices.Delete(want, i, i+1)
			}
		}
		for _, from := range []int{0, 1, len(want) / 2, len(want), len(want) + 5} {
			var got []row
			for r := range l.from(from) {
				got = append(got, *r)
			}
			if !slices.Equal(got, want[min(from, len(want)):]) {
				t.Errorf("size %d: the rows from %d on are others", size, from)
			}
		}
		dirs := 0
		for _, r := range want {
			dirs += one(r.dir)
		}
		if l.n != len(want) || l.dirs != dirs {
			t.Errorf("%d rows, %d directories, want %d, %d", l.n, l.dirs, len(want), dirs)
		}
		for _, c := range l.chunks {
			if len(c) == 0 || len(c) > maxChunk {
				t.Errorf("a chunk has %d rows", len(c))
			}
		}
	}
}

// A row has no part of a character, and nothing of a value's rest.
func TestRow_Preview(t *testing.T) {
	long := strings.Repeat("x", maxPreview-1) + "ö" + "rest"
	for value, want := range map[string]string{
		"":                              "",
		"short":                         "short",
		long:                            strings.Repeat("x", maxPreview-1),
		strings.Repeat("ö", maxPreview): strings.Repeat("ö", maxPreview/2),
	} {
		r := newRow(store.Node{Entry: store.Entry{Key: "a/b/näme", Value: value}})
		if s := r.shown(); s.Name != "näme" || s.Preview != want || int(s.Size) != len(value) {
			t.Errorf("row of %.70q is %+v", value, s)
		}
	}
}
