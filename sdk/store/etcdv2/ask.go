package etcdv2

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"go.etcd.io/etcd/client/v2"

	"github.com/etcd-modules/modhost/sdk/store"
)

// callTimeout bounds a call of the store, repeats and reading back included.
const callTimeout = 4 * time.Second

var (
	// errUnknown is inside the error of a write that may have been applied.
	errUnknown = errors.New("outcome unknown")

	// errUnsent is inside the error of a request that came too late.
	errUnsent = errors.New("not sent")
)

type request func(context.Context, *endpoint) (*client.Response, error)

// read sends r to one endpoint after the other until one answers, each with
// its share of the time that is left.
func (s *Store) read(ctx context.Context, r request) (*client.Response, error) {
	return s.ask(ctx, r, 0, func(error) bool { return true })
}

// write sends r to one endpoint after the other until one may have got it. It
// keeps a share of the time for reading back.
func (s *Store) write(ctx context.Context, r request) (*client.Response, error) {
	resp, err := s.ask(ctx, r, 1, unsent)
	if err != nil && !answered(err) && !unsent(err) {
		err = fmt.Errorf("%w: %w", errUnknown, err)
	}
	return resp, err
}

func (s *Store) ask(ctx context.Context, r request, reserve int, again func(error) bool) (*client.Response, error) {
	// Calls wait here rather than in the transport, where each would hold
	// goroutines and buffers already.
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errUnsent, ctx.Err())
	}
	first := int(s.first.Load())
	for i := 0; ; i++ {
		n := (first + i) % len(s.endpoints)
		resp, err := s.once(ctx, n, len(s.endpoints)-i+reserve, r)
		if answered(err) || ctx.Err() != nil {
			return resp, err
		}
		s.avoid(n)
		if i == len(s.endpoints)-1 || !again(err) {
			return nil, err
		}
	}
}

// once gives endpoint n the given part of the time left.
func (s *Store) once(ctx context.Context, n, part int, r request) (*client.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnsent, err) // client/v2 might send it all the same
	}
	if deadline, ok := ctx.Deadline(); ok && part > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(part))
		defer cancel()
	}
	resp, err := r(ctx, s.endpoints[n])
	var refused client.Error
	switch {
	case err == nil:
		s.note(resp.Index)
		return resp, nil
	case errors.As(err, &refused):
		s.note(refused.Index)
		return nil, explain(refused)
	}
	var several *client.ClusterError // never several here, and it does not unwrap
	if errors.As(err, &several) && len(several.Errors) > 0 {
		err = several.Errors[0]
	}
	return nil, fmt.Errorf("%s: %w", s.endpoints[n].url, err)
}

// avoid lets the next calls begin with another endpoint than n.
func (s *Store) avoid(n int) {
	s.first.CompareAndSwap(int64(n), int64((n+1)%len(s.endpoints)))
	s.size.forget()
}

// answered tells whether err (or nil) is a verdict of etcd's store. The codes
// from 300 to 399 are raft's: it could not reach one.
func answered(err error) bool {
	c := code(err)
	return err == nil || c != 0 && (c < 300 || c >= 400)
}

// unsent tells whether etcd can't have applied what err is about.
func unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" || errors.Is(err, errNoV2) || errors.Is(err, errUnsent)
}

// code returns etcd's error code in err, or 0.
func code(err error) int {
	var e client.Error
	errors.As(err, &e)
	return e.Code
}

// explain gives a verdict the sentinel or the words that it deserves.
func explain(e client.Error) error {
	switch e.Code {
	case client.ErrorCodeKeyNotFound:
		return fmt.Errorf("%w: %w", store.ErrNotFound, e)
	case client.ErrorCodeNotFile:
		return fmt.Errorf("there are entries below the key: %w: %w", store.ErrInvalid, e)
	case client.ErrorCodeNotDir:
		return fmt.Errorf("there is an entry above the key: %w: %w", store.ErrInvalid, e)
	case client.ErrorCodeUnauthorized:
		return fmt.Errorf("etcd does not let us in: %w; check the user, its password and its role's permissions for the prefix", e)
	case client.ErrorCodeWatcherCleared, client.ErrorCodeEventIndexCleared:
		return fmt.Errorf("%w: %w", store.ErrCompacted, e)
	}
	return e
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }
