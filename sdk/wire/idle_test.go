package wire

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

const mib = 1 << 20

func TestTrimIdle(t *testing.T) {
	for _, tt := range []struct {
		name    string
		started uint64   // allocated before
		ticks   []uint64 // allocated in each interval
		want    []int    // the intervals at whose end it trims
	}{
		{"nothing is allocated", 0, make([]uint64, 1000), nil},
		{"little was ever allocated", trimGarbage, make([]uint64, 10), nil},
		{"once after the start", trimGarbage + 1, make([]uint64, 1000), []int{0}},
		{"not while busy", 0, []uint64{trimQuiet, 20 * mib, trimQuiet, 900 * mib}, nil},
		{"after a burst", 0, []uint64{0, 0, 50 * mib, 10 * mib, 1, 0, 0, 0}, []int{4}},
		{"after each burst", 0, []uint64{50 * mib, 0, 0, 50 * mib, 0, 0}, []int{1, 4}},
		{"rarely for heartbeats", 0, []uint64{mib, mib, mib, mib, mib, mib, mib, mib, mib, mib, mib, mib, mib, mib, mib, mib, mib, mib}, []int{8, 17}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				intervals := func() int { return min(int(time.Since(begin)/trimEvery), len(tt.ticks)) }
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(len(tt.ticks))*trimEvery+trimEvery/2)
				defer cancel()
				var got []int
				trimmer{
					allocated: func() uint64 {
						total := tt.started
						for _, n := range tt.ticks[:intervals()] {
							total += n
						}
						return total
					},
					trim: func() { got = append(got, intervals()-1) },
				}.run(ctx)
				if fmt.Sprint(got) != fmt.Sprint(tt.want) {
					t.Errorf("trimmed after intervals %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// The real counter and collections, once.
func TestTrimIdle_Collects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*trimEvery)
		defer cancel()
		garbage = make([]byte, 2*trimGarbage)
		garbage = nil
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		TrimIdle(ctx)
		runtime.ReadMemStats(&after)
		if n := after.NumForcedGC - before.NumForcedGC; n != 3 { // FreeOSMemory is one too
			t.Errorf("%d forced collections in three idle intervals, want 3", n)
		}
	})
}

var garbage []byte // escapes to the heap
