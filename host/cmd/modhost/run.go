package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/etcd-modules/modhost/host/admin"
	"github.com/etcd-modules/modhost/sdk/wire"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage or config

	exitUnreachable = 5 // no host answers
)

// streams are where commands print: facts to out, the rest to err.
type streams struct{ out, err io.Writer }

// usageError is an error in the command line.
type usageError struct{ error }

// Unwrap returns the error without its kind.
func (e usageError) Unwrap() error { return e.error }

// configError says that the config is not usable.
type configError struct{ text string }

func (e configError) Error() string { return e.text }

// errReported is returned by commands that have printed what is wrong, as
// part of the facts that were asked for.
var errReported = errors.New("reported")

// run runs the command that args name and returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	root := command(s)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	return report(s.err, cmd.CommandPath(), err)
}

// report prints what is to be said about the error of a command, which is named
// by its path, and returns the exit code.
func report(w io.Writer, command string, err error) int {
	var usage usageError
	var config configError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errReported):
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintf(w, "%s: %v; run \"%s --help\"\n", command, err, command)
		return exitUsage
	case errors.As(err, &config):
		fmt.Fprintln(w, err)
		return exitUsage
	case errors.Is(err, admin.ErrUnreachable):
		fmt.Fprintf(w, "modhost: %v\n", err)
		return exitUnreachable
	}
	var answer *wire.Error
	if errors.As(err, &answer) { // its fixed message adds nothing for people
		err = errors.New(answer.Cause)
	}
	fmt.Fprintf(w, "modhost: %v\n", err)
	return exitFailed
}

// command returns the command modhost.
func command(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "modhost",
		Short: "HTTP modules as plugins, their state in etcd",
		Long: "modhost serves HTTP for modules. Each module runs as a plugin, a process of its own, and\n" +
			"keeps its state in etcd.\n\n" +
			"\"modhost serve\" runs the host. The commands module, log-level and \"config reload\" give\n" +
			"orders to a host that runs: call them in its working directory and with its config, which\n" +
			"says where it takes orders. \"config check\" and \"config show\" need no host.\n\n" +
			"Exit codes: 0 done, 1 failed, 2 wrong usage or config, 5 no host answers.",
		SilenceUsage:  true, // report prints
		SilenceErrors: true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.PersistentFlags().String("config", "", "config `FILE|DIR`; without it $MODHOST_CONFIG,\n"+
		"./modhost.hcl or /etc/modhost/modhost.hcl, the first that exists")
	root.AddCommand(serveCommand(s), configCommand(s), moduleCommand(s), logLevelCommand(s), versionCommand(s))
	explain(root)
	return root
}

// noArgs complains about arguments. Those of a command that only holds others
// were meant to name one of them.
func noArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case !cmd.HasSubCommands():
		return usageError{fmt.Errorf("takes no argument %q", args[0])}
	}
	cmd.SuggestionsMinimumDistance = 2
	if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
		return usageError{fmt.Errorf("unknown command %q; did you mean %q?", args[0], names[0])}
	}
	return usageError{fmt.Errorf("unknown command %q", args[0])}
}
