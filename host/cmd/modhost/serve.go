package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/etcd-modules/modhost/host"
	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"
)

// serveCommand returns the command modhost serve.
func serveCommand(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the host until SIGTERM or SIGINT",
		Long: "Run the host until SIGTERM or SIGINT: then requests in flight are finished, by the\n" +
			"config's drain_timeout at the latest. A second signal ends it at once. SIGHUP takes\n" +
			"the config file over, as \"modhost config reload\" does.\n\n" +
			"When the modules are ready, their URLs are printed to standard output. The log\n" +
			"goes to standard error.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := configPath(cmd)
			if err != nil {
				return err
			}
			cfg, diags := config.Load(path)
			if cfg == nil {
				return complaints(diags)
			}
			hangups := make(chan os.Signal, 1)
			signal.Notify(hangups, syscall.SIGHUP)
			defer signal.Stop(hangups)
			h, err := host.New(cfg, newLogger(cfg, s.err), host.Version(version()),
				host.OnReady(func(ready []host.Ready) { printReady(s.out, ready) }),
				host.Reload(func() (*config.Config, hcl.Diagnostics) { return config.Examine(path) }),
				host.ReloadOn(hangups))
			if err != nil {
				return err
			}
			go wire.TrimIdle(cmd.Context())
			return h.Run(cmd.Context())
		},
	}
}

// newLogger returns the log as the config wants it.
func newLogger(cfg *config.Config, w io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Level:      hclog.LevelFromString(cfg.LogLevel),
		JSONFormat: cfg.LogFormat == "json",
		Output:     w,
	})
}

// printReady prints one line for each module that is ready, the URLs below
// each other. Nobody is left to tell if that fails.
func printReady(w io.Writer, ready []host.Ready) {
	width := 0
	for _, r := range ready {
		width = max(width, len(r.Module))
	}
	for _, r := range ready {
		fmt.Fprintf(w, "%-*s  %s\n", width, r.Module, r.URL)
	}
}
