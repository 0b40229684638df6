package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Describe returns d on one line: "file:line:column: what: why; remedy".
// Without a position the line begins with what.
func Describe(d *hcl.Diagnostic) string {
	var b strings.Builder
	if s := d.Subject; s != nil {
		fmt.Fprintf(&b, "%s: ", position(*s))
	}
	b.WriteString(d.Summary)
	if d.Detail != "" {
		b.WriteString(": ")
		b.WriteString(strings.Join(strings.Fields(d.Detail), " "))
	}
	return b.String()
}

// position returns the start of r as people and editors read it.
func position(r hcl.Range) string {
	return fmt.Sprintf("%s:%d:%d", r.Filename, r.Start.Line, r.Start.Column)
}
