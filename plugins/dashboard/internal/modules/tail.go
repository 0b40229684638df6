package modules

import (
	"context"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk"
)

// mostLines is how many lines of a log are sent and shown.
const mostLines = 200

// gather is how long lines are collected before they are sent.
const gather = 100 * time.Millisecond

// A Line is one of a log, as browsers get it.
type Line struct {
	At    int64  `json:"t"` // Unix milliseconds
	Level string `json:"level"`
	Text  string `json:"text"`
}

// Lines are those that have come since the last ones.
type Lines struct {
	All   bool   `json:"all,omitempty"` // they are all there are
	Lines []Line `json:"lines"`
}

// Tail returns a source of the last lines of a module's log and those that
// come. logs calls f with each. A browser that is slow misses some.
func Tail(logs func(ctx context.Context, f func(sdk.LogLine) error) error) live.Source {
	return func(ctx context.Context, send func(any) error) error {
		ctx, end := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer end()
		var mu sync.Mutex // guards lines and err
		lines := []Line{}
		var err error
		news := make(chan struct{}, 1)
		tell := func() {
			select {
			case news <- struct{}{}:
			default:
			}
		}
		running.Go(func() {
			e := logs(ctx, func(l sdk.LogLine) error {
				mu.Lock()
				defer mu.Unlock()
				lines = append(lines, Line{l.Time.UnixMilli(), l.Level, l.Text})
				if n := len(lines) - mostLines; n > 0 {
					lines = append([]Line(nil), lines[n:]...)
				}
				tell()
				return nil
			})
			mu.Lock()
			defer mu.Unlock()
			if e == nil {
				e = sdk.NewError(sdk.CodeModuleDisabled, "the host has ended the log")
			}
			err = e
			tell()
		})
		for first := true; ; first = false {
			// Those of the past come one by one.
			select {
			case <-time.After(gather):
			case <-ctx.Done():
				return ctx.Err()
			}
			mu.Lock()
			out, over := lines, err
			lines = []Line{}
			mu.Unlock()
			if first && over == nil || len(out) > 0 {
				if err := send(Lines{All: first, Lines: out}); err != nil {
					return err
				}
			}
			if over != nil {
				return over
			}
			select {
			case <-news:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}
