package supervisor

import (
	"context"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
)

// An Arrival is what the listener knows about a request and a module has to
// be told.
type Arrival struct {
	RequestID string    // made by the host, unique for ever
	Mount     string    // the one that matched
	Received  time.Time // when the head had been read
	Access    wire.Access
}

type arrivalKey struct{}

// WithArrival returns ctx for a request that is given to
// [Supervisor.Handler].
func WithArrival(ctx context.Context, a *Arrival) context.Context {
	return context.WithValue(ctx, arrivalKey{}, a)
}

// arrivalOf returns what WithArrival put in. Without it the handler is used
// in a way that the documentation of Handler rules out.
func arrivalOf(ctx context.Context) *Arrival {
	return ctx.Value(arrivalKey{}).(*Arrival)
}
