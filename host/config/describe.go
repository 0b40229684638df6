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

// A Complaint is a diagnostic for programs.
type Complaint struct {
	File   string `json:"file"`   // empty: about the path as a whole
	Line   int    `json:"line"`   // from 1; 0 without a file
	Column int    `json:"column"` // from 1; 0 without a file
	What   string `json:"what"`
	Why    string `json:"why"` // with the remedy
}

// Complaints returns the errors and the warnings of diags, each in the same
// order and not nil.
func Complaints(diags hcl.Diagnostics) (errors, warnings []Complaint) {
	errors, warnings = []Complaint{}, []Complaint{}
	for _, d := range diags {
		c := Complaint{What: d.Summary, Why: d.Detail}
		if d.Subject != nil {
			c.File, c.Line, c.Column = d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column
		}
		if d.Severity == hcl.DiagWarning {
			warnings = append(warnings, c)
		} else {
			errors = append(errors, c)
		}
	}
	return errors, warnings
}

// String returns what Describe does.
func (c Complaint) String() string {
	d := &hcl.Diagnostic{Summary: c.What, Detail: c.Why}
	if c.File != "" {
		d.Subject = &hcl.Range{Filename: c.File, Start: hcl.Pos{Line: c.Line, Column: c.Column}}
	}
	return Describe(d)
}
