package host

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/etcd-modules/modhost/host/admin"
	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/supervisor"
	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// reloadOn reloads for each signal until ctx ends.
func (c *control) reloadOn(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-signals:
			if _, err := c.Reload(ctx, false); err != nil && ctx.Err() == nil {
				c.logger.Error("config not reloaded", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Reload takes the config over. It is checked as a whole first, by the host and
// by the plugins of all modules that need a new process: with an error anywhere
// nothing is changed.
func (c *control) Reload(ctx context.Context, dryRun bool) (*admin.Report, error) {
	report, err := c.reload(ctx, dryRun)
	if dryRun {
		return report, err
	}
	c.reloaded(err == nil && report.Applied)
	if err == nil {
		c.tell(report)
	}
	return report, err
}

// tell puts a report into the log.
func (c *control) tell(r *admin.Report) {
	for _, complaint := range r.Complaints {
		c.logger.Error("config refused, nothing was changed", "complaint", complaint)
	}
	for _, warning := range r.Warnings {
		c.logger.Warn("config", "warning", warning)
	}
	for _, ch := range r.Changes {
		if ch.Module == "" {
			c.logger.Info("host changed", "settings", ch.Settings)
			continue
		}
		c.logger.Info("module changed", "module", ch.Module, "kind", ch.Kind, "settings", ch.Settings, "process", ch.Process, "state", ch.State, "pid", ch.PID)
	}
	if r.Applied {
		c.logger.Info("config reloaded", "changes", len(r.Changes))
	}
}

func (c *control) reload(ctx context.Context, dryRun bool) (*admin.Report, error) {
	if c.read == nil {
		return nil, wire.NewError(wire.CodeRequestInvalid, "this host was not started with a config file")
	}
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	report, drain, err := c.takeOver(ctx, dryRun)
	// Not while it settles: a module may give an order in its constructor, or
	// before it ends, and others need not wait for those who take long.
	c.end()
	if err != nil || !report.Applied {
		return report, err
	}
	c.outcome(report, drain)
	return report, c.tidy()
}

// tidy takes mounts away that no process knows any more.
func (c *control) tidy() error {
	c.begin(context.Background()) //nolint:errcheck // it does not end
	defer c.end()
	_, list := c.state()
	return c.remount(list)
}

// takeOver is a reload up to where what it changes is ordered. The caller has
// the turn. drain is how long that may take to settle, beside one that starts.
func (c *control) takeOver(ctx context.Context, dryRun bool) (report *admin.Report, drain time.Duration, err error) {
	report = &admin.Report{DryRun: dryRun, Changes: []admin.Change{}}
	next, diags := c.read()
	report.Complaints, report.Warnings = config.Complaints(diags)
	if next == nil {
		return report, 0, nil
	}
	now, before := c.state()
	changes, fixed := config.Diff(now, next)
	after, err := c.specsOf(next)
	switch {
	case !diags.HasErrors():
		diags = append(diags, fixed...)
	case err != nil:
		return report, 0, nil // more can't be found out
	}
	if err != nil {
		return nil, 0, err
	}
	access, found := readAccess(next, c.gate.address)
	diags = append(diags, found...)
	changes = c.withLevel(changes, next.LogLevel)
	if !diags.HasErrors() {
		for _, name := range access.renewed(c.gate.access) {
			changes = withSetting(changes, name)
		}
	}
	plan := c.plan(changes, before, after)
	diags = append(diags, c.check(ctx, next, after, plan)...)
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	config.Sort(diags)
	report.Complaints, report.Warnings = config.Complaints(diags)
	if diags.HasErrors() {
		return report, 0, nil
	}
	report.Changes = plan
	if dryRun {
		return report, 0, nil
	}
	c.setLevel(next.LogLevel)
	// Before the mounts: a module with new privileges is guarded at once.
	c.gate.set(access)
	again := c.failedBefore(plan, after)
	if err := c.apply(next, after); err != nil {
		return nil, 0, err
	}
	for _, s := range again {
		c.plugins.Restart(s)
	}
	report.Applied = true
	// Many start a few at a time.
	return report, max(now.DrainTimeout, next.DrainTimeout) + time.Duration(len(plan))*time.Second, nil
}

// check has the plugins judge the configs that they would be started with.
func (c *control) check(ctx context.Context, cfg *config.Config, list []supervisor.Spec, plan []admin.Change) hcl.Diagnostics {
	starts := map[string]bool{}
	for _, ch := range plan {
		starts[ch.Module] = ch.Process == admin.Start || ch.Process == admin.Replace
	}
	for _, m := range cfg.Modules {
		starts[m.Name] = starts[m.Name] && m.Sound
	}
	var ask []supervisor.Spec
	for _, s := range list {
		if starts[s.Name] {
			ask = append(ask, s)
		}
	}
	return diagnose(cfg, c.plugins.Check(ctx, ask))
}

// outcome waits until what was changed is settled, and notes how it went.
func (c *control) outcome(report *admin.Report, drain time.Duration) {
	var wg sync.WaitGroup
	for i := range report.Changes {
		ch := &report.Changes[i]
		if ch.Module == "" || ch.Kind == "removed" {
			continue
		}
		wg.Go(func() {
			settled := c.settle(drain, ch.Module)
			if st, _, ok := c.plugins.Module(ch.Module); ok {
				ch.State, ch.PID, ch.Reason = st.State, st.PID, st.Reason
			}
			if !settled && ch.Process != admin.Stop && ch.Reason == "" {
				ch.Reason = fmt.Sprintf("module %q: its new process is still not ready; run \"modhost module show %s\" later", ch.Module, ch.Module)
			}
		})
	}
	wg.Wait()
}

// diagnose puts what plugins have found at its place in the user's files.
func diagnose(cfg *config.Config, findings []supervisor.Finding) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, f := range findings {
		for _, d := range f.Diagnostics {
			diags = append(diags, located(cfg, f.Module, d))
		}
		if f.Err == nil {
			continue
		}
		at := headOf(cfg, f.Module)
		if r, ok := cfg.Position(fmt.Sprintf("module %q: command", f.Module)); ok {
			at = r
		}
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: fmt.Sprintf("module %q", f.Module), Detail: f.Err.Error(), Subject: at.Ptr(),
		})
	}
	return diags
}

// located is a plugin's complaint in the host's words.
func located(cfg *config.Config, module string, d *wirepb.Diagnostic) *hcl.Diagnostic {
	out := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: fmt.Sprintf("module %q: %s", module, d.GetSummary()), Detail: d.GetDetail()}
	if d.GetSeverity() == wirepb.Diagnostic_WARNING {
		out.Severity = hcl.DiagWarning
	}
	at := headOf(cfg, module)
	if d.GetFilename() != "" {
		pos := hcl.Pos{Line: int(d.GetLine()), Column: int(d.GetColumn())}
		at = hcl.Range{Filename: d.GetFilename(), Start: pos, End: pos}
	}
	out.Subject = at.Ptr()
	return out
}

// headOf returns where the module's block begins.
func headOf(cfg *config.Config, module string) hcl.Range {
	for _, m := range cfg.Modules {
		if m.Name == module {
			return m.Range
		}
	}
	return hcl.Range{}
}
