package wire

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How often TrimIdle looks, and what it takes for a process to be idle and
// worth the collection: little allocated since the last look, much since the
// last collection.
const (
	trimEvery   = 5 * time.Second
	trimQuiet   = 4 << 20
	trimGarbage = 8 << 20
)

// TrimIdle returns memory to the system when the process has become idle,
// until ctx ends. After a burst, such as a thousand requests that come to wait
// at once, the Go runtime keeps the garbage until the next collection, which an
// idle process has no reason to make. A busy process is never touched. Host
// and plugins both run it.
//
// While nothing is allocated it reads one counter every five seconds.
func TrimIdle(ctx context.Context) {
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	t := trimmer{
		allocated: func() uint64 {
			metrics.Read(samples)
			return samples[0].Value.Uint64()
		},
		trim: func() {
			// Each collection halves stacks that are mostly unused, and those
			// of waiting goroutines were grown on their way to waiting.
			runtime.GC()
			runtime.GC()
			debug.FreeOSMemory()
		},
	}
	t.run(ctx)
}

// trimmer is TrimIdle without the runtime.
type trimmer struct {
	allocated func() uint64 // bytes since the process began
	trim      func()
}

func (t trimmer) run(ctx context.Context) {
	last, trimmed := t.allocated(), uint64(0)
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := t.allocated()
		if now-last < trimQuiet && now-trimmed > trimGarbage {
			t.trim()
			now = t.allocated() // what the trim itself needs is no garbage of others
			trimmed = now
		}
		last = now
	}
}
