package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

const (
	planKept  = 10 * time.Minute
	maxPlans  = 20
	maxInAll  = Limit // entries and directories that all plans have together
	maxSample = 20
)

// An Item is an entry, or a directory with all in it.
type Item struct {
	Key string `json:"key"` // with a slash in front
	Dir bool   `json:"dir"`
}

// A Plan is what the deletion of some items would hit.
type Plan struct {
	ID       string         `json:"plan"`
	Entries  int            `json:"entries"`
	Dirs     int            `json:"dirs"`
	Bytes    int64          `json:"bytes"`  // of the values
	Sample   []string       `json:"sample"` // the first keys, at most 20
	More     int            `json:"more"`   // entries that the sample does not have
	Revision store.Revision `json:"revision,string"`
	Typed    string         `json:"typed"` // what must be typed: the key of a single item, else the number of all entries and directories
}

// A planned is a Plan with what it would hit. Only entries that were not modified
// since are deleted.
type planned struct {
	Plan
	until   time.Time
	entries []target // sorted by key
	dirs    []string // sorted
}

// A target is an entry to be deleted. There may be a million.
type target struct {
	key               string
	created, modified store.Revision
}

func (p *planned) size() int { return len(p.entries) + len(p.dirs) }

// plans are those that were not carried out yet.
type plans struct {
	mu   sync.Mutex // guards byID
	byID map[string]*planned
}

func (p *plans) put(one *planned) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID == nil {
		p.byID = make(map[string]*planned)
	}
	size := one.size()
	for _, other := range p.byID {
		size += other.size()
	}
	for len(p.byID) > 0 && (len(p.byID) >= maxPlans || size > maxInAll) { // the oldest goes
		oldest := slices.MinFunc(slices.Collect(maps.Values(p.byID)), func(a, b *planned) int { return a.until.Compare(b.until) })
		delete(p.byID, oldest.ID)
		size -= oldest.size()
	}
	p.byID[one.ID] = one
	id := one.ID // not one: it would be kept until then
	time.AfterFunc(time.Until(one.until), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.byID, id)
	})
}

// take returns a plan, which is there no more then, if the text for it was typed.
func (p *plans) take(id, typed string) (*planned, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.byID[id]
	if one == nil || !time.Now().Before(one.until) {
		return nil, fmt.Errorf("the plan is not there any more; look again at what would be deleted: %w", store.ErrNotFound)
	}
	if typed != one.Typed {
		return nil, fmt.Errorf("typed was %.100q, but must be %q: %w", typed, one.Typed, store.ErrInvalid)
	}
	delete(p.byID, id)
	return one, nil
}

// Plan looks at what the deletion of items would hit, and remembers it for ten
// minutes. Hidden entries are not looked at; a directory that has some will stay.
func (x *Index) Plan(ctx context.Context, items []Item) (*Plan, error) {
	p := &planned{Plan: Plan{ID: rand.Text(), Sample: []string{}}, until: time.Now().Add(planKept)}
	top, err := topmost(items)
	if err != nil {
		return nil, err
	}
	for _, key := range top {
		if err := x.planNode(ctx, p, key); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(p.entries, func(a, b target) int { return strings.Compare(a.key, b.key) })
	slices.Sort(p.dirs)
	for _, e := range p.entries[:min(len(p.entries), maxSample)] {
		p.Sample = append(p.Sample, "/"+e.key)
	}
	p.Entries, p.Dirs, p.More = len(p.entries), len(p.dirs), len(p.entries)-len(p.Sample)
	p.Typed = strconv.Itoa(p.Entries + p.Dirs)
	if len(top) == 1 {
		p.Typed = "/" + top[0]
	}
	x.plans.put(p)
	return &p.Plan, nil
}

// topmost returns the keys of those items that are not within another one,
// sorted. What has something within it is a directory by now, whatever it was when
// it was named.
func topmost(items []Item) ([]string, error) {
	if len(items) == 0 {
		return nil, fmt.Errorf("nothing is named that could be deleted: %w", store.ErrInvalid)
	}
	var keys []string
	named := make(map[string]bool)
	for _, i := range items {
		key, err := ParseKey(i.Key)
		if err != nil {
			return nil, err
		}
		if key == "" {
			return nil, fmt.Errorf("the root stays as it is; name what is in it: %w", store.ErrInvalid)
		}
		keys = append(keys, key)
		named[key] = true
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	return slices.DeleteFunc(keys, func(key string) bool {
		for up := parent(key); up != ""; up = parent(up) {
			if named[up] {
				return true
			}
		}
		return false
	}), nil
}

// planNode adds an entry, or a directory and what is in it.
func (x *Index) planNode(ctx context.Context, p *planned, key string) error {
	l, err := x.tree.Level(ctx, key, store.Linearizable)
	if errors.Is(err, store.ErrInvalid) { // it is an entry
		n, err := x.tree.Node(ctx, key, store.Linearizable)
		if err == nil && !n.Dir {
			err = p.add(n.Entry)
		}
		return ignoreNotFound(err)
	}
	if err != nil {
		return ignoreNotFound(err)
	}
	if err := p.room(); err != nil {
		return err
	}
	p.dirs = append(p.dirs, key)
	if p.Revision == 0 {
		p.Revision = l.Revision
	}
	for _, n := range l.Nodes {
		if n.Dir {
			err = x.planNode(ctx, p, n.Key)
		} else {
			err = p.add(n.Entry)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// room returns an error if nothing more may be planned.
func (p *planned) room() error {
	if p.size() >= Limit {
		return fmt.Errorf("there are more than %d keys; delete a part of them: %w", Limit, store.ErrInvalid)
	}
	return nil
}

func (p *planned) add(e store.Entry) error {
	if err := p.room(); err != nil {
		return err
	}
	p.Bytes += int64(len(e.Value))
	p.entries = append(p.entries, target{strings.Clone(e.Key), e.Created, e.Modified})
	return nil
}

func ignoreNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
