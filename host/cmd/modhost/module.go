package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcd-modules/modhost/host/admin"
	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/supervisor"
	"github.com/etcd-modules/modhost/sdk/wire"
)

// moduleCommand returns the command modhost module.
func moduleCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "module",
		Short: "Look at the modules of a running host and switch them",
		Long: "Look at the modules of a running host and switch them, each without touching the\n" +
			"others. What is switched stays so until the next \"modhost config reload\" or restart\n" +
			"of the host: the config file is the truth.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		moduleListCommand(s), moduleShowCommand(s),
		orderCommand(s, order{
			use: "enable", short: "Start a module and route requests to it",
			long: "Start a module and route requests to it, whatever the config file says.",
			give: func(ctx context.Context, c *admin.Client, name string) (supervisor.Status, error) {
				return c.Switch(ctx, name, true)
			},
		}),
		orderCommand(s, order{
			use: "disable", short: "Stop a module and refuse its requests",
			long: "Stop a module: new requests are answered 404, waiting ones 503 at once, the rest has\n" +
				"the config's drain_timeout. The command returns when its process has ended.",
			give: func(ctx context.Context, c *admin.Client, name string) (supervisor.Status, error) {
				return c.Switch(ctx, name, false)
			},
		}),
		orderCommand(s, order{
			use: "restart", short: "Give a module a new process",
			long: "Give a module a new process, also after too many crashes: it takes over when it is\n" +
				"ready, and the old one finishes what it has. No waiting request loses its place.",
			give: func(ctx context.Context, c *admin.Client, name string) (supervisor.Status, error) {
				return c.Restart(ctx, name)
			},
		}),
		moduleLogsCommand(s))
	return cmd
}

// client returns a client of the host with the config that the command line
// names.
func client(cmd *cobra.Command) (*admin.Client, error) {
	path, err := configPath(cmd)
	if err != nil {
		return nil, err
	}
	// What is wrong in it is the host's to complain about.
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, configError{fmt.Sprintf("config %q: no such file or folder; name the one that the host was started with", path)}
	}
	return admin.NewClient(config.AdminOf(path))
}

// oneModule demands the name of one module.
func oneModule(_ *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return usageError{errors.New("the module's name is missing; \"modhost module list\" shows them")}
	case 1:
		return nil
	}
	return usageError{fmt.Errorf("takes one module, not also %q", args[1])}
}

// moduleNames completes names of modules: those of the running host, else
// those of the config.
func moduleNames(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	ctx, cancel := context.WithTimeout(cmd.Context(), time.Second)
	defer cancel()
	if c, err := client(cmd); err == nil {
		if list, err := c.Modules(ctx); err == nil {
			for _, m := range list {
				names = append(names, fmt.Sprintf("%s\t%s", m.Name, m.State))
			}
		}
	}
	if names == nil {
		if cfg, err := loadConfig(cmd); err == nil {
			for _, m := range cfg.Modules {
				names = append(names, m.Name)
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func moduleListCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the modules with their states",
		Args:  noArgs,
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := client(cmd)
		if err != nil {
			return err
		}
		list, err := c.Modules(cmd.Context())
		if err != nil {
			return err
		}
		if format.json {
			return printJSON(s.out, list)
		}
		return printModules(s.out, list, time.Now())
	}
	return cmd
}

// printModules prints a table with a row for each module.
func printModules(w io.Writer, list []supervisor.Status, now time.Time) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no modules in the config")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tSTATE\tPID\tRESTARTS\tFOR\tMOUNTS\tREASON") //nolint:errcheck // Flush says
	for _, m := range list {
		pid := "-"
		if m.PID != 0 {
			pid = fmt.Sprint(m.PID)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", //nolint:errcheck // Flush says
			m.Name, stateOf(m), pid, m.Restarts, age(now.Sub(m.Since)), strings.Join(m.Mounts, " "), cmp.Or(firstLine(m.Reason), "-"))
	}
	return t.Flush()
}

// stateOf marks what an operator has switched.
func stateOf(m supervisor.Status) string {
	if m.Overridden {
		return string(m.State) + " (switched)"
	}
	return string(m.State)
}

