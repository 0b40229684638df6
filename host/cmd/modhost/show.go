package main

import (
	"github.com/spf13/cobra"

	"github.com/etcd-modules/modhost/host/config"
)

// showCommand returns the command modhost config show.
func showCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the config with all defaults filled in",
		Long: "Print the config with all defaults filled in, as a file that means the same. The\n" +
			"config blocks of modules are printed as written.",
		Args: noArgs,
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		text := config.Format(cfg)
		if format.json {
			if text, err = config.JSON(cfg); err != nil {
				return err
			}
			text = append(text, '\n')
		}
		_, err = s.out.Write(text)
		return err
	}
	return cmd
}
