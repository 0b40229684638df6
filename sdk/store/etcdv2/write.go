package etcdv2

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/client/v2"

	"github.com/etcd-modules/modhost/sdk/store"
)

// maxUnknown is how many lost replies a guarded write takes before it gives
// up, so that a server which fails at once isn't asked in a tight loop.
const maxUnknown = 3

// Put implements [store.Store]. A v2 PUT without a guard would make a new
// creation, so it is a read, which costs no raft entry, and a guarded write.
func (s *Store) Put(ctx context.Context, key, value string, ttl time.Duration) (store.Entry, error) {
	return s.result(ctx, "put", key, value, ttl, func(ctx context.Context, ttl time.Duration) (store.Entry, error) {
		for c := store.Local; ; c = store.Linearizable {
			e, err := s.get(ctx, key, c)
			switch {
			case err == nil:
				e, err = s.swap(ctx, e, value, ttl)
			case errors.Is(err, store.ErrNotFound):
				e, err = s.create(ctx, key, value, ttl)
			}
			if err == nil || !lostRace(err) {
				return e, err
			}
		}
	})
}

func lostRace(err error) bool {
	return errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrChanged) || errors.Is(err, store.ErrNotFound)
}

// Create implements [store.Store]. Only a create that surely was not sent is
// tried on another endpoint: two copies under way could create twice, with a
// delete in between.
func (s *Store) Create(ctx context.Context, key, value string, ttl time.Duration) (store.Entry, error) {
	return s.result(ctx, "create", key, value, ttl, func(ctx context.Context, ttl time.Duration) (store.Entry, error) {
		return s.create(ctx, key, value, ttl)
	})
}

func (s *Store) create(ctx context.Context, key, value string, ttl time.Duration) (store.Entry, error) {
	e, err := s.set(ctx, key, value, client.SetOptions{PrevExist: client.PrevNoExist, TTL: ttl})
	switch {
	case err == nil:
		return e, nil
	case code(err) == client.ErrorCodeNodeExist: // carries no node, only an index
		var refused client.Error
		errors.As(err, &refused)
		st, err := s.fetchAt(ctx, s.path(key), store.Revision(refused.Index))
		if err != nil {
			return store.Entry{}, err
		}
		if st.node != nil && st.node.Dir {
			return store.Entry{}, fmt.Errorf("there are entries below the key: %w", store.ErrInvalid)
		}
		e, _ := s.entryOf(st)
		return e, store.ErrExists
	case !errors.Is(err, errUnknown):
		return store.Entry{}, err
	}
	if !s.unique {
		return store.Entry{}, err
	}
	if now, back := s.get(ctx, key, store.Linearizable); back == nil && now.Value == value {
		return now, nil
	}
	return store.Entry{}, err // it may still arrive, also when another one stands there now
}

// Swap implements [store.Store].
func (s *Store) Swap(ctx context.Context, e store.Entry, value string, ttl time.Duration) (store.Entry, error) {
	if err := s.checkEntry(e); err != nil {
		return store.Entry{}, err
	}
	return s.result(ctx, "swap", e.Key, value, ttl, func(ctx context.Context, ttl time.Duration) (store.Entry, error) {
		return s.swap(ctx, e, value, ttl)
	})
}

// swap may send several copies after lost replies: their guard lets one
// through at the most.
func (s *Store) swap(ctx context.Context, e store.Entry, value string, ttl time.Duration) (store.Entry, error) {
	var lost error
	for unknown := 0; ; {
		n, err := s.compareAndSwap(ctx, e, value, ttl)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, errUnknown) && unknown < maxUnknown:
			unknown, lost = unknown+1, err
		case code(err) != client.ErrorCodeTestFailed:
			return store.Entry{}, err
		}
		now, back := s.standing(ctx, e, err)
		switch {
		case back != nil:
			return store.Entry{}, back
		case now.Modified == e.Modified: // not applied
		case unknown > 0 && now.Value == value && s.unique:
			return now, nil
		case unknown > 0 && now.Value == value:
			return store.Entry{}, lost // somebody else may have written the same
		default:
			return store.Entry{}, store.ErrChanged
		}
	}
}

