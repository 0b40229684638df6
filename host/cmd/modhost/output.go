package main

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/cobra"
)

// output is the value of a flag --output.
type output struct{ json bool }

// outputFlag adds --output to a command that prints facts.
func outputFlag(cmd *cobra.Command) *output {
	o := &output{}
	cmd.Flags().Var(o, "output", "how to print facts: `text|json`")
	return o
}

// String implements pflag.Value.
func (o *output) String() string {
	if o.json {
		return "json"
	}
	return "text"
}

// Set implements pflag.Value.
func (o *output) Set(s string) error {
	if s != "text" && s != "json" {
		return errors.New("neither text nor json")
	}
	o.json = s == "json"
	return nil
}

// Type implements pflag.Value.
func (o *output) Type() string { return "text|json" }

// printJSONLine prints v on one line.
func printJSONLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printJSON prints v on one or more lines for people and programs.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
