package main

import (
	"context"
	"net/http"
	"slices"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/plugins/dashboard/internal/modules"
	"github.com/etcd-modules/modhost/plugins/dashboard/internal/samples"
	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/wire"
)

// A moduleArea is the area of the host's modules, and of what they count.
type moduleArea struct {
	background
	cfg  Config
	env  *sdk.Env
	list *modules.List // nil without the privilege
	ring *samples.Ring
}

func newModuleArea(cfg Config, env *sdk.Env, writes func() float64) *moduleArea {
	a := &moduleArea{cfg: cfg, env: env, ring: &samples.Ring{Writes: writes}}
	if env.Modules == nil {
		a.start(a.ring.Run)
		return a
	}
	a.ring.Meter = env.Modules
	a.list = modules.NewList(env.Modules)
	a.start(a.list.Run, a.ring.Run)
	return a
}

func (a *moduleArea) routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/modules/switch", handle(a.env.Logger, a.change))
	mux.HandleFunc("POST /api/modules/restart", handle(a.env.Logger, a.restart))
}

func (a *moduleArea) source(name, arg string) live.Source {
	switch {
	case name == "samples":
		return a.ring.Source
	case name == "nav" && a.list == nil:
		return constant(map[string]any{})
	case a.list == nil && (name == "modules" || name == "module" || name == "log"):
		return live.Never(lacks(a.env, sdk.PrivilegeModules))
	case name == "nav":
		return a.follow(func(_ context.Context, s modules.State) (any, error) { return a.nav(s.Modules), nil })
	case name == "modules":
		return a.follow(func(_ context.Context, s modules.State) (any, error) { return a.table(s), nil })
	case name == "module":
		return a.follow(func(ctx context.Context, _ modules.State) (any, error) { return a.detail(ctx, arg) })
	case name == "log":
		return modules.Tail(func(ctx context.Context, f func(sdk.LogLine) error) error {
			return a.env.Modules.Logs(ctx, arg, true, f)
		})
	}
	return nil
}

// follow returns a source of what show makes of the listing, again after each
// sample.
func (a *moduleArea) follow(show func(context.Context, modules.State) (any, error)) live.Source {
	return whole(func(ctx context.Context) (any, live.Changes, error) {
		s, listed := a.list.State()
		_, sampled := a.ring.State()
		on := live.Changes{listed, sampled}
		if s.Err != nil || s.Modules == nil {
			return nil, on, s.Err
		}
		data, err := show(ctx, s)
		return data, on, err
	})
}

// nav says which pages have nothing behind them, and why: those of modules that
// are switched off or have failed.
func (a *moduleArea) nav(list []sdk.ModuleStatus) any {
	off := make(map[string]*modules.Off)
	for page, names := range map[string][]string{"locks": a.cfg.Locks, "leaders": a.cfg.Leaders} {
		if o := modules.AllOff(list, names); o != nil && len(names) > 0 {
			off[page] = o
		}
	}
	return off
}

// module is one row of the topic modules.
type module struct {
	Name       string           `json:"name"`
	State      wire.ModuleState `json:"state"`
	Mounts     []string         `json:"mounts"`
	Version    string           `json:"version"`
	PID        int              `json:"pid"`
	Restarts   int              `json:"restarts"`
	Since      int64            `json:"since"` // Unix milliseconds
	Reason     string           `json:"reason"`
	Enabled    bool             `json:"enabled"`
	Overridden bool             `json:"overridden"`
	Own        bool             `json:"own"`   // it is this dashboard
	Last       *ending          `json:"last"`  // the latest end that nobody has ordered
	Usage      *samples.Usage   `json:"usage"` // null before the second sample, and without a process
}

// ending is the end of one process.
type ending struct {
	At      int64  `json:"at"` // Unix milliseconds
	PID     int    `json:"pid"`
	Reason  string `json:"reason"`
	Exit    string `json:"exit"`
	Ordered bool   `json:"ordered"`
}

