package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/etcd-modules/modhost/host"
	"github.com/etcd-modules/modhost/host/config"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"
)

// places are where a config is looked for without --config and
// MODHOST_CONFIG.
var places = []string{"modhost.hcl", "/etc/modhost/modhost.hcl"}

// configPath returns where the config is.
func configPath(cmd *cobra.Command) (string, error) {
	flag := cmd.Flag("config")
	if flag.Changed {
		return flag.Value.String(), nil
	}
	if path := os.Getenv("MODHOST_CONFIG"); path != "" {
		return path, nil
	}
	for _, path := range places {
		// Anything but its absence is for Load to complain about.
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
	}
	return "", configError{fmt.Sprintf("config: neither %s exists; use --config FILE or set MODHOST_CONFIG", strings.Join(places, " nor "))}
}

// loadConfig returns the config that the command line names.
func loadConfig(cmd *cobra.Command) (*config.Config, error) {
	path, err := configPath(cmd)
	if err != nil {
		return nil, err
	}
	cfg, diags := config.Load(path)
	if cfg == nil {
		return nil, complaints(diags)
	}
	return cfg, nil
}

// complaints makes one error of all of them.
func complaints(diags hcl.Diagnostics) error {
	var lines []string
	for _, d := range diags {
		lines = append(lines, config.Describe(d))
	}
	return configError{strings.Join(lines, "\n")}
}

// configCommand returns the command modhost config.
func configCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check, show and reload the config",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(checkCommand(s), showCommand(s), reloadCommand(s))
	return cmd
}

// checkCommand returns the command modhost config check.
func checkCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with the config",
		Long: "Say what is wrong with the config: one line for each complaint, with file, line and\n" +
			"column. No host need run: what stands in the config blocks of enabled modules is\n" +
			"checked by their plugins, in processes that are started for that alone.",
		Args: noArgs,
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path, err := configPath(cmd)
		if err != nil {
			return err
		}
		cfg, diags := config.Examine(path)
		if cfg != nil {
			found, err := host.Check(cmd.Context(), cfg, hclog.NewNullLogger(), version())
			if err != nil && !diags.HasErrors() {
				return err
			}
			diags = append(diags, found...)
			config.Sort(diags)
		}
		if diags.HasErrors() {
			cfg = nil
		}
		if format.json {
			return checkJSON(s, path, cfg, diags)
		}
		if cfg == nil {
			return complaints(diags)
		}
		_, warnings := config.Complaints(diags)
		printWarnings(s.err, warnings)
		names := make([]string, len(cfg.Modules))
		for i, m := range cfg.Modules {
			names[i] = m.Name
			if !m.Enabled {
				names[i] += " (disabled)"
			}
		}
		if len(names) == 0 {
			names = []string{"none"}
		}
		_, err = fmt.Fprintf(s.out, "%s: ok; modules: %s\n", path, strings.Join(names, ", "))
		return err
	}
	return cmd
}

// printWarnings prints one line for each.
func printWarnings(w io.Writer, warnings []config.Complaint) {
	for _, c := range warnings {
		fmt.Fprintf(w, "warning: %s\n", c)
	}
}

// checkJSON prints the result of config check for programs.
func checkJSON(s streams, path string, cfg *config.Config, diags hcl.Diagnostics) error {
	type module struct {
		Name    string   `json:"name"`
		Enabled bool     `json:"enabled"`
		Mounts  []string `json:"mounts"`
	}
	result := struct {
		Config     string             `json:"config"`
		OK         bool               `json:"ok"`
		Modules    []module           `json:"modules"`
		Complaints []config.Complaint `json:"complaints"`
		Warnings   []config.Complaint `json:"warnings"`
	}{Config: path, OK: cfg != nil, Modules: []module{}}
	result.Complaints, result.Warnings = config.Complaints(diags)
	if cfg != nil {
		for _, m := range cfg.Modules {
			result.Modules = append(result.Modules, module{m.Name, m.Enabled, m.Mounts})
		}
	}
	if err := printJSON(s.out, result); err != nil {
		return err
	}
	if cfg == nil {
		return errReported
	}
	return nil
}
