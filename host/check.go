package host

import (
	"context"
	"fmt"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2"

	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/supervisor"
)

// Check has the plugin of each enabled module judge its part of the config, in
// processes that are started for that alone, as no host need run. The diagnostics
// are those that [config.Examine] can't find: what a plugin says of its own block,
// at its place in the user's file, executables and files for access and TLS that
// can't be used, and warnings. Modules that are not Sound are left out.
func Check(ctx context.Context, cfg *config.Config, logger hclog.Logger, version string) (hcl.Diagnostics, error) {
	list, err := specs(cfg)
	if err != nil {
		return nil, err
	}
	var ask []supervisor.Spec
	for i, s := range list {
		if s.Enabled && cfg.Modules[i].Sound {
			ask = append(ask, s)
		}
	}
	plugins := supervisor.New(supervisor.Options{Logger: logger, HostVersion: version})
	_, diags := readAccess(cfg, cfg.Listen)
	diags = append(diags, diagnose(cfg, plugins.Check(ctx, ask))...)
	config.Sort(diags)
	if err := bounded(pluginStopTime, plugins.Close); err != nil {
		return nil, fmt.Errorf("plugins did not end in time: %w", err)
	}
	return diags, ctx.Err()
}
