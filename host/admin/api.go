package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/supervisor"
	"github.com/etcd-modules/modhost/sdk/wire"
)

// A Backend carries out what is asked for. Its methods are called
// concurrently. Errors that are a *wire.Error are answered as they are.
type Backend interface {
	// Modules returns the listing, sorted by name.
	Modules() []supervisor.Status

	// Module returns what is known about one module; false if there is none
	// of that name.
	Module(name string) (Module, bool)

	// Watch calls f with the listing, and again whenever it has changed, until ctx
	// ends, f fails or the host has ended all modules.
	Watch(ctx context.Context, f func([]supervisor.Status) error) error

	// Metrics answers with the metrics of the host and of all modules, in the
	// Prometheus text format.
	Metrics(w http.ResponseWriter, r *http.Request)

	// Switch enables or disables a module whatever the config says, until the
	// next reload.
	Switch(ctx context.Context, o Order, enabled bool) (Module, error)

	// Restart gives the module a new process.
	Restart(ctx context.Context, o Order) (Module, error)

	// Follow calls f with the last lines of a module's log and, if more is set,
	// with those that come, until ctx ends or f fails.
	Follow(ctx context.Context, name string, more bool, f func([]supervisor.LogLine) error) error

	// Reload takes the config over if nothing is wrong with it, and waits until
	// what it changes is settled. With dryRun it only says what it would do. A
	// config that is refused is no error: the report has complaints then.
	Reload(ctx context.Context, dryRun bool) (*Report, error)

	// LogLevel returns the present level: trace, debug, info, warn or error.
	LogLevel() string

	// SetLogLevel sets that of the host and all modules until the next reload.
	SetLogLevel(ctx context.Context, level string) error
}

// An Order is about one module.
type Order struct {
	Module string // its name
	By     string // who gives it, for the log

	// Wait says to return only when it is carried out: the process serves, or
	// has failed to, or is gone.
	Wait bool
}

// A Module is one module in detail.
type Module = wire.ModuleDetail

// NewModule puts together what is known about a module.
func NewModule(st supervisor.Status, spec supervisor.Spec, inflight int, ends []supervisor.End) Module {
	return Module{
		ModuleStatus: st,
		Command:      spec.Path,
		Args:         append([]string{}, spec.Args...),
		SHA256:       spec.SHA256,
		Privileges:   append([]string{}, spec.Privileges...),
		InFlight:     inflight,
		DrainTimeout: text(spec.DrainTimeout),
		Limits: wire.ModuleLimits{
			Concurrency: spec.Limits.Concurrency, BodyBytes: spec.Limits.BodyBytes,
			HeaderBytes: spec.Limits.HeaderBytes, RequestTimeout: text(spec.Limits.RequestTimeout),
		},
		Restart: wire.ModuleRestart{Max: spec.RestartMax, Window: text(spec.RestartWindow)},
		Ends:    append([]supervisor.End{}, ends...),
	}
}

func text(d time.Duration) string { return d.String() }

// A Report says what a reload has done, or would do.
type Report struct {
	Applied    bool               `json:"applied"` // false in a dry run and when the config was refused
	DryRun     bool               `json:"dry_run"`
	Changes    []Change           `json:"changes"`    // the host first, then modules; not nil
	Complaints []config.Complaint `json:"complaints"` // why it was refused; not nil
	Warnings   []config.Complaint `json:"warnings"`   // what is better written otherwise; not nil
}

// What becomes of a module's process.
const (
	Start   = "start"
	Replace = "replace" // a new one takes over, the old one drains
	Stop    = "stop"
	Keep    = "keep"
)

// A Change is what is different for one module, or for the host.
type Change struct {
	Module   string   `json:"module"`   // empty: the host
	Kind     string   `json:"kind"`     // added, removed or changed
	Settings []string `json:"settings"` // what differs, by its name in the config, and "program" for an executable that was built anew; not nil
	Process  string   `json:"process"`  // what becomes of it: start, replace, stop or keep; empty for the host

	// How it went; empty in a dry run and for the host.
	State  supervisor.State `json:"state"`
	PID    int              `json:"pid"`
	Reason string           `json:"reason"` // of a failure; for people
}

// Failed reports whether the module does not run as it should now. A module
// whose new process did not start may still be served by the old one.
func (c Change) Failed() bool {
	return c.Process != Stop && c.Reason != "" || c.State == supervisor.Failed || c.State == supervisor.Backoff
}
