package supervisor

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// gateTime is how long a start keeps others waiting at most. A plugin that takes
// longer waits for something itself, and no processor does.
const gateTime = startTimeout / 5

// A gate lets few starts be under way at a time. All of two hundred at once take
// turns at the processors until many have not come up in time; one after the
// other the last one is ready in the time that this takes.
type gate chan struct{}

// newGate makes one for this machine: more starts at a time than it has
// processors, since each waits now and then, but not many more.
func newGate() gate { return make(gate, 2*runtime.GOMAXPROCS(0)) }

// enter waits for a turn, which leave ends; it ends by itself after gateTime.
func (g gate) enter(ctx context.Context) (leave func(), err error) {
	select {
	case g <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	once := sync.OnceFunc(func() { <-g })
	t := time.AfterFunc(gateTime, once)
	return func() { t.Stop(); once() }, nil
}

// before puts the gate before launch, and has the time of a start begin behind
// it. A start after a crash does not wait: requests do.
func (g gate) before(launch launcher) launcher {
	return func(ctx context.Context, a attempt) (*process, error) {
		if !a.urgent {
			leave, err := g.enter(ctx)
			if err != nil {
				return nil, err
			}
			defer leave()
		}
		ctx, cancel := context.WithTimeout(ctx, startTimeout)
		defer cancel()
		return launch(ctx, a)
	}
}
