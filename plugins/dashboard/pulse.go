package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/plugins/dashboard/internal/pulse"
	"github.com/etcd-modules/modhost/sdk"
)

// A background is goroutines that end together.
type background struct {
	end     context.CancelFunc
	running sync.WaitGroup
}

// start runs each of these until close.
func (b *background) start(runs ...func(context.Context)) {
	ctx, end := context.WithCancel(context.Background())
	b.end = end
	for _, run := range runs {
		b.running.Go(func() { run(ctx) })
	}
}

// close ends them. It may be called without start.
func (b *background) close() {
	if b.end != nil {
		b.end()
	}
	b.running.Wait()
}

// A heart is the area of the topic pulse, which the hub puts into every stream.
type heart struct {
	background
	pulse *pulse.Pulse
}

func newHeart(env *sdk.Env, hub *live.Hub) *heart {
	h := &heart{pulse: &pulse.Pulse{Store: env.Store, Streams: hub.Streams}}
	if env.Store != nil {
		h.start(h.pulse.Run)
	}
	return h
}

func (h *heart) routes(*http.ServeMux) {}

func (h *heart) source(string, string) live.Source { return nil }

// A beat tells that the stream lives, what time it is here, and whether etcd
// answers.
type beat struct {
	Now   int64  `json:"now"`   // Unix milliseconds
	Store string `json:"store"` // why it does not answer; "" if it does
	Since int64  `json:"since"` // Unix milliseconds: when it was last known to answer; else since when it has
}

// beat returns what is told now, and a channel that is closed when that must
// not wait for the next second.
func (h *heart) beat() (any, <-chan struct{}) {
	state, changed := h.pulse.State()
	b := beat{Now: time.Now().UnixMilli(), Store: state.Why}
	if !state.Since.IsZero() {
		b.Since = state.Since.UnixMilli()
	}
	return b, changed
}
