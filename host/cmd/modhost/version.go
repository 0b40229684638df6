package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/spf13/cobra"
)

// stamped is set by the linker, with -X main.stamped=v1.2.3, for builds
// outside of version control.
var stamped string

// version returns the version of this program: as stamped, else that of the
// Go module, which go build takes from version control.
func version() string {
	if stamped != "" {
		return stamped
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}

// versionCommand returns the command modhost version.
func versionCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
	}
	format := outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		v := struct {
			Version  string `json:"version"`
			Go       string `json:"go"`
			OS       string `json:"os"`
			Arch     string `json:"arch"`
			Protocol int    `json:"protocol"` // of the wire contract with plugins
		}{version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, wire.ProtocolVersion}
		if format.json {
			return printJSON(s.out, v)
		}
		_, err := fmt.Fprintf(s.out, "modhost %s (%s, %s/%s, plugin protocol %d)\n", v.Version, v.Go, v.OS, v.Arch, v.Protocol)
		return err
	}
	return cmd
}