// Renew implements [store.Store]. It costs one raft entry if e is up to date,
// two if not.
func (s *Store) Renew(ctx context.Context, e store.Entry, ttl time.Duration) (store.Entry, error) {
	if err := s.checkEntry(e); err != nil {
		return store.Entry{}, err
	}
	return s.result(ctx, "renew", e.Key, e.Value, ttl, func(ctx context.Context, ttl time.Duration) (store.Entry, error) {
		// The value is not unique here, so a lost reply is never taken for a
		// success: another renewal follows, guarded by what is read back.
		for now, unknown := e, 0; ; {
			n, err := s.compareAndSwap(ctx, now, now.Value, ttl)
			switch {
			case err == nil:
				return n, nil
			case errors.Is(err, errUnknown) && unknown < maxUnknown:
				unknown++
			case code(err) != client.ErrorCodeTestFailed:
				return store.Entry{}, err
			}
			if now, err = s.standing(ctx, e, err); err != nil {
				return store.Entry{}, err
			}
		}
	})
}

// Delete implements [store.Store]. After a lost reply an entry that is gone
// counts as deleted by this call.
func (s *Store) Delete(ctx context.Context, e store.Entry) error {
	if err := s.checkEntry(e); err != nil {
		return err
	}
	return call(ctx, "delete", e.Key, func(ctx context.Context) error {
		_, err := s.remove(ctx, e)
		return err
	})
}

// DeleteCreation implements [store.Store]. It begins with a plain read; only
// what a member of a cluster does not know yet is read by quorum.
func (s *Store) DeleteCreation(ctx context.Context, key string, created store.Revision) error {
	if err := s.check(key); err != nil {
		return err
	}
	return call(ctx, "delete", key, func(ctx context.Context) error {
		var unsure bool
		for c := store.Local; ; c = store.Linearizable {
			e, err := s.get(ctx, key, c)
			if err == nil && e.Created == created {
				var lost bool
				if lost, err = s.remove(ctx, e); !errors.Is(err, store.ErrChanged) {
					return err
				}
				unsure = unsure || lost
				continue
			}
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			if c == store.Linearizable {
				if unsure {
					return nil
				}
				return store.ErrNotFound
			}
		}
	})
}

// remove deletes e if it is unchanged; lost tells whether a reply was lost.
func (s *Store) remove(ctx context.Context, e store.Entry) (lost bool, err error) {
	for unknown := 0; ; {
		_, err := s.write(ctx, func(ctx context.Context, ep *endpoint) (*client.Response, error) {
			return ep.keys.Delete(ctx, s.path(e.Key), &client.DeleteOptions{PrevIndex: uint64(e.Modified)})
		})
		switch {
		case err == nil:
			return lost, nil
		case errors.Is(err, store.ErrNotFound) && lost:
			return lost, nil
		case errors.Is(err, errUnknown) && unknown < maxUnknown:
			unknown, lost = unknown+1, true
		case code(err) != client.ErrorCodeTestFailed:
			return lost, err
		}
		now, back := s.standing(ctx, e, err)
		switch {
		case errors.Is(back, store.ErrNotFound) && lost:
			return lost, nil
		case back != nil:
			return lost, back
		case now.Modified != e.Modified:
			return lost, store.ErrChanged
		}
	}
}

// standing reads the creation that e is of after a write failed by err.
func (s *Store) standing(ctx context.Context, e store.Entry, err error) (store.Entry, error) {
	now, back := s.get(ctx, e.Key, store.Linearizable)
	switch {
	case errors.Is(back, store.ErrNotFound):
		return store.Entry{}, back
	case back != nil:
		return store.Entry{}, err
	case now.Created != e.Created:
		return store.Entry{}, store.ErrNotFound
	}
	return now, nil
}

func (s *Store) compareAndSwap(ctx context.Context, e store.Entry, value string, ttl time.Duration) (store.Entry, error) {
	return s.set(ctx, e.Key, value, client.SetOptions{PrevIndex: uint64(e.Modified), TTL: ttl})
}

func (s *Store) set(ctx context.Context, key, value string, opts client.SetOptions) (store.Entry, error) {
	resp, err := s.write(ctx, func(ctx context.Context, ep *endpoint) (*client.Response, error) {
		return ep.keys.Set(ctx, s.path(key), value, &opts)
	})
	if err != nil {
		return store.Entry{}, err
	}
	e, _ := s.entry(resp.Node, fresh())
	return e, nil
}

// result is call for the writes that have an entry as their result.
func (s *Store) result(ctx context.Context, op, key, value string, ttl time.Duration,
	f func(context.Context, time.Duration) (store.Entry, error)) (e store.Entry, err error) {
	if err := s.check(key); err != nil {
		return store.Entry{}, err
	}
	if err := store.CheckValue(value); err != nil {
		return store.Entry{}, err
	}
	ttl, err = store.RoundTTL(ttl)
	if err != nil {
		return store.Entry{}, err
	}
	err = call(ctx, op, key, func(ctx context.Context) (err error) {
		e, err = f(ctx, ttl)
		return err
	})
	return e, err
}
