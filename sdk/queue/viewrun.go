package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

const (
	// lookEvery is how often a view asks whether the store is there, and
	// lookTime how long that may take: together, how long a view seems true that
	// is not. Every lookTruly-th time the answer must be that of the whole
	// cluster: a member that is cut off from the others answers, too. It may take
	// longer, as the driver asks one member after the other.
	lookEvery     = 750 * time.Millisecond
	lookTime      = time.Second
	lookTruly     = 8
	lookTrulyTime = 5 * time.Second

	// listEvery is the least time between two listings, should the store be
	// faster than the watch.
	listEvery = time.Second
)

// Run keeps the view true until ctx ends, and returns ctx's error. While the
// store is out of reach the view stays as it was, and [Contact] says so. It is
// called once.
func (v *View) Run(ctx context.Context) error {
	var pause backoff
	var listed time.Time // zero: it has to be
	for {
		var err error
		if listed.IsZero() {
			began := time.Now()
			if err = v.list(ctx); err == nil {
				listed = began
			}
		}
		if err == nil {
			pause.reset()
			err = v.watch(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, store.ErrCompacted):
			if !sleep(ctx, listEvery-time.Since(listed)) {
				return ctx.Err()
			}
			listed = time.Time{}
			continue
		}
		v.lost(err)
		if !pause.wait(ctx) {
			return ctx.Err()
		}
	}
}

// list reads everything anew.
func (v *View) list(ctx context.Context) error {
	asked := time.Now()
	list, err := v.store.List(ctx, "", store.Linearizable)
	if err == nil {
		err = v.fresh(list.Revision)
	}
	if err != nil {
		return err
	}
	v.load(list)
	v.seen(asked)
	return nil
}

// fresh returns an error if rev is of a member that lags behind what was seen.
func (v *View) fresh(rev store.Revision) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if rev < v.rev {
		return fmt.Errorf("answer of revision %d, older than what was seen at %d: %w", rev, v.rev, store.ErrUnavailable)
	}
	return nil
}

// watch applies changes until the watch can't go on or the store is out of
// reach, and returns why.
func (v *View) watch(ctx context.Context) error {
	// That the store answers does not mean yet that the watch will go on.
	if _, err := v.look(ctx, store.Local, lookTime); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var looking sync.WaitGroup
	defer looking.Wait()
	defer cancel(nil)
	looking.Go(func() { cancel(v.keepLooking(ctx)) })

	v.mu.Lock()
	w := v.store.Watch("", v.rev)
	v.mu.Unlock()
	defer w.Close() //nolint:errcheck // nothing of ours depends on it
	for {
		events, err := w.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		}
		for _, ev := range events {
			v.apply(ev)
		}
	}
}

// keepLooking returns why the store is out of reach, or nil when ctx ends.
func (v *View) keepLooking(ctx context.Context) error {
	for n := 1; sleep(ctx, lookEvery); n++ {
		c, limit := store.Local, lookTime
		if n%lookTruly == 0 {
			c, limit = store.Linearizable, lookTrulyTime
		}
		asked, err := v.look(ctx, c, limit)
		if err != nil {
			return err
		}
		v.seen(asked)
	}
	return nil
}

// look asks whether the store is there, by the smallest listing that there is,
// and returns when it did.
func (v *View) look(ctx context.Context, c store.Consistency, limit time.Duration) (asked time.Time, err error) {
	short, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	asked = time.Now()
	list, err := v.store.List(short, forcedDir, c)
	switch {
	case err == nil:
		err = v.fresh(list.Revision)
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("no answer within %s: %w", limit, store.ErrUnavailable)
	}
	// After a late answer the watch is not to be trusted: the member behind it may
	// be cut off from the others, and the driver has asked another one.
	if took := time.Since(asked); err == nil && took > lookTime {
		err = fmt.Errorf("answered only after %s: %w", took.Round(time.Millisecond), store.ErrUnavailable)
	}
	return asked, err
}

// seen notes that the view was true at that time.
func (v *View) seen(at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.touch(Contact{Seen: at})
}

// lost notes why the view may not be true any more.
func (v *View) lost(why error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.touch(Contact{Seen: v.contact.Seen, Err: why})
}
