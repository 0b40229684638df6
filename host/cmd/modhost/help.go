package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// usageTemplate is cobra's, without the word that a command which only holds
// others could be run by itself.
const usageTemplate = `Usage:{{if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND{{else}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Flags of all commands:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableSubCommands}}

"{{.CommandPath}} COMMAND --help" says more about a command.{{end}}
`

// explain gives root its way to print help, and makes cobra's own commands
// complain about what they do not know as ours do.
func explain(root *cobra.Command) {
	root.SetUsageTemplate(usageTemplate)
	root.SetHelpCommand(&cobra.Command{
		Use:               "help [COMMAND]",
		Short:             "Print the help of a command",
		ValidArgsFunction: helpTopics,
		RunE: func(cmd *cobra.Command, args []string) error {
			topic, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usageError{fmt.Errorf("unknown command %q", args[max(0, len(args)-max(1, len(rest)))])}
			}
			topic.InitDefaultHelpFlag()
			return topic.Help()
		},
	})
	root.InitDefaultCompletionCmd()
	completion, _, err := root.Find([]string{"completion"})
	if err != nil { // it was just made
		panic(err)
	}
	completion.Short = "Print a script with which a shell completes modhost's commands"
	completion.Long = "Print a script with which a shell completes modhost's commands, flags and the names of\n" +
		"modules. The help of each shell's command says where to put it."
	completion.Args = noArgs
	completion.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	for _, shell := range completion.Commands() {
		shell.Short = "Print the script for " + shell.Name()
		shell.Args = noArgs
	}
}

// helpTopics completes the commands below those that are there.
func helpTopics(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if topic, rest, err := cmd.Root().Find(args); err == nil && len(rest) == 0 {
		for _, sub := range topic.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, fmt.Sprintf("%s\t%s", sub.Name(), sub.Short))
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
