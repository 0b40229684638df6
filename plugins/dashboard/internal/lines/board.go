// Package lines keeps the lines of locks and elections in view: who holds, who
// waits, and how that has changed since the dashboard began. A [Board] does so
// for some modules, whose lines it takes for of one kind.
package lines

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk/queue"
	"github.com/etcd-modules/modhost/sdk/store"
)

// A Board shows the lines of some modules, with a history. It works all the
// time, since what nobody has looked at has no history. Safe for concurrent use.
type Board struct {
	modules []module // in the order in which they were named
	history history
	counts  live.Var[Counts]
	stop    context.CancelFunc
	running sync.WaitGroup
}

type module struct {
	name string
	view *queue.View
}

// Counts are of all lines of a board.
type Counts struct {
	Held    int `json:"held"`
	Waiting int `json:"waiting"` // places that do not hold
}

// pause is the least time between two messages about the same. What comes
// meanwhile comes together.
const pause = 150 * time.Millisecond

// NewBoard shows the lines of the modules of these names, whose stores it opens
// by open. It works until Close.
func NewBoard(modules []string, open func(module string) (store.Store, error)) (*Board, error) {
	b := &Board{history: newHistory(time.Now())}
	for _, name := range modules {
		s, err := open(name)
		if err != nil {
			return nil, fmt.Errorf("lines of module %q: %w", name, err)
		}
		b.modules = append(b.modules, module{name, queue.NewView(s)})
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	for _, m := range b.modules {
		b.running.Go(func() { m.view.Run(ctx) })                                                             //nolint:errcheck // ctx's own
		b.running.Go(func() { m.view.Follow(ctx, func(u queue.Update) error { return b.note(ctx, m, u) }) }) //nolint:errcheck // likewise
	}
	return b, nil
}

// Close ends it.
func (b *Board) Close() {
	b.stop()
	b.running.Wait()
}

// Counts returns a variable with the counts, which change at most every
// 150 milliseconds for each module.
func (b *Board) Counts() *live.Var[Counts] { return &b.counts }

// note takes what is new of m into the history and the counts.
func (b *Board) note(ctx context.Context, m module, u queue.Update) error {
	b.history.add(m.name, u.Endings, u.Missed)
	if u.All || len(u.Lines) > 0 {
		var sum Counts
		for _, m := range b.modules {
			c := m.view.Census()
			sum.Held += c.Held
			sum.Waiting += c.Waiting
		}
		b.counts.Set(sum)
	}
	return rest(ctx)
}

// rest returns after pause, or ctx's error.
func rest(ctx context.Context) error {
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// module finds one by its name.
func (b *Board) module(name string) (module, bool) {
	for _, m := range b.modules {
		if m.name == name {
			return m, true
		}
	}
	return module{}, false
}
