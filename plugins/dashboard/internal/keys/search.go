package keys

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// A Search looks for keys below a directory.
type Search struct {
	Text   string
	How    string // "prefix" or "substring", both in whatever case, or "regex": that of Go's package regexp
	Values bool   // looks at the values of entries; else at the whole keys of entries and directories
	Dir    string
	Limit  int // matches, at least 1
}

// A Match is a key that was found.
type Match struct {
	Key string `json:"key"`
	Row
}

// A Searched tells how far a search is.
type Searched struct {
	Searched int  `json:"searched"` // entries, and directories if names are looked at
	Total    int  `json:"total"`    // of those that are known to be there
	Complete bool `json:"complete"` // whether the total is all there are
}

// A Found is the end of a search.
type Found struct {
	Searched
	Done    bool `json:"done"` // always
	Matches int  `json:"matches"`
	More    bool `json:"more"` // it has stopped at the limit
}

// batch is how many names are looked at with the index held.
const batch = 2000

var errEnough = errors.New("enough")

// Search calls found for each match, in no order that is promised, and progress
// now and then. Hidden keys are not found unless the directory is
// hidden. store.ErrInvalid: the text is no regular expression.
func (x *Index) Search(ctx context.Context, q Search, found func(Match), progress func(Searched)) (*Found, error) {
	matches, err := q.matcher()
	if err != nil {
		return nil, err
	}
	r, path, release := x.use(q.Dir)
	defer release()
	r.walk() // so that the total becomes known
	s := &search{q: q, r: r, top: path, matches: matches, found: found, progress: progress, told: time.Now()}
	err = s.level(ctx, path)
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	s.measure()
	s.Complete = s.Complete || err == nil
	return &Found{s.Searched, true, s.count, err != nil}, nil
}

func (q *Search) matcher() (func(string) bool, error) {
	lower := strings.ToLower(q.Text)
	switch q.How {
	case "prefix":
		return func(s string) bool { return strings.HasPrefix(strings.ToLower(s), lower) }, nil
	case "substring", "":
		return func(s string) bool { return strings.Contains(strings.ToLower(s), lower) }, nil
	case "regex":
		re, err := regexp.Compile(q.Text)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", err, store.ErrInvalid)
		}
		return re.MatchString, nil
	}
	return nil, fmt.Errorf("how is %.50q; it is prefix, substring or regex: %w", q.How, store.ErrInvalid)
}

// A search is one under way.
type search struct {
	Searched
	count    int // matches
	q        Search
	r        *realm
	top      string
	matches  func(string) bool
	found    func(Match)
	progress func(Searched)
	told     time.Time
}

// tell tells of the progress, unless that was done just now.
func (s *search) tell() {
	if time.Since(s.told) >= reports {
		s.told = time.Now()
		s.measure()
		s.progress(s.Searched)
	}
}

// measure finds out how much there is.
func (s *search) measure() {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.Total, s.Complete = s.r.total(s.top, !s.q.Values)
	s.Total = max(s.Total, s.Searched.Searched)
}

// level looks at the directory of a path and then at those in it.
func (s *search) level(ctx context.Context, path string) (err error) {
	var dirs []string
	if over, _ := s.r.tooMuch(path); over || s.q.Values {
		dirs, err = s.direct(ctx, path)
	} else {
		dirs, err = s.names(ctx, path)
	}
	if errors.Is(err, store.ErrNotFound) && path != s.top {
		return nil // it went away meanwhile
	}
	for _, name := range dirs {
		if err == nil {
			err = s.level(ctx, join(path, name))
		}
	}
	return err
}

// names looks at the names in the index, reading what it does not have.
func (s *search) names(ctx context.Context, path string) (dirs []string, err error) {
	prefix := "/" + s.r.key(path)
	if prefix != "/" {
		prefix += "/"
	}
	for after := ""; ; {
		rows, err := s.r.some(ctx, path, after, batch)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			one := &rows[i]
			if one.dir {
				dirs = append(dirs, one.key())
			}
			if err := s.look(prefix+one.key(), prefix+one.key(), one); err != nil {
				return nil, err
			}
		}
		s.tell()
		if len(rows) < batch {
			return dirs, nil
		}
		after = rows[len(rows)-1].key()
	}
}

// some returns the next rows of a level after a name.
func (r *realm) some(ctx context.Context, path, after string, n int) ([]row, error) {
	l, err := r.load(ctx, path)
	if err != nil {
		return nil, err
	}
	defer r.mu.Unlock()
	p, found := l.rows.find(after)
	if found {
		p.at++
	}
	rows := make([]row, 0, min(n, l.rows.n-p.at))
	for one := range l.rows.from(p.at) {
		if len(rows) == n {
			break
		}
		rows = append(rows, *one)
	}
	return rows, nil
}

// direct reads the level from the store, since the index has no values and does
// not keep everything.
func (s *search) direct(ctx context.Context, path string) (dirs []string, err error) {
	l, err := s.r.tree.Level(ctx, s.r.key(path), store.Linearizable)
	if err != nil {
		return nil, err
	}
	for i, n := range l.Nodes {
		if n.Dir {
			dirs = append(dirs, base(n.Key))
		}
		one, text := newRow(n), "/"+n.Key
		if s.q.Values {
			if text = n.Value; n.Dir {
				continue
			}
		}
		if err := s.look("/"+n.Key, text, &one); err != nil {
			return nil, err
		}
		if i%batch == 0 {
			s.tell()
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
	}
	s.tell()
	return dirs, nil
}

func (s *search) look(key, text string, one *row) error {
	s.Searched.Searched++
	if !s.matches(text) {
		return nil
	}
	if s.count == s.q.Limit {
		return errEnough
	}
	s.count++
	s.found(Match{key, one.shown()})
	return nil
}
