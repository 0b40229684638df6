package store

import (
	"context"
	"errors"
	"time"
)

// Sentinel errors of every driver. They arrive wrapped with what was being
// done, so compare with errors.Is.
var (
	// ErrNotFound says that there is no entry under the key, or that the one
	// there is another creation than the one meant.
	ErrNotFound = errors.New("no such entry")

	// ErrExists is returned by Create when the key already has an entry.
	ErrExists = errors.New("entry exists")

	// ErrChanged says that the entry is still there but was modified after
	// the revision that the caller has seen.
	ErrChanged = errors.New("entry changed")

	// ErrCompacted says that the revisions a watch asks for are no longer
	// kept: list again and watch from there.
	ErrCompacted = errors.New("revision compacted")

	// ErrUnavailable says that no member of the store gave a usable answer in
	// time; the text says why, also when the store refuses us for good. For a
	// write the outcome was read back without success and stays unknown.
	ErrUnavailable = errors.New("store unavailable")

	// ErrInvalid says that a key, a value, a TTL or an entry without
	// revisions is outside what the Store's documentation allows, or that a
	// key is used both as an entry and as a directory. Nothing was changed.
	ErrInvalid = errors.New("invalid argument")

	// ErrNotEmpty is returned by RemoveDir when there is something in the
	// directory.
	ErrNotEmpty = errors.New("directory not empty")
)

// MaxTTL is the largest TTL that every driver honours: 365 days. Beyond about
// 9.2e9 seconds the v2 API expires at once or never.
const MaxTTL = 31_536_000 * time.Second

// A Revision is the ever-growing number of a change; 0 is before every change.
// It is the index of etcd's v2 API and the revision of its v3 API. Changes of
// keys outside the store's own prefix use up revisions too.
type Revision uint64

// An Entry is one key with its content, as it stood at revision Modified.
type Entry struct {
	// Key is relative to the store's prefix, without a slash at either end.
	Key string

	// Value is the content; it may be empty.
	Value string

	// TTL is what was left of the time to live when the entry was read or
	// written, in whole seconds rounded up; 0 means that it never expires.
	TTL time.Duration

	// Expires is when the TTL runs out by this machine's clock; zero means
	// never. The store decides by its own clock, which may differ: Expires
	// is what it says, corrected to what TTL allows, so for an entry that
	// was read or written at t it is after t+TTL-1s and not after t+TTL.
	Expires time.Time

	// Created and Modified are the revisions of the entry's creation and of
	// its last write, renewals included. Both are at least 1.
	Created, Modified Revision
}

// An EventType says what happened to an entry.
type EventType int

const (
	// EventPut: the entry was created, written or renewed.
	EventPut EventType = iota + 1
	// EventDelete: the entry was deleted by somebody.
	EventDelete
	// EventExpire: the entry's TTL ran out, as decided by the store.
	EventExpire
)

func (t EventType) String() string {
	switch t {
	case EventPut:
		return "put"
	case EventDelete:
		return "delete"
	case EventExpire:
		return "expire"
	}
	return "unknown"
}

// An Event is one change. For EventPut, Entry is the new state; for the
// others it is the last state before the end, its Modified included.
type Event struct {
	Type     EventType
	Entry    Entry
	Revision Revision // of the change
}

// A Listing is what a directory held at one revision.
type Listing struct {
	// Entries are those directly or deeper below the directory, ordered by
	// Created, the oldest first. Never nil-checked: empty means none.
	Entries []Entry

	// Revision is the revision of the store that the listing shows: every
	// change up to it is in, none after it.
	Revision Revision
}

// A Consistency says how fresh a read must be.
type Consistency int

const (
	// Linearizable reads see every write that was answered before the read
	// began. On a cluster of several v2 members that costs one raft entry,
	// shared by reads that run at the same time; elsewhere none.
	Linearizable Consistency = iota

	// Local reads are answered by one member from what it has applied, at no
	// cost, and may be old: compare their Revision with what you know.
	Local
)

// A Store is our view of etcd: entries below one prefix, guarded writes and
// watches. Keys are slash-separated paths of one or more segments; a segment
// is one or more of A-Z a-z 0-9 - and ~, so that none can be hidden, cleaned
// away or escape the prefix. A key has at most [MaxKey] bytes; a value is any
// UTF-8 of at most [MaxValue]. Anything else is ErrInvalid. On the v2 API a key
// cannot be an entry and have entries below it at once.
//
// A TTL of 0 means for ever. Others are whole seconds from one second to
// [MaxTTL]; fractions are rounded up.
//
// Every call gives up with ErrUnavailable within a few seconds when the store
// does not answer, or earlier with the context's error. A write whose reply
// was lost is read back: its effect is reported if it can be seen. All calls
// are safe for concurrent use.
type Store interface {
	// Get returns the entry of key, or ErrNotFound. With ErrNotFound the
	// Revision at which it was absent is lost; List tells it.
	Get(ctx context.Context, key string, c Consistency) (Entry, error)

	// List returns all entries below dir ("" = the whole prefix). A dir that
	// does not exist is an empty listing, not an error.
	List(ctx context.Context, dir string, c Consistency) (Listing, error)

	// Put writes key whatever is there. An existing entry keeps its Created
	// and gets the new TTL.
	Put(ctx context.Context, key, value string, ttl time.Duration) (Entry, error)

	// Create makes the entry if key has none. Else it returns ErrExists
	// together with the standing entry, which may have an older state than
	// the store's when it changes at that moment; the zero Entry if it went
	// away meanwhile. One conditional write: of several concurrent calls
	// exactly one creates. Values must be unique to the call (hold a random
	// nonce): that is how a lost reply is told from somebody else's entry.
	Create(ctx context.Context, key, value string, ttl time.Duration) (Entry, error)

	// Swap gives e a new value and TTL if it was not modified since
	// e.Modified, keeping e.Created. ErrChanged if it was, ErrNotFound if it
	// is gone or another creation. Values must be unique as for Create.
	Swap(ctx context.Context, e Entry, value string, ttl time.Duration) (Entry, error)

	// Renew gives the creation e a new TTL, counted from the store's
	// receipt, and keeps its value, whatever was written since e was read.
	// ErrNotFound if that creation is gone, even when another entry now has
	// its key. Watches see it as EventPut.
	Renew(ctx context.Context, e Entry, ttl time.Duration) (Entry, error)

	// Delete removes e if it was not modified since e.Modified. ErrChanged
	// and ErrNotFound as for Swap.
	Delete(ctx context.Context, e Entry) error

	// DeleteCreation removes the entry of key that was created at created,
	// however often it was modified since. ErrNotFound if that creation is
	// gone.
	DeleteCreation(ctx context.Context, key string, created Revision) error

	// Watch follows the changes below dir made after revision after. It
	// returns at once; what can fail fails in Next.
	Watch(dir string, after Revision) Watcher
}

// A Watcher hands out changes in the order of their revisions, each once. It
// is used by one goroutine at a time, and closed by it.
type Watcher interface {
	// Next waits for at least one change and returns all that are at hand.
	// ErrCompacted: changes were missed, list again and open a new watch.
	// ErrUnavailable: no contact; calling again goes on where it stopped.
	Next(ctx context.Context) ([]Event, error)

	// Close ends the watch. Next must not be called afterwards.
	Close() error
}

// A Pruner is a Store that keeps directories as things of their own, which
// stay behind when their last entry goes (the v2 API).
type Pruner interface {
	// Prune removes the directories directly below dir that are empty and
	// were empty at the call before as well, and returns how many. Each one
	// removed is one write.
	Prune(ctx context.Context, dir string) (int, error)
}
