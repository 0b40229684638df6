// Package modules knows the host's modules, as their host tells them.
package modules

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk"
)

// A Host tells about its modules. [sdk.Modules] is one.
type Host interface {
	// Follow calls f with all modules, and again when something changes.
	Follow(ctx context.Context, f func([]sdk.ModuleStatus) error) error

	// Module returns one of them in detail.
	Module(ctx context.Context, name string) (sdk.ModuleDetail, error)
}

var _ Host = (*sdk.Modules)(nil)

// retry is the pause after the host did not answer.
const retry = time.Second

// A List is the host's listing, always up to date. The host sends what has
// changed, so that following it costs nothing while nothing does.
type List struct {
	host  Host
	state live.Var[State]
}

// A State is a listing.
type State struct {
	Modules []sdk.ModuleStatus          // sorted by name; nil before the host has told
	Details map[string]sdk.ModuleDetail // of each module whose detail has come
	Err     error                       // why there is nothing new at the moment
}

// NewList returns a list that is empty until Run.
func NewList(h Host) *List { return &List{host: h} }

// State returns the listing, and a channel that is closed when it changes.
func (l *List) State() (State, <-chan struct{}) { return l.state.Get() }

// Run follows the host until ctx ends.
func (l *List) Run(ctx context.Context) {
	for {
		err := l.host.Follow(ctx, func(list []sdk.ModuleStatus) error {
			l.take(ctx, list)
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		var answer *sdk.Error
		switch {
		case err == nil:
			err = sdk.NewError(sdk.CodeDraining, "the host has ended all modules")
		case !errors.As(err, &answer):
			err = sdk.NewError(sdk.CodeInternal, fmt.Sprintf("the host does not tell about its modules: %v", err))
		}
		old, _ := l.state.Get()
		l.state.Set(State{Modules: old.Modules, Details: old.Details, Err: err})
		select {
		case <-time.After(retry):
		case <-ctx.Done():
			return
		}
	}
}

// take shows a new listing, and then asks for the details of what is new in it:
// how processes ended is told only there.
func (l *List) take(ctx context.Context, list []sdk.ModuleStatus) {
	old, _ := l.state.Get()
	l.state.Set(State{Modules: list, Details: old.Details})
	details := make(map[string]sdk.ModuleDetail, len(list))
	asked := false
	for _, m := range list {
		d, known := old.Details[m.Name]
		if !known || d.State != m.State || d.PID != m.PID || d.Restarts != m.Restarts || !d.Since.Equal(m.Since) {
			asked = true
			if now, err := l.host.Module(ctx, m.Name); err == nil {
				d, known = now, true
			}
		}
		if known {
			details[m.Name] = d
		}
	}
	if asked || len(details) != len(old.Details) {
		l.state.Set(State{Modules: list, Details: details})
	}
}
