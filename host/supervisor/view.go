package supervisor

import (
	"fmt"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
)

// A view is what a module's goroutine lets others see: replaced as a whole,
// never changed but for changed being closed.
type view struct {
	state    State
	reason   string
	since    time.Time
	restarts int
	spec     Spec
	over     *farewell     // nil unless it is for good
	process  *process      // takes requests; nil if none does
	starting *Spec         // what a process is being started for; nil if none is
	busy     bool          // one is, or the last one is on its way out
	orders   uint64        // that it takes account of
	changed  chan struct{} // closed when there is a newer view
}

// A farewell is why a module ends for good.
type farewell struct {
	why    string // for those who wait in it
	answer func() *wire.Error
}

// hostEnds is the farewell of every module at the end of the host.
func hostEnds() *farewell {
	return &farewell{"the host is ending", func() *wire.Error {
		return wire.NewError(wire.CodeDraining, "the host is ending; try another one or later")
	}}
}

// removed is the farewell of a module that is no longer in the config.
func removed(name string) *farewell {
	why := fmt.Sprintf("module %q was removed from the config", name)
	return &farewell{why, func() *wire.Error {
		return wire.NewError(wire.CodeNoSuchRoute, why)
	}}
}

// refusal is the answer to requests that need not wait: nothing will come.
// nil if they may be served, now or soon.
func (v *view) refusal() *wire.Error {
	switch {
	case v.over != nil:
		return v.over.answer()
	case !v.spec.Enabled:
		return disabled(v.spec.Name)
	case v.state == Failed:
		return wire.NewError(wire.CodeModuleFailed, v.reason)
	}
	return nil
}

// tooLong is the answer to requests that have waited in vain.
func (v *view) tooLong() *wire.Error {
	cause := fmt.Sprintf("module %q is %s", v.spec.Name, v.state)
	switch {
	case v.state == Ready: // and yet it has let nobody in
		cause = fmt.Sprintf("the process of module %q does not answer", v.spec.Name)
	case v.reason != "":
		cause += ": " + strings.TrimPrefix(v.reason, fmt.Sprintf("module %q: ", v.spec.Name))
	}
	return wire.NewError(wire.CodeModuleStarting, cause)
}

func disabled(name string) *wire.Error {
	return wire.NewError(wire.CodeModuleDisabled, fmt.Sprintf("module %q is disabled; run \"modhost module enable %s\" or set enabled = true in its block", name, name))
}

// status is the view as the listing shows it.
func (v *view) status() Status {
	s := Status{
		Name:       v.spec.Name,
		State:      v.state,
		Mounts:     append([]string{}, v.spec.Mounts...),
		Restarts:   v.restarts,
		Since:      v.since,
		Reason:     v.reason,
		Enabled:    v.spec.Enabled,
		Overridden: v.spec.Overridden,
	}
	if v.process != nil {
		s.Version, s.PID = v.process.version, v.process.pid
	}
	return s
}
