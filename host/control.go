package host

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2"

	"github.com/etcd-modules/modhost/host/admin"
	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/server"
	"github.com/etcd-modules/modhost/host/supervisor"
	"github.com/etcd-modules/modhost/sdk/wire"
)

// settleTime is how long an order waits for what it has ordered, beside the
// time that the module has to drain: somewhat more than a plugin has to start.
const settleTime = 20 * time.Second

// control carries out what operators order, one order at a time. What runs
// follows from the config and from what was ordered since it was read.
type control struct {
	logger    hclog.Logger
	read      func() (*config.Config, hcl.Diagnostics) // the config anew, as config.Examine does
	plugins   *supervisor.Supervisor
	mount     func([]server.Mount) error
	reloaded  func(applied bool) // counts reloads
	metrics   http.Handler       // of /metrics
	gate      *gate
	endpoints []string // of etcd

	turn chan struct{} // holds one while an order is carried out, which guards changes of the rest

	mu    sync.Mutex // guards looks at the rest, and changes
	cfg   *config.Config
	specs []supervisor.Spec // of cfg, changed by what was ordered since
}

var _ admin.Backend = (*control)(nil)

func newControl(cfg *config.Config, logger hclog.Logger, plugins *supervisor.Supervisor, mount func([]server.Mount) error, endpoints []string) *control {
	return &control{
		logger: logger, plugins: plugins, mount: mount, endpoints: endpoints, reloaded: func(bool) {}, metrics: http.NotFoundHandler(),
		turn: make(chan struct{}, 1), cfg: cfg,
	}
}

// begin takes the turn. end gives it back.
func (c *control) begin(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *control) end() { <-c.turn }

// state returns what is wanted at present; the list is the caller's own. An
// executable that was built anew counts as known if a start of its module from it
// was tried meanwhile: only a reload looks for new ones.
func (c *control) state() (*config.Config, []supervisor.Spec) {
	c.mu.Lock()
	cfg, list := c.cfg, slices.Clone(c.specs)
	c.mu.Unlock()
	for i := range list {
		if wanted, ok := c.plugins.Wanted(list[i].Name); ok && wanted.Path == list[i].Path {
			list[i].Program = wanted.Program
		}
	}
	return cfg, list
}

// specsOf returns what the supervisor shall run for a config.
func (c *control) specsOf(cfg *config.Config) ([]supervisor.Spec, error) {
	list, err := specs(cfg)
	for _, s := range list {
		s.Store.Endpoints = c.endpoints
	}
	return list, err
}

// start makes the config that the host was started with what runs.
func (c *control) start() error {
	list, err := c.specsOf(c.cfg)
	if err != nil {
		return err
	}
	return c.apply(c.cfg, list)
}

// apply makes list what is wanted and what runs.
func (c *control) apply(cfg *config.Config, list []supervisor.Spec) error {
	c.mu.Lock()
	c.cfg, c.specs = cfg, list
	c.mu.Unlock()
	c.plugins.Apply(list)
	return c.remount(list)
}

// remount tells the server which mounts there are: those of list, and those
// that a process knows which is going to be replaced.
func (c *control) remount(list []supervisor.Spec) error {
	var mounts []server.Mount
	privileged := map[string]bool{}
	add := func(name string, paths []string) {
		for _, path := range paths {
			if !slices.ContainsFunc(mounts, func(m server.Mount) bool { return overlap(m.Path, path) }) {
				mounts = append(mounts, server.Mount{Path: path, Module: name, Handler: c.plugins.Handler(name), Privileged: privileged[name]})
			}
		}
	}
	for _, s := range list {
		// Either is enough: privileges that a process has end with it.
		running, _ := c.plugins.Running(s.Name)
		privileged[s.Name] = len(s.Privileges) > 0 || len(running.Privileges) > 0
		add(s.Name, s.Mounts)
	}
	for _, s := range list {
		running, _ := c.plugins.Running(s.Name)
		add(s.Name, running.Mounts)
	}
	return c.mount(mounts)
}

// overlap reports whether requests to a and b could not be told apart.
func overlap(a, b string) bool {
	return strings.HasPrefix(a+"/", b+"/") || strings.HasPrefix(b+"/", a+"/")
}

// settle waits until the module has done what it was told, as far as it can for
// now, in bounded time. It is false if that was not enough.
func (c *control) settle(drain time.Duration, name string) bool {
	// Who has ordered it may leave, and it is carried out all the same.
	ctx, cancel := context.WithTimeout(context.Background(), settleTime+drain)
	defer cancel()
	_, _, err := c.plugins.Settle(ctx, name)
	return err == nil
}

