package keys

import (
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// A state says what is known of a level.
type state int

const (
	cold    state = iota // nothing, or rows that may be old
	reading              // it is being read; what the watch tells waits for that
	loaded               // all, as of the last change that the watch has told
	gone                 // that there is no such directory
)

// A level is a directory of a realm. Levels that nobody has asked for, with one
// below that somebody has, are cold. The realm's mu guards it.
type level struct {
	up    *level // nil: the realm's root
	name  string
	subs  map[string]*level // by name; nil while there is none
	users int               // who follow it: it then stays in the tree, whatever its state

	state   state
	why     error              // cold or gone: what reading it came to; nil if it was not tried
	waiting []store.TreeChange // reading: what was told since that began
	read    chan struct{}      // reading: closed at its end

	rows     list
	revision store.Revision // of the last change that is in the rows
	seq      uint64         // counts the versions of rows, from a number that no level of this path had before
	log      []Change       // the latest changes, with users only; the last one made version seq
	changed  chan struct{}  // closed by the next change; nil if nobody waits
}

func newLevel(up *level, name string) *level {
	return &level{up: up, name: name, seq: uint64(time.Now().UnixMilli())}
}

// A Change makes the next version of a directory's rows out of the one before.
type Change struct {
	Op  Op   `json:"op"`
	At  int  `json:"at"`            // index of the row, before it is removed or after it is inserted
	Row *Row `json:"row,omitempty"` // the new state; of one that is removed the last
}

// An Op is what a Change does.
type Op string

// The kinds of change.
const (
	Insert Op = "insert"
	Update Op = "update"
	Remove Op = "remove"
)

// maxLog is how many changes are kept for who is behind; who is farther behind
// starts again.
const maxLog = 2000

// path is the directory's path below the realm's root.
func (l *level) path() string {
	if l.up == nil {
		return ""
	}
	return join(l.up.path(), l.name)
}

// sub returns the level below, or nil.
func (l *level) sub(name string) *level { return l.subs[name] }

// add returns the level below, made if it is not there.
func (l *level) add(name string) *level {
	s := l.subs[name]
	if s == nil {
		if l.subs == nil {
			l.subs = make(map[string]*level)
		}
		s = newLevel(l, strings.Clone(name))
		l.subs[s.name] = s
	}
	return s
}

// drop takes l, and what is above it, out of the tree as far as nobody needs it.
func (l *level) drop() {
	for l.up != nil && l.users == 0 && len(l.subs) == 0 && (l.state == cold || l.state == gone) && l.rows.n == 0 {
		delete(l.up.subs, l.name)
		l = l.up
	}
}

// tell wakes who waits for a change.
func (l *level) tell() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// next returns a channel that is closed by the next change.
func (l *level) next() <-chan struct{} {
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// made is called for each change of the rows.
func (l *level) made(op Op, at int, r *row) {
	l.seq++
	if l.users == 0 {
		l.log = nil
	} else {
		if len(l.log) >= maxLog {
			l.log = append([]Change(nil), l.log[maxLog/2:]...)
		}
		shown := r.shown()
		l.log = append(l.log, Change{op, at, &shown})
	}
	l.tell()
}

// since returns the changes after version seq; false if they are not known, or
// more than most.
func (l *level) since(seq uint64, most int) ([]Change, bool) {
	n := l.seq - seq
	if seq > l.seq || n > uint64(len(l.log)) || n > uint64(most) {
		return nil, false
	}
	return append([]Change(nil), l.log[len(l.log)-int(n):]...), true
}
