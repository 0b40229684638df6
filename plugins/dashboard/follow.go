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

// whole returns a source of a topic that is always sent as a whole: what show
// returns, again when that may have changed and did. nil is not sent. An error
// is sent in its place.
func whole(show func(context.Context) (any, live.Changes, error)) live.Source {
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
			if err := on.Wait(ctx, pause, nil); err != nil {
				return err
			}
		}
	}
}

// constant is the source of a topic that never changes.
func constant(data any) live.Source {
	return whole(func(context.Context) (any, live.Changes, error) { return data, live.Changes{}, nil })
}