// Modules returns the listing.
func (c *control) Modules() []supervisor.Status { return c.plugins.Modules() }

// Watch passes the listing on, whenever it changes.
func (c *control) Watch(ctx context.Context, f func([]supervisor.Status) error) error {
	return c.plugins.Watch(ctx, f)
}

// Metrics answers with those of the host and of all modules.
func (c *control) Metrics(w http.ResponseWriter, r *http.Request) { c.metrics.ServeHTTP(w, r) }

// Module returns one module in detail.
func (c *control) Module(name string) (admin.Module, bool) {
	st, spec, ok := c.plugins.Module(name)
	if !ok {
		return admin.Module{}, false
	}
	return admin.NewModule(st, spec, c.plugins.InFlight(name), c.plugins.Ends(name)), true
}

// known returns the module, or the error that there is none.
func (c *control) known(name string) (admin.Module, error) {
	m, ok := c.Module(name)
	if !ok {
		return m, admin.NoSuchModule(name, c.Modules())
	}
	return m, nil
}

// Switch enables or disables a module until the next reload.
func (c *control) Switch(ctx context.Context, o admin.Order, enabled bool) (admin.Module, error) {
	if err := c.begin(ctx); err != nil {
		return admin.Module{}, err
	}
	m, err := c.known(o.Module)
	cfg, list := c.state()
	if err == nil {
		err = c.switchTo(cfg, list, o, enabled)
	}
	c.end()
	if err != nil {
		return m, err
	}
	if o.Wait {
		c.settle(cfg.DrainTimeout, o.Module)
	}
	return c.known(o.Module)
}

// switchTo is an order to switch. The caller has the turn.
func (c *control) switchTo(cfg *config.Config, list []supervisor.Spec, o admin.Order, enabled bool) error {
	for i := range list {
		if s := &list[i]; s.Name == o.Module && s.Enabled != enabled {
			s.Enabled, s.Overridden = enabled, !s.Overridden
			s.Program = supervisor.Fingerprint(s.Path)
			c.logger.Info("module switched", "module", o.Module, "enabled", enabled, "by", o.By)
		}
	}
	return c.apply(cfg, list)
}

// Restart gives the module a new process.
func (c *control) Restart(ctx context.Context, o admin.Order) (admin.Module, error) {
	if err := c.begin(ctx); err != nil {
		return admin.Module{}, err
	}
	m, err := c.known(o.Module)
	if err == nil {
		err = c.restart(m, o)
	}
	c.end()
	if err != nil {
		return m, err
	}
	if o.Wait {
		c.settle(0, o.Module)
	}
	return c.known(o.Module)
}

// restart is an order to restart m. The caller has the turn.
func (c *control) restart(m admin.Module, o admin.Order) error {
	if !m.Enabled {
		return wire.NewError(wire.CodeModuleDisabled, fmt.Sprintf("module %q is disabled; run \"modhost module enable %s\"", o.Module, o.Module))
	}
	cfg, list := c.state()
	for i := range list {
		if s := &list[i]; s.Name == o.Module {
			s.Program = supervisor.Fingerprint(s.Path)
			c.logger.Info("module restarted", "module", o.Module, "by", o.By)
			c.plugins.Restart(*s)
		}
	}
	return c.apply(cfg, list)
}

// Follow passes a module's log on.
func (c *control) Follow(ctx context.Context, name string, more bool, f func([]supervisor.LogLine) error) error {
	if _, err := c.known(name); err != nil {
		return err
	}
	if !more {
		return f(c.plugins.Logs(name))
	}
	_, err := c.plugins.Follow(ctx, name, f)
	return err
}

// LogLevel returns the level that the host logs at.
func (c *control) LogLevel() string { return c.logger.GetLevel().String() }

// SetLogLevel sets that of the host and all modules.
func (c *control) SetLogLevel(ctx context.Context, level string) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	defer c.end()
	cfg, list := c.state()
	for i := range list {
		list[i].LogLevel = level
	}
	c.setLevel(level)
	return c.apply(cfg, list)
}

// setLevel sets the host's own level, and says so at either.
func (c *control) setLevel(level string) {
	if c.LogLevel() == level {
		return
	}
	c.logger.Info("log level changed", "level", level)
	c.logger.SetLevel(hclog.LevelFromString(level))
}
