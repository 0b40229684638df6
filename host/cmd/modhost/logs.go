package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcd-modules/modhost/host/supervisor"
)

// moduleLogsCommand returns the command modhost module logs.
func moduleLogsCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logs NAME",
		Short: "Print the last lines of a module's log",
		Long: "Print the last lines that a module has logged or printed, at most 200, over all of its\n" +
			"processes, and what became of those. With --output json each line is an object.",
		Args:              oneModule,
		ValidArgsFunction: moduleNames,
	}
	format := outputFlag(cmd)
	follow := cmd.Flags().BoolP("follow", "f", false, "go on with the lines that come, until interrupted")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := client(cmd)
		if err != nil {
			return err
		}
		err = c.Logs(cmd.Context(), args[0], *follow, func(l supervisor.LogLine) error { return printLine(s, format, l) })
		if *follow && errors.Is(err, context.Canceled) {
			return nil // interrupted, as said
		}
		return err
	}
	return cmd
}

func printLine(s streams, format *output, l supervisor.LogLine) error {
	if format.json {
		return printJSONLine(s.out, l)
	}
	_, err := fmt.Fprintf(s.out, "%s %-7s %s\n", l.Time.Format("2006-01-02T15:04:05.000Z07:00"), "["+strings.ToUpper(l.Level)+"]", l.Text)
	return err
}
