package keys

import (
	"slices"
	"sort"
	"strings"
)

// maxChunk is how many rows a chunk has at most. A change moves half of one on
// average, and finding a place adds up the lengths of the chunks before it.
const maxChunk = 512

// A list has rows sorted by the bytes of their names, in chunks none of which is
// empty.
type list struct {
	chunks [][]row
	n      int
	dirs   int // among them
}

// newList takes rows that are sorted.
func newList(rows []row) list {
	l := list{n: len(rows)}
	for i := range rows {
		l.dirs += one(rows[i].dir)
	}
	for len(rows) > 0 {
		n := min(len(rows), maxChunk/2)
		l.chunks = append(l.chunks, slices.Clip(rows[:n]))
		rows = rows[n:]
	}
	return l
}

// A place is where a row is or would be.
type place struct{ chunk, row, at int }

// find returns the place of name, and whether a row of that name is there.
func (l *list) find(name string) (place, bool) {
	c := sort.Search(len(l.chunks), func(i int) bool {
		chunk := l.chunks[i]
		return chunk[len(chunk)-1].key() >= name
	})
	p := place{chunk: c}
	for _, chunk := range l.chunks[:c] {
		p.at += len(chunk)
	}
	if c == len(l.chunks) {
		return p, false
	}
	i, found := slices.BinarySearchFunc(l.chunks[c], name, func(r row, name string) int { return strings.Compare(r.key(), name) })
	p.row = i
	p.at += i
	return p, found
}

// row returns the one at a place that find has found.
func (l *list) row(p place) *row { return &l.chunks[p.chunk][p.row] }

// set replaces a row by one of the same name.
func (l *list) set(p place, r row) {
	l.dirs += one(r.dir) - one(l.row(p).dir)
	*l.row(p) = r
}

// insert puts r at the place where find has not found its name.
func (l *list) insert(p place, r row) {
	l.n++
	l.dirs += one(r.dir)
	if p.chunk == len(l.chunks) {
		if p.chunk == 0 {
			l.chunks = [][]row{{r}}
			return
		}
		p.chunk--
		p.row = len(l.chunks[p.chunk])
	}
	c := slices.Insert(l.chunks[p.chunk], p.row, r)
	if len(c) <= maxChunk {
		l.chunks[p.chunk] = c
		return
	}
	half := len(c) / 2
	l.chunks[p.chunk] = slices.Clone(c[:half])
	l.chunks = slices.Insert(l.chunks, p.chunk+1, slices.Clone(c[half:]))
}

// remove takes out the row at a place.
func (l *list) remove(p place) {
	l.n--
	l.dirs -= one(l.row(p).dir)
	c := slices.Delete(l.chunks[p.chunk], p.row, p.row+1)
	if len(c) == 0 {
		l.chunks = slices.Delete(l.chunks, p.chunk, p.chunk+1)
		return
	}
	l.chunks[p.chunk] = c
}

// from yields the rows beginning with the one at index at.
func (l *list) from(at int) func(yield func(*row) bool) {
	return func(yield func(*row) bool) {
		for _, c := range l.chunks {
			if at >= len(c) {
				at -= len(c)
				continue
			}
			for i := at; i < len(c); i++ {
				if !yield(&c[i]) {
					return
				}
			}
			at = 0
		}
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