// age is a duration as people say it: the two largest units.
func age(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// firstLine is enough of a reason for a table; module show prints all of it.
func firstLine(text string) string {
	line, rest, _ := strings.Cut(text, "\n")
	if rest != "" {
		return line + " …"
	}
	return line
}

func moduleShowCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "show NAME",
		Short:             "Show one module in detail",
		Args:              oneModule,
		ValidArgsFunction: moduleNames,
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := client(cmd)
		if err != nil {
			return err
		}
		m, err := c.Module(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if format.json {
			return printJSON(s.out, m)
		}
		return printModule(s.out, m, time.Now())
	}
	return cmd
}

// printModule prints one fact a line; what does not apply is left out.
func printModule(w io.Writer, m admin.Module, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s:\t%s\n", name, strings.ReplaceAll(value, "\n", "\n\t")) //nolint:errcheck // Flush says
		}
	}
	number := func(n int64) string {
		if n == 0 {
			return "no limit"
		}
		return fmt.Sprint(n)
	}
	row("name", m.Name)
	row("state", fmt.Sprintf("%s for %s, since %s", m.State, age(now.Sub(m.Since)), m.Since.Format(time.RFC3339)))
	row("reason", m.Reason)
	if m.Overridden {
		row("switched", "by an operator, until the next reload; the config file says otherwise")
	}
	row("mounts", strings.Join(m.Mounts, " "))
	row("command", strings.Join(append([]string{m.Command}, m.Args...), " "))
	row("sha256", m.SHA256)
	row("privileges", strings.Join(m.Privileges, " "))
	row("version", m.Version)
	if m.PID != 0 {
		row("pid", fmt.Sprint(m.PID))
	}
	row("restarts", fmt.Sprint(m.Restarts))
	row("in flight", fmt.Sprint(m.InFlight))
	timeout := m.Limits.RequestTimeout
	if timeout == "0s" {
		timeout = "no limit"
	}
	row("limits", fmt.Sprintf("concurrency %s, body_bytes %s, header_bytes %s, request_timeout %s",
		number(int64(m.Limits.Concurrency)), number(m.Limits.BodyBytes), number(m.Limits.HeaderBytes), timeout))
	row("restart", fmt.Sprintf("max %s, window %s", number(int64(m.Restart.Max)), m.Restart.Window))
	row("drain_timeout", m.DrainTimeout)
	if len(m.Ends) > 0 {
		row("ended before", endsOf(m.Ends))
	}
	return t.Flush()
}

// endsOf has a line for each process that has ended, the latest first, and those
// of its reason.
func endsOf(ends []wire.ModuleEnd) string {
	var lines []string
	for _, e := range slices.Backward(ends) {
		line := e.Time.Format(time.RFC3339)
		if e.PID != 0 {
			line += fmt.Sprintf("  pid %d", e.PID)
		}
		if e.Ordered {
			line += "  " + e.Exit
		}
		lines = append(lines, line+"  "+strings.ReplaceAll(e.Reason, "\n", "\n  "))
	}
	return strings.Join(lines, "\n")
}

// An order is a command that changes one module.
type order struct {
	use, short, long string
	give             func(context.Context, *admin.Client, string) (supervisor.Status, error)
}

func orderCommand(s streams, o order) *cobra.Command {
	cmd := &cobra.Command{
		Use: o.use + " NAME", Short: o.short, Long: o.long,
		Args: oneModule, ValidArgsFunction: moduleNames,
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := client(cmd)
		if err != nil {
			return err
		}
		m, err := o.give(cmd.Context(), c, args[0])
		if err != nil {
			return err
		}
		if format.json {
			err = printJSON(s.out, m)
		} else {
			err = printOutcome(s.out, m)
		}
		if err == nil && m.Enabled && (m.State != supervisor.Ready || m.Reason != "") {
			return errors.New(cmp.Or(m.Reason, fmt.Sprintf("module %q is still %s; run \"modhost module show %s\" later", m.Name, m.State, m.Name)))
		}
		return err
	}
	return cmd
}

// printOutcome prints what has become of a module.
func printOutcome(w io.Writer, m supervisor.Status) error {
	text := fmt.Sprintf("%s: %s", m.Name, m.State)
	if m.PID != 0 {
		text += fmt.Sprintf(", pid %d", m.PID)
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
