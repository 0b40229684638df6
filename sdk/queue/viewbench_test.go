package queue

import (
	"fmt"
	"testing"

	"github.com/etcd-modules/modhost/sdk/store"
)

// What a change costs in a view of many lines, and in one of a long line, and
// what its follower is told.
func BenchmarkView(b *testing.B) {
	const size = 10_000
	entry := func(line string, n int, s state) store.Entry {
		r := record{Value: fmt.Sprint(n)}.with(s, 0, []string{"s"})
		rev := store.Revision(n + 1)
		return store.Entry{Key: lineDir(line) + "/" + entryID(r.Value, ""), Value: r.encode(), Created: rev, Modified: rev}
	}
	for name, line := range map[string]func(n int) string{
		"lines":   func(n int) string { return fmt.Sprint(n) },
		"waiters": func(int) string { return "a" },
	} {
		var list store.Listing
		for n := range size {
			list.Entries = append(list.Entries, entry(line(n), n, waiting))
		}
		list.Revision = size
		b.Run(name+"/listing", func(b *testing.B) {
			v := NewView(nil)
			for b.Loop() {
				v.load(list)
			}
		})
		v := NewView(nil)
		v.load(list)
		w := v.subscribe()
		v.take(w)
		n := size
		change := func() { // one comes, the first one goes
			e := entry(line(n), n, waiting)
			v.apply(store.Event{Type: store.EventPut, Entry: e, Revision: store.Revision(n)})
			old := list.Entries[0]
			list.Entries = append(list.Entries[1:], e)
			v.apply(store.Event{Type: store.EventDelete, Entry: old, Revision: store.Revision(n)})
			n++
		}
		b.Run(name+"/change", func(b *testing.B) {
			for b.Loop() {
				change()
			}
		})
		b.Run(name+"/change and update", func(b *testing.B) {
			for b.Loop() {
				change()
				v.take(w)
			}
		})
		b.Run(name+"/snapshot", func(b *testing.B) {
			for b.Loop() {
				v.Lines()
			}
		})
	}
}
