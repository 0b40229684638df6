package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// A ConflictError says that what an order is about is not as the one who gave it
// has seen it. Nothing was changed.
type ConflictError struct {
	Why     string
	Current *Node // as it stands now; nil if it does not
}

func (e *ConflictError) Error() string { return e.Why }

// An UnknownError says that an order may have been carried out or not, or may be
// yet: the store's answer was lost. Look before you give it again.
type UnknownError struct{ Err error }

func (e *UnknownError) Error() string { return e.Err.Error() }
func (e *UnknownError) Unwrap() error { return e.Err }

// A TTL is the time to live that is asked for.
type TTL struct {
	Keep    bool  // until when it would have lived anyway
	Seconds int64 // 0: for ever
}

// Save gives the entry of key another value, if it was not modified after the
// revision that is given. A value that may be damaged is refused: see
// [store.Damaged].
func (x *Index) Save(ctx context.Context, key, value string, modified store.Revision, ttl TTL) (*Node, error) {
	if err := checkValue(value); err != nil {
		return nil, err
	}
	now, err := x.standing(ctx, key, modified, false)
	if err != nil {
		return nil, err
	}
	end := x.ends.of(now)
	left, err := ttl.left(end)
	if err != nil {
		return nil, err
	}
	e, err := x.tree.Swap(ctx, now.Entry, value, left)
	if err != nil {
		return nil, x.writeError(ctx, key, err)
	}
	if ttl.Keep {
		x.ends.put(e, end)
	}
	return showNode(store.Node{Entry: e}, 0), nil
}

// Create makes an entry that is not there yet, and the directories above it.
func (x *Index) Create(ctx context.Context, key, value string, ttl TTL) (*Node, error) {
	if err := checkValue(value); err != nil {
		return nil, err
	}
	left, err := ttl.left(time.Time{})
	if err != nil {
		return nil, err
	}
	e, err := x.tree.Create(ctx, key, value, left)
	if err != nil {
		return nil, x.writeError(ctx, key, err)
	}
	return showNode(store.Node{Entry: e}, 0), nil
}

// MakeDir makes a directory that is not there yet, and those above it.
func (x *Index) MakeDir(ctx context.Context, key string, ttl TTL) (*Node, error) {
	left, err := ttl.left(time.Time{})
	if err != nil {
		return nil, err
	}
	n, err := x.tree.MakeDir(ctx, key, left)
	if err != nil {
		return nil, x.writeError(ctx, key, err)
	}
	return showNode(n, 0), nil
}

// Delete removes an entry, or a directory that is empty, if it was not modified
// after the revision that is given.
func (x *Index) Delete(ctx context.Context, key string, modified store.Revision) error {
	n, err := x.standing(ctx, key, modified, true)
	if err != nil {
		return err
	}
	if n.Dir {
		err = x.tree.RemoveDir(ctx, key)
	} else {
		err = x.tree.Delete(ctx, n.Entry)
	}
	if err != nil {
		return x.writeError(ctx, key, err)
	}
	return nil
}

// standing reads key, and compares it with what was seen.
func (x *Index) standing(ctx context.Context, key string, modified store.Revision, dirs bool) (store.Node, error) {
	if key == "" {
		return store.Node{}, fmt.Errorf("the root stays as it is: %w", store.ErrInvalid)
	}
	n, err := x.tree.Node(ctx, key, store.Linearizable)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return n, &ConflictError{Why: fmt.Sprintf("%q is not there any more", "/"+key)}
	case err != nil:
		return n, err
	case n.Dir && !dirs:
		return n, &ConflictError{Why: fmt.Sprintf("%q is a directory now", "/"+key), Current: showNode(n, 0)}
	case n.Modified != modified:
		return n, &ConflictError{Why: fmt.Sprintf("%q was changed after index %d; it is at %d", "/"+key, modified, n.Modified), Current: showNode(n, 0)}
	}
	return n, nil
}

// writeError is what a write of key has come to.
func (x *Index) writeError(ctx context.Context, key string, err error) error {
	switch {
	case errors.Is(err, store.ErrUnavailable), ctx.Err() != nil:
		return &UnknownError{err}
	case errors.Is(err, store.ErrChanged), errors.Is(err, store.ErrExists), errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrNotEmpty):
		c := &ConflictError{Why: err.Error()}
		if n, err := x.tree.Node(ctx, key, store.Linearizable); err == nil {
			c.Current = showNode(n, 0)
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return c
	}
	return err
}

func checkValue(value string) error {
	if store.Damaged(value) {
		return fmt.Errorf("the value has the character U+FFFD, which etcd's v2 API gives for bytes that are not UTF-8; writing it would make that loss permanent: %w", store.ErrInvalid)
	}
	return store.CheckValue(value)
}

// left is the TTL to write. Keeping means the nearest whole second.
func (t TTL) left(end time.Time) (time.Duration, error) {
	switch {
	case t.Keep && end.IsZero():
		return 0, nil
	case t.Keep:
		return max(time.Second, time.Until(end).Round(time.Second)), nil
	case t.Seconds < 0 || t.Seconds > int64(store.MaxTTL/time.Second):
		return 0, fmt.Errorf("a TTL of %d s is not between 0 and %d: %w", t.Seconds, int64(store.MaxTTL/time.Second), store.ErrInvalid)
	}
	return time.Duration(t.Seconds) * time.Second, nil
}

// ends are the times at which entries should end that were saved with their TTL
// kept. A TTL is whole seconds, so each saving moves the real end by up to half a
// second; without this, saving again and again would add that up.
type ends struct {
	mu   sync.Mutex // guards kept
	kept map[string]keptEnd
}

type keptEnd struct {
	modified store.Revision // of the saving
	end      time.Time
}

const maxEnds = 1000

// of returns when n should end; zero: never.
func (e *ends) of(n store.Node) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if k := e.kept[n.Key]; k.modified == n.Modified {
		return k.end
	}
	return n.Expires
}

func (e *ends) put(n store.Entry, end time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.kept) >= maxEnds {
		e.kept = nil // it would take long to add up again
	}
	if e.kept == nil {
		e.kept = make(map[string]keptEnd)
	}
	e.kept[strings.Clone(n.Key)] = keptEnd{n.Modified, end}
}
