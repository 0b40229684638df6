package keys

import (
	"context"
	"strings"
)

// A Question asks for some of a directory's rows.
type Question struct {
	Dir    string
	Filter string // part of the names, in whatever case; with ^ before it their beginning; "": all
	Offset int
	Limit  int
	Around string // a name: the page that has it, or the place where it would be; "": by Offset
}

// A Page is some of a directory's rows in the order of the bytes of their names.
type Page struct {
	Dir    string `json:"dir"`
	Count  int    `json:"count"` // rows that the filter lets through
	Of     int    `json:"of"`    // rows in all
	Seq    uint64 `json:"seq"`   // version of the rows
	Offset int    `json:"offset"`
	Found  bool   `json:"found"` // whether the name that was asked for is there
	Rows   []Row  `json:"rows"`
	Stale  string `json:"stale,omitempty"` // why this may be old; "": it is not
}

// Page answers a question. store.ErrNotFound and store.ErrInvalid as for
// [store.Tree.Level].
func (x *Index) Page(ctx context.Context, q Question) (*Page, error) {
	r, path, release := x.use(q.Dir)
	defer release()
	l, err := r.load(ctx, path)
	if err != nil {
		return nil, err
	}
	defer r.mu.Unlock()
	p := &Page{Dir: "/" + q.Dir, Of: l.rows.n, Seq: l.seq, Rows: []Row{}}
	if why, _ := r.health.Get(); why != nil {
		p.Stale = why.Error()
	}
	if q.Filter == "" {
		p.Count = l.rows.n
		p.Offset = q.Offset
		if q.Around != "" {
			at, found := l.rows.find(q.Around)
			p.Offset, p.Found = at.at/q.Limit*q.Limit, found
		}
		for one := range l.rows.from(p.Offset) {
			if len(p.Rows) == q.Limit {
				break
			}
			p.Rows = append(p.Rows, one.shown())
		}
		return p, nil
	}
	var matches []*row
	for one := range l.rows.from(0) {
		if matchesName(one.key(), q.Filter) {
			matches = append(matches, one)
		}
	}
	p.Count, p.Offset = len(matches), q.Offset
	if q.Around != "" {
		at := 0
		for at < len(matches) && matches[at].key() < q.Around {
			at++
		}
		p.Offset, p.Found = at/q.Limit*q.Limit, at < len(matches) && matches[at].key() == q.Around
	}
	for _, one := range matches[min(p.Offset, len(matches)):min(p.Offset+q.Limit, len(matches))] {
		p.Rows = append(p.Rows, one.shown())
	}
	return p, nil
}

// matchesName tells whether a filter lets a name through.
func matchesName(name, filter string) bool {
	name = strings.ToLower(name)
	if start, ok := strings.CutPrefix(filter, "^"); ok {
		return strings.HasPrefix(name, strings.ToLower(start))
	}
	return strings.Contains(name, strings.ToLower(filter))
}
