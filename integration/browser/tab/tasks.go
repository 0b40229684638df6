package tab

import (
	"context"
	"encoding/json"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"
)

// Tasks returns how much processor time each task of a page's main thread took
// that ran during f. (What the page itself can measure, PerformanceObserver's
// long tasks, is time on the clock, in which other programs have run as well.)
func (tb *Tab) Tasks(f func()) []time.Duration {
	tb.t.Helper()
	chunks := make(chan *tracing.EventDataCollected, 10_000)
	over := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(tb.ctx)
	defer cancel()
	err := chromedp.Listen(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *tracing.EventDataCollected:
			select {
			case chunks <- ev:
			default: // seen as missing below
			}
		case *tracing.EventTracingComplete:
			over <- struct{}{}
		}
	})
	if err != nil {
		tb.t.Fatalf("tab: %v", err)
	}
	tb.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, tracing.Start, tracing.StartParams{TraceConfig: &tracing.TraceConfig{
			IncludedCategories: []string{"disabled-by-default-devtools.timeline", "__metadata"}, ExcludedCategories: []string{"*"},
		}})
		return err
	}))
	f()
	tb.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, tracing.End, cdp.Empty{})
		return err
	}))
	select {
	case <-over:
	case <-time.After(patience):
		tb.t.Fatal("tab: the trace does not end")
	}
	type thread struct{ pid, tid int64 }
	times := make(map[thread][]time.Duration)
	var main []thread
	for len(chunks) > 0 {
		for _, text := range (<-chunks).Value {
			var e struct {
				Name     string
				Pid, Tid int64
				Tdur     int64 // microseconds
				Args     struct{ Name string }
			}
			if err := json.Unmarshal(text, &e); err != nil {
				tb.t.Fatalf("tab: %v", err)
			}
			at := thread{e.Pid, e.Tid}
			switch {
			case e.Name == "RunTask":
				times[at] = append(times[at], time.Duration(e.Tdur)*time.Microsecond)
			case e.Name == "thread_name" && e.Args.Name == "CrRendererMain":
				main = append(main, at)
			}
		}
	}
	var all []time.Duration
	for _, at := range main {
		all = append(all, times[at]...)
	}
	if len(all) == 0 {
		tb.t.Fatal("tab: the trace has no task of a page")
	}
	return all
}
