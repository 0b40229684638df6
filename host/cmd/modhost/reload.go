package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcd-modules/modhost/host/admin"
)

// reloadCommand returns the command modhost config reload.
func reloadCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the running host take its config file over",
		Long: "Have the running host take its config file over, as SIGHUP does, and say what changes.\n" +
			"The whole file is checked first, each module's part by its plugin: with an error\n" +
			"anywhere nothing is changed. Then only what differs is touched.",
		Args: noArgs,
	}
	format := outputFlag(cmd)
	dry := cmd.Flags().Bool("dry-run", false, "only check, and say what would change")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := client(cmd)
		if err != nil {
			return err
		}
		report, err := c.Reload(cmd.Context(), *dry)
		if err != nil {
			return err
		}
		if format.json {
			err = printJSON(s.out, report)
		} else if len(report.Complaints) == 0 {
			err = printReport(s.out, report)
		}
		if !format.json {
			printWarnings(s.err, report.Warnings)
		}
		if err != nil {
			return err
		}
		return judge(report, format.json)
	}
	return cmd
}

// judge makes an error of a report that is no good news. In JSON the report
// has said it all.
func judge(r *admin.Report, said bool) error {
	if len(r.Complaints) > 0 {
		if said {
			return errReported
		}
		var lines []string
		for _, c := range r.Complaints {
			lines = append(lines, c.String())
		}
		return configError{strings.Join(append(lines, "config refused, nothing was changed"), "\n")}
	}
	var failed []string
	for _, ch := range r.Changes {
		if ch.Failed() {
			failed = append(failed, ch.Reason) // names the module
		}
	}
	if failed != nil {
		return fmt.Errorf("the config was taken over, but %s", strings.Join(failed, "\n"))
	}
	return nil
}

// fate says what has become of a process, or would.
func fate(ch admin.Change) string {
	word := map[string]string{
		admin.Start: "started", admin.Replace: "replaced", admin.Stop: "stopped", admin.Keep: "kept",
	}[ch.Process]
	if ch.Failed() && (ch.Process == admin.Start || ch.Process == admin.Replace) {
		return "not " + word
	}
	return word
}

// printReport prints one line for each change.
func printReport(w io.Writer, r *admin.Report) error {
	var b strings.Builder
	for _, ch := range r.Changes {
		who := "host"
		if ch.Module != "" {
			who = fmt.Sprintf("module %q", ch.Module)
		}
		fmt.Fprintf(&b, "%s: %s", who, ch.Kind)
		if len(ch.Settings) > 0 {
			fmt.Fprintf(&b, " %s", strings.Join(ch.Settings, ", "))
		}
		if ch.Process != "" {
			fmt.Fprintf(&b, "; process %s", fate(ch))
		}
		if ch.State != "" {
			fmt.Fprintf(&b, "; %s", ch.State)
		}
		if ch.PID != 0 {
			fmt.Fprintf(&b, ", pid %d", ch.PID)
		}
		b.WriteByte('\n')
	}
	switch {
	case r.DryRun && len(r.Changes) == 0:
		b.WriteString("the config is good; it would change nothing\n")
	case r.DryRun:
		b.WriteString("the config is good; this is what it would change\n")
	case len(r.Changes) == 0:
		b.WriteString("config reloaded; nothing has changed\n")
	default:
		b.WriteString("config reloaded\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
