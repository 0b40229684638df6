package keys

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/etcd-modules/modhost/sdk/store"
)

// maxPreview is how many bytes of a value a row has.
const maxPreview = 64

// A row is an entry or a directory within its level. There may be a million, so
// it is small and has one string.
type row struct {
	text     string // the name, then the preview
	name     uint16 // bytes of the name
	dir      bool
	damaged  bool
	size     uint32 // bytes of the value
	expires  int64  // Unix milliseconds, 0: never
	created  store.Revision
	modified store.Revision
}

// A Row is a row as the page gets it.
type Row struct {
	Name     string         `json:"name"`
	Dir      bool           `json:"dir"`
	Size     uint32         `json:"size"`    // bytes of the value
	Preview  string         `json:"preview"` // the value's first bytes, at most 64
	Damaged  bool           `json:"damaged"` // see [store.Damaged]
	Expires  int64          `json:"expires"` // Unix milliseconds, 0: never
	Created  store.Revision `json:"created,string"`
	Modified store.Revision `json:"modified,string"`
}

// newRow makes the row of a node. It keeps nothing of n alive.
func newRow(n store.Node) row {
	name := base(n.Key)
	return row{
		text:     name + cut(n.Value, maxPreview), // a string of its own, unlike its parts
		name:     uint16(len(name)),
		dir:      n.Dir,
		damaged:  store.Damaged(n.Value),
		size:     uint32(len(n.Value)),
		expires:  millis(n.Expires),
		created:  n.Created,
		modified: n.Modified,
	}
}

func (r *row) key() string { return r.text[:r.name] }

func (r *row) shown() Row {
	return Row{r.key(), r.dir, r.size, r.text[r.name:], r.damaged, r.expires, r.created, r.modified}
}

// cut returns at most n bytes of the beginning of text, which is UTF-8, and no
// part of a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// base is the last segment of a key, parent what is before it.
func base(key string) string { return key[strings.LastIndexByte(key, '/')+1:] }

func parent(key string) string { return key[:max(0, strings.LastIndexByte(key, '/'))] }

// join puts a name below a directory.
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
