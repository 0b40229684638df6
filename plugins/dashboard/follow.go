package main

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
)

// pause is the least between two sendings of a topic that is sent as a whole.
const pause = 200 * time.Millisecond

// changes are channels one of which is closed when something has changed. nil
// ones never are.
type changes [4]<-chan struct{}

// whole returns a source of a topic that is always sent as a whole: what show
// returns, again when that may have changed and did. nil is not sent. An error
// is sent in its place.
func whole(show func(context.Context) (any, changes, error)) live.Source {
	return func(ctx context.Context, send func(any) error) error {
		var last []byte
		for {
			data, on, err := show(ctx)
			if err != nil {
				return err
			}
			if data != nil {
				text, err := json.Marshal(data)
				if err != nil {
					return err
				}
				if !bytes.Equal(text, last) {
					if err := send(json.RawMessage(text)); err != nil {
						return err
					}
					last = text
				}
			}
			if err := on.wait(ctx); err != nil {
				return err
			}
		}
	}
}

// wait returns after one of them, and a pause at least; with ctx's error if that
// ends.
func (on changes) wait(ctx context.Context) error {
	earliest := time.NewTimer(pause)
	defer earliest.Stop()
	select {
	case <-on[0]:
	case <-on[1]:
	case <-on[2]:
	case <-on[3]:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-earliest.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// constant is the source of a topic that never changes.
func constant(data any) live.Source {
	return whole(func(context.Context) (any, changes, error) { return data, changes{}, nil })
}
