// Package samples remembers the last quarter of an hour of what the host and
// its modules count.
package samples

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk"
)

const (
	step   = 5 * time.Second
	window = 15 * time.Minute
)

// A Meter knows all that host and modules count. [sdk.Modules] is one.
type Meter interface {
	Metrics(ctx context.Context) (Families, error)
}

var _ Meter = (*sdk.Modules)(nil)

// A Sample is what was counted in one step. What is not known, as a latency
// when nothing was asked, is NaN.
type Sample struct {
	At       time.Time
	P50, P99 float64 // milliseconds that calls of the modules' stores took
	Writes   float64 // of the v2 store a second, whoever writes
	Waiting  float64 // requests that wait for a lock or to lead, at the end of the step
	Wait50   float64 // milliseconds that those waited which were granted
	Wait99   float64
	Requests float64 // to modules, a second
}

// MarshalJSON makes a list of it, in the order of the fields: Unix milliseconds
// first, null for what is not known.
func (s Sample) MarshalJSON() ([]byte, error) {
	list := []any{s.At.UnixMilli()}
	for _, v := range []float64{s.P50, s.P99, s.Writes, s.Waiting, s.Wait50, s.Wait99, s.Requests} {
		list = append(list, number(v))
	}
	return json.Marshal(list)
}

// number is v with four digits, or nil.
func number(v float64) any {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	if math.Abs(v) < 1e-9 { // of smaller ones the unit is infinite at last
		return 0
	}
	unit := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*unit) / unit
}

// A Usage is what one module does and takes, in the last step.
type Usage struct {
	Requests float64 // a second
	P99      float64 // milliseconds from a request to the end of its answer, waiting included; of those that were answered
	InFlight float64
	Memory   float64 // bytes, resident
	CPU      float64 // of one processor, 1 is all of it
}

// MarshalJSON makes null of what is not known.
func (u Usage) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{
		"requests": number(u.Requests), "p99": number(u.P99), "inFlight": number(u.InFlight), "memory": number(u.Memory), "cpu": number(u.CPU),
	})
}

// A State is all that is remembered.
type State struct {
	Samples []Sample         // the oldest first, of the window
	Usage   map[string]Usage // by module
	Held    map[string]int   // locks that are held, by module
	Waiting map[string]int   // requests that wait, by module
	Err     error            // why the last step has no numbers
}

// A Ring takes a sample each step. Fields are set before Run.
type Ring struct {
	Meter Meter // may be nil

	// Writes returns the writes a second, negative if that is not known. It may
	// be nil.
	Writes func() float64

	state live.Var[State]
}

// State returns what is remembered, and a channel that is closed with the next
// sample.
func (r *Ring) State() (State, <-chan struct{}) { return r.state.Get() }

// Run takes samples until ctx ends.
func (r *Ring) Run(ctx context.Context) {
	ticks := time.NewTicker(step)
	defer ticks.Stop()
	var old reading
	for {
		now := r.read(ctx)
		if ctx.Err() != nil {
			return
		}
		r.add(old, now)
		old = now
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}

// A reading is what was counted until then.
type reading struct {
	at       time.Time
	families Families // nil if there are none
	err      error
}

func (r *Ring) read(ctx context.Context) reading {
	now := reading{at: time.Now()}
	if r.Meter == nil {
		return now
	}
	ctx, cancel := context.WithTimeout(ctx, step-step/5)
	defer cancel()
	now.families, now.err = r.Meter.Metrics(ctx)
	return now
}

func (r *Ring) add(old, now reading) {
	before, _ := r.state.Get()
	next := State{Err: now.err}
	sample := unknown(now.at)
	if r.Writes != nil {
		if w := r.Writes(); w >= 0 {
			sample.Writes = w
		}
	}
	if now.families != nil {
		next.Held, next.Waiting = gauges(now.families, "modhost_queue_locks_held"), gauges(now.families, "modhost_queue_requests_waiting")
		for _, n := range next.Waiting {
			sample.Waiting = zero(sample.Waiting) + float64(n)
		}
		if old.families != nil {
			sample.between(old, now)
			next.Usage = usage(old, now)
		}
	}
	for _, s := range before.Samples {
		if now.at.Sub(s.At) < window {
			next.Samples = append(next.Samples, s)
		}
	}
	next.Samples = append(next.Samples, sample)
	r.state.Set(next)
}

func unknown(at time.Time) Sample {
	nan := math.NaN()
	return Sample{at, nan, nan, nan, nan, nan, nan, nan}
}

// zero is v, 0 if it is not known.
func zero(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// Source is that of a topic: {"step": ms, "window": ms, "all": [sample, …]},
// then {"add": [sample, …]} for each that comes.
func (r *Ring) Source(ctx context.Context, send func(any) error) error {
	type all struct {
		Step   int64    `json:"step"`
		Window int64    `json:"window"`
		All    []Sample `json:"all"`
	}
	type added struct {
		Add []Sample `json:"add"`
	}
	var last time.Time
	for first := true; ; first = false {
		s, changed := r.State()
		fresh := s.Samples
		for len(fresh) > 0 && !fresh[0].At.After(last) {
			fresh = fresh[1:]
		}
		var err error
		switch {
		case first:
			err = send(all{step.Milliseconds(), window.Milliseconds(), append([]Sample{}, fresh...)})
		case len(fresh) > 0:
			err = send(added{fresh})
		}
		if err != nil {
			return err
		}
		if len(fresh) > 0 {
			last = fresh[len(fresh)-1].At
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
