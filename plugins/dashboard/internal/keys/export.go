package keys

import (
	"context"
	"errors"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// Format names what an export is.
const Format = "modhost-keys-1"

// A Header is the first line of an export.
type Header struct {
	Format   string         `json:"format"`
	Dir      string         `json:"dir"`
	Revision store.Revision `json:"revision,string"` // when it began
	At       int64          `json:"at"`              // Unix milliseconds, as well
}

// A Line of an export is an entry or a directory, which comes before what is in
// it.
type Line struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	TTL   int64  `json:"ttl"` // seconds left; 0: never expires
	Dir   bool   `json:"dir,omitempty"`
}

// A Trailer is the last line of an export. Without it the export broke off.
type Trailer struct {
	End     bool     `json:"end"` // always
	Entries int      `json:"entries"`
	Dirs    int      `json:"dirs"`
	Damaged []string `json:"damaged"` // entries that were left out, see [store.Damaged]
}

// Export calls line with all lines, which it reads level by level: not as of one
// moment. store.ErrNotFound and store.ErrInvalid, for an entry, come before the
// first one. Hidden keys are left out unless dir is hidden.
func (x *Index) Export(ctx context.Context, dir string, line func(any) error) error {
	e := exporter{tree: x.tree, line: line}
	e.Damaged = []string{}
	if err := e.level(ctx, dir, true); err != nil {
		return err
	}
	e.End = true
	return line(e.Trailer)
}

type exporter struct {
	Trailer
	tree store.Tree
	line func(any) error
}

func (e *exporter) level(ctx context.Context, dir string, top bool) error {
	l, err := e.tree.Level(ctx, dir, store.Linearizable)
	switch {
	case !top && (errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrInvalid)):
		return nil // it went away meanwhile
	case err != nil:
		return err
	case top:
		if err := e.line(Header{Format, "/" + dir, l.Revision, time.Now().UnixMilli()}); err != nil {
			return err
		}
	}
	if dir != "" {
		e.Dirs++
		if err := e.line(Line{Key: "/" + dir, TTL: secondsLeft(l.Dir.Expires), Dir: true}); err != nil {
			return err
		}
	}
	for _, n := range l.Nodes {
		switch {
		case n.Dir:
			err = e.level(ctx, n.Key, false)
		case store.Damaged(n.Value):
			e.Damaged = append(e.Damaged, "/"+n.Key)
		default:
			e.Entries++
			err = e.line(Line{Key: "/" + n.Key, Value: n.Value, TTL: secondsLeft(n.Expires)})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// secondsLeft is the nearest whole number, 1 at least; 0: for ever.
func secondsLeft(end time.Time) int64 {
	if end.IsZero() {
		return 0
	}
	return int64(max(time.Second, time.Until(end).Round(time.Second)) / time.Second)
}
