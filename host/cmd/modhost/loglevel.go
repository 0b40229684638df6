package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// levels are those that a log can have, the most talkative first.
var levels = []string{"trace", "debug", "info", "warn", "error"}

// logLevelCommand returns the command modhost log-level.
func logLevelCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log-level [LEVEL]",
		Short: "Print or set the log level of a running host and its modules",
		Long: "Print the log level of a running host, or set it for the host and all modules: to\n" +
			"trace, debug, info, warn or error. It stays so until the next reload or restart.",
		ValidArgs: levels,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("takes one level, not also %q", args[1])}
			}
			if len(args) == 1 && !slices.Contains(levels, args[0]) {
				return usageError{fmt.Errorf("%q is no level; use one of %s", args[0], strings.Join(levels, ", "))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return c.SetLogLevel(cmd.Context(), args[0])
			}
			level, err := c.LogLevel(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(s.out, level)
			return err
		},
	}
	return cmd
}
