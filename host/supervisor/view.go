package supervisor

import (
	"fmt"
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
	ending   bool          // for good: the host ends or the module is gone from the config
	process  *process      // takes requests; nil if none does
	changed  chan struct{} // closed when there is a newer view
}

// refusal is the answer to requests that need not wait: nothing will come.
// nil if they may be served, now or soon.
func (v *view) refusal() *wire.Error {
	switch {
	case v.ending:
		return wire.NewError(wire.CodeDraining, "the host is ending; try another one or later")
	case v.state == Disabled:
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
		cause += ": " + v.reason
	}
	return wire.NewError(wire.CodeModuleStarting, cause)
}

func disabled(name string) *wire.Error {
	return wire.NewError(wire.CodeModuleDisabled, fmt.Sprintf("module %q is switched off; set enabled = true in its block", name))
}

// status is the view as the listing shows it.
func (v *view) status() Status {
	s := Status{
		Name:     v.spec.Name,
		State:    v.state,
		Mounts:   append([]string{}, v.spec.Mounts...),
		Restarts: v.restarts,
		Since:    v.since,
		Reason:   v.reason,
		Enabled:  v.spec.Enabled,
	}
	if v.process != nil {
		s.Version, s.PID = v.process.version, v.process.pid
	}
	return s
}
