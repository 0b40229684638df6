package keys

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

const (
	maxKept  = 64 << 10 // bytes of a value that are remembered
	overhead = 120      // bytes that a version costs beside its key and its value
)

// A Version is what a change has made of a key.
type Version struct {
	Revision  store.Revision `json:"revision,string"`
	At        int64          `json:"at"`   // Unix milliseconds; 0: before the record begins
	Type      string         `json:"type"` // "put", "delete" or "expire"
	Value     string         `json:"value"`
	Size      int            `json:"size"`    // bytes of the value
	Expires   int64          `json:"expires"` // Unix milliseconds, 0: never
	Truncated bool           `json:"truncated"`
}

// A Past is what is remembered of a key, the newest version first.
type Past struct {
	Since    int64     `json:"since"`   // Unix milliseconds: the record begins; 0: there is none
	Bounded  bool      `json:"bounded"` // older versions, of this key or of others, were forgotten for want of room
	Missed   int64     `json:"missed"`  // Unix milliseconds: when changes were missed last; 0: never
	Versions []Version `json:"versions"`
	Why      string    `json:"why"`
}

const whyPast = "etcd's v2 API keeps no history; this is what the dashboard has seen since it began to look"

const whyHidden = "the key is hidden, and the dashboard does not look at hidden keys all the time"

// A history remembers the changes that a watch tells, as many as have room. Safe
// for concurrent use.
type history struct {
	limit int64 // bytes of keys, values and what goes with them

	mu       sync.Mutex // guards what follows
	since    time.Time
	missed   time.Time
	bounded  bool
	bytes    int64
	versions map[string][]Version // by key, the oldest first; a directory's are its ends
	order    []string             // the key of each version, the oldest first
}

// began says that changes are told from now on.
func (h *history) began() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); h.since.IsZero() {
		h.since = now
	} else {
		h.missed = now
	}
}

// add remembers a change.
func (h *history) add(c store.TreeChange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now().UnixMilli()
	key := c.Node.Key
	switch {
	case c.Node.Dir && c.Type == store.EventPut:
	case c.Type == store.EventPut:
		if c.Before != nil && !c.Before.Dir && len(h.versions[key]) == 0 {
			h.put(key, version(*c.Before, 0))
		}
		h.put(key, version(c.Node, now))
	default:
		if !c.Node.Dir && len(h.versions[key]) == 0 {
			h.put(key, version(c.Node, 0))
		}
		h.put(key, Version{Revision: c.Revision, At: now, Type: c.Type.String()})
	}
	for h.bytes > h.limit {
		h.forget()
	}
}

func version(n store.Node, at int64) Version {
	v := Version{Revision: n.Modified, At: at, Type: store.EventPut.String(), Value: n.Value, Size: len(n.Value), Expires: millis(n.Expires)}
	if len(v.Value) > maxKept {
		v.Value, v.Truncated = strings.Clone(cut(v.Value, maxKept)), true // a part would keep the whole
	}
	return v
}

func (h *history) put(key string, v Version) {
	if h.versions == nil {
		h.versions = make(map[string][]Version)
	}
	h.versions[key] = append(h.versions[key], v)
	h.order = append(h.order, key)
	h.bytes += cost(key, v)
}

// forget drops the oldest version.
func (h *history) forget() {
	key := h.order[0]
	h.order = h.order[1:]
	versions := h.versions[key]
	h.bytes -= cost(key, versions[0])
	h.bounded = true
	if len(versions) == 1 {
		delete(h.versions, key)
		return
	}
	versions[0] = Version{} // its value is not to be kept by the array
	h.versions[key] = versions[1:]
}

func cost(key string, v Version) int64 { return int64(len(key)+len(v.Value)) + overhead }

// past returns what is remembered of key. With the end of a directory ends what
// is in it, without a word of its own.
func (h *history) past(key string) Past {
	if h == nil {
		return Past{Versions: []Version{}, Why: whyPast + "; it does not look, since history_bytes is 0"}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p := Past{Since: millis(h.since), Bounded: h.bounded, Missed: millis(h.missed), Versions: []Version{}, Why: whyPast}
	own := h.versions[key]
	all := slices.Clone(own)
	for dir := parent(key); dir != ""; dir = parent(dir) {
		all = append(all, h.versions[dir]...)
	}
	slices.SortStableFunc(all, func(a, b Version) int { return cmp.Compare(a.Revision, b.Revision) })
	there := false
	for _, v := range all {
		put := v.Type == store.EventPut.String()
		if put || there || slices.Contains(own, v) { // else it is a directory's end when the key was not there
			p.Versions = append(p.Versions, v)
		}
		there = put
	}
	slices.Reverse(p.Versions)
	return p
}

// ended returns how key has ended, "deleted" or "expired"; "" if that is not
// remembered.
func (h *history) ended(key string) string {
	if h == nil {
		return ""
	}
	p := h.past(key)
	if len(p.Versions) == 0 {
		return ""
	}
	switch p.Versions[0].Type {
	case store.EventDelete.String():
		return "deleted"
	case store.EventExpire.String():
		return "expired"
	}
	return ""
}
