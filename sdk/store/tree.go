package store

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"
)

// A Node is an entry or a directory of a [Tree].
type Node struct {
	Entry

	// Dir says that the node is a directory: its Value is empty, and when its
	// TTL runs out everything in it goes with it. Created and Modified are
	// those of its making; a directory that came into being with the first
	// entry in it has that entry's. The root has 0 in both.
	Dir bool
}

// A Level is what stood directly below a directory at one revision.
type Level struct {
	// Dir is the directory itself.
	Dir Node

	// Nodes are the entries, with their values, and the directories directly
	// below it, sorted by the bytes of their keys, hidden ones left out. A
	// node's key is whole, as everywhere. Never nil-checked: empty means none.
	Nodes []Node

	// Revision is the revision of the store that the level shows.
	Revision Revision
}

// A TreeChange is one change of a node.
type TreeChange struct {
	Type EventType

	// Node is the state after an EventPut and the last state before an
	// EventDelete or EventExpire. With a directory goes all that is in it: that
	// is one change, with Node.Dir true, and what was in it is not told again.
	// The directories that an entry is made in are not told either.
	Node Node

	// Before is the state before an EventPut; nil if there was none.
	Before *Node

	// Revision is that of the change.
	Revision Revision
}

// A Tree is a store whose directories are things of their own, as the v2 API
// has them: an ability of drivers that take keys as other programs have made
// them, see [CheckAnyKey]. The values of others are not unique, so of a Create,
// Put or Swap whose reply was lost a Tree can't tell whether it or somebody else
// has written what stands there: it says ErrUnavailable, and never writes twice.
//
// A node with a segment that begins with an underscore is hidden: levels,
// listings and watches of what is above it leave it out, but it can be asked for
// by name.
//
// Values that are not UTF-8 can't come through the v2 API: see [Damaged].
type Tree interface {
	Store

	// Node returns the entry or the directory of key; "" is the root, which is
	// always there. ErrNotFound if there is neither. To read a directory costs
	// as much as its [Level].
	Node(ctx context.Context, key string, c Consistency) (Node, error)

	// Level returns what is directly below dir; "" is the root. ErrNotFound if
	// there is no such directory, ErrInvalid if dir is an entry.
	Level(ctx context.Context, dir string, c Consistency) (Level, error)

	// MakeDir makes an empty directory, and those above it. ttl is as for an
	// entry, and can't be changed afterwards: etcd 3.5 refuses that. ErrExists
	// if there is an entry or a directory already; ErrInvalid below an entry.
	// After a lost reply it says ErrUnavailable: nothing tells one maker from
	// another.
	MakeDir(ctx context.Context, dir string, ttl time.Duration) (Node, error)

	// RemoveDir removes a directory that is empty. ErrNotEmpty if there is
	// anything in it, hidden nodes included; ErrNotFound if it is not there;
	// ErrInvalid if it is an entry. The v2 API can't be asked to remove a
	// directory only: an entry that takes the place of the directory within the
	// milliseconds of the call is removed, which is an ErrChanged.
	RemoveDir(ctx context.Context, dir string) error

	// WatchTree follows the changes of dir itself and of everything below it
	// made after revision after; "" is the root. It returns at once; what can
	// fail fails in Next. The end of a directory above dir is told as that of
	// dir, with neither Created nor Modified.
	//
	// A TTL that another program has extended by etcd's "refresh" is not told:
	// read an entry again that is still there when it should have expired.
	WatchTree(dir string, after Revision) TreeWatcher
}

// A TreeWatcher hands out changes in the order of their revisions, each once.
// It is used by one goroutine at a time, and closed by it.
type TreeWatcher interface {
	// Next waits for at least one change and returns all that are at hand.
	// ErrCompacted: changes were missed, read again and open a new watch.
	// ErrUnavailable: no contact; calling again goes on where it stopped.
	Next(ctx context.Context) ([]TreeChange, error)

	// Close ends the watch. Next must not be called afterwards.
	Close() error
}

// Damaged tells whether value may have been bytes that are not UTF-8: the v2 API
// gives U+FFFD for each of them, and writing that back would make the loss
// permanent.
func Damaged(value string) bool { return strings.ContainsRune(value, utf8.RuneError) }
