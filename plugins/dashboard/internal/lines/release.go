package lines

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/queue"
	"github.com/etcd-modules/modhost/sdk/store"
)

// An Order takes a place out of its line by force.
type Order struct {
	Module  string `json:"module"`
	Name    string `json:"name"`
	Index   string `json:"index"`
	Waiting bool   `json:"waiting"` // it waits; else it holds. If that is not so any more, nothing is done
}

// releaseTime is how long an order may take.
const releaseTime = 10 * time.Second

// Release does what o says. By tells others who has done so. An [sdk.Error], or
// an error as by [queue.View.Force]; what is not in line any more is
// [queue.ErrNotInLine].
func (b *Board) Release(ctx context.Context, o Order, by string) error {
	m, index, err := b.find(o.Module, o.Index)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	err = m.view.Force(ctx, o.Name, queue.Place{Index: index, Held: !o.Waiting}, by)
	if errors.Is(err, store.ErrChanged) {
		is := "does not hold any more, but waits"
		if o.Waiting {
			is = "holds by now, and does not wait any more"
		}
		return sdk.NewError(sdk.CodeChanged, fmt.Sprintf("index %d %s; nothing was done: look again", index, is))
	}
	return err
}

// Value returns the whole value of a place.
func (b *Board) Value(module, name, index string) (string, error) {
	m, n, err := b.find(module, index)
	if err != nil {
		return "", err
	}
	p, ok := place(m.view, name, n)
	if !ok {
		return "", fmt.Errorf("index %d: %w", n, queue.ErrNotInLine)
	}
	return p.Value, nil
}

// find reads what names a place.
func (b *Board) find(name, index string) (module, store.Revision, error) {
	m, ok := b.module(name)
	if !ok {
		return m, 0, sdk.NewError(sdk.CodeRequestInvalid, fmt.Sprintf("the lines of module %.80q are not shown here", name))
	}
	n, err := strconv.ParseUint(index, 10, 64)
	if err != nil || n == 0 {
		return m, 0, sdk.NewError(sdk.CodeRequestInvalid, fmt.Sprintf("index %.40q is no index: give that of a place, as text", index))
	}
	return m, store.Revision(n), nil
}

func place(v *queue.View, name string, index store.Revision) (queue.Place, bool) {
	l, _ := v.Line(name)
	for _, p := range l.Places {
		if p.Index == index {
			return p, true
		}
	}
	return queue.Place{}, false
}
