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

// before puts the gate before launch, and has the time of a start begin behind
// it. A start after a crash does not wait: requests do.
func (g gate) before(launch launcher) launcher {
	return func(ctx context.Context, a attempt) (*process, error) {
		if !a.urgent {
			select {
			case g <- struct{}{}:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			leave := sync.OnceFunc(func() { <-g })
			defer leave()
			defer time.AfterFunc(gateTime, leave).Stop()
		}
		ctx, cancel := context.WithTimeout(ctx, startTimeout)
		defer cancel()
		return launch(ctx, a)
	}
}