// table is the topic modules.
func (a *moduleArea) table(s modules.State) any {
	sampled, _ := a.ring.State()
	rows := make([]module, 0, len(s.Modules))
	for _, m := range s.Modules {
		row := module{Name: m.Name, State: m.State, Mounts: m.Mounts, Version: m.Version, PID: m.PID, Restarts: m.Restarts, Since: unix(m.Since),
			Reason: m.Reason, Enabled: m.Enabled, Overridden: m.Overridden, Own: m.Name == a.env.Name}
		if u, ok := sampled.Usage[m.Name]; ok && m.PID != 0 {
			row.Usage = &u
		}
		for _, e := range slices.Backward(s.Details[m.Name].Ends) {
			if !e.Ordered {
				row.Last = &ending{unix(e.Time), e.PID, e.Reason, e.Exit, e.Ordered}
				break
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// detail is the topic module:NAME.
type detail struct {
	Command      string             `json:"command"`
	Args         []string           `json:"args"`
	SHA256       string             `json:"sha256"`
	Privileges   []string           `json:"privileges"`
	DrainTimeout string             `json:"drainTimeout"`
	Limits       wire.ModuleLimits  `json:"limits"`
	Restart      wire.ModuleRestart `json:"restart"`
	Ends         []ending           `json:"ends"` // the latest first
}

// detail asks the host anew: that a process which was replaced has ended is not
// in the listing.
func (a *moduleArea) detail(ctx context.Context, name string) (any, error) {
	d, err := a.env.Modules.Module(ctx, name)
	if err != nil {
		return nil, err
	}
	out := detail{Command: d.Command, Args: d.Args, SHA256: d.SHA256, Privileges: d.Privileges, DrainTimeout: d.DrainTimeout,
		Limits: d.Limits, Restart: d.Restart, Ends: []ending{}}
	for _, e := range slices.Backward(d.Ends) {
		out.Ends = append(out.Ends, ending{unix(e.Time), e.PID, e.Reason, e.Exit, e.Ordered})
	}
	return out, nil
}

// change switches a module on or off. It does not wait: what becomes of it is
// in the topic, and a dashboard that switches itself off could not.
func (a *moduleArea) change(w http.ResponseWriter, r *http.Request) error {
	var o struct {
		Name    string `json:"name"`
		Enabled *bool  `json:"enabled"`
	}
	if err := a.order(r, &o, &o.Name); err != nil {
		return err
	}
	if o.Enabled == nil {
		return sdk.NewError(sdk.CodeRequestInvalid, `say whether the module shall run: "enabled": true or false`)
	}
	if _, err := a.env.Modules.Switch(r.Context(), o.Name, *o.Enabled, false); err != nil {
		return err
	}
	sdk.LoggerOf(r, a.env.Logger).Info("module switched", "target", o.Name, "enabled", *o.Enabled, "user", sdk.RequestOf(r).User())
	return answer(w, struct{}{})
}

// restart gives a module a new process, and does not wait for it either.
func (a *moduleArea) restart(w http.ResponseWriter, r *http.Request) error {
	var o struct {
		Name string `json:"name"`
	}
	if err := a.order(r, &o, &o.Name); err != nil {
		return err
	}
	if _, err := a.env.Modules.Restart(r.Context(), o.Name, false); err != nil {
		return err
	}
	sdk.LoggerOf(r, a.env.Logger).Info("module restarted", "target", o.Name, "user", sdk.RequestOf(r).User())
	return answer(w, struct{}{})
}

// order reads an order about the module whose name stands in name.
func (a *moduleArea) order(r *http.Request, v any, name *string) error {
	if a.env.Modules == nil {
		return lacks(a.env, sdk.PrivilegeModules)
	}
	if err := order(r, v); err != nil {
		return err
	}
	if *name == "" {
		return sdk.NewError(sdk.CodeNameRequired, "say which module")
	}
	return nil
}
