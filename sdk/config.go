package sdk

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// A FieldError says what is wrong with one attribute of a module's config.
type FieldError struct {
	Field  string // the name in the config
	Reason string
}

func (e *FieldError) Error() string { return fmt.Sprintf("%s: %s", e.Field, e.Reason) }

// Invalid makes a [FieldError] for Validate to return: the complaint is shown
// at the line and column of that attribute. Say what is wrong, with the value
// in quotes, and what to write instead. Join several with [errors.Join].
func Invalid(field, format string, args ...any) error {
	return &FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// decode reads a config block over defaults and validates the result. All
// positions are those of the user's file. Without a block the defaults stand.
func decode[C any](defaults C, block *wirepb.ConfigBlock) (C, []*wirepb.Diagnostic) {
	cfg := defaults
	start := hcl.Pos{Line: int(block.GetLine()), Column: int(block.GetColumn()), Byte: int(block.GetByte())}
	var body *hclsyntax.Body
	var diags hcl.Diagnostics
	if block != nil {
		var file *hcl.File
		file, diags = hclsyntax.ParseConfig(block.GetSource(), block.GetFilename(), start)
		if !diags.HasErrors() {
			body = file.Body.(*hclsyntax.Body)
			diags = append(diags, decodeBody(body, scope(block.GetEnv()), reflect.ValueOf(&cfg).Elem())...)
		}
	}
	if !diags.HasErrors() {
		diags = append(diags, validate(&cfg, body, hcl.Range{Filename: block.GetFilename(), Start: start, End: start})...)
	}
	out := make([]*wirepb.Diagnostic, 0, len(diags))
	for _, d := range diags {
		out = append(out, diagnostic(d))
	}
	return cfg, out
}

// scope is what a config may use: env("NAME"), with the values that the host
// has found. The plugin's own environment is not the user's.
func scope(env map[string]string) *hcl.EvalContext {
	return &hcl.EvalContext{Functions: map[string]function.Function{
		"env": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "name", Type: cty.String}},
			Type:   function.StaticReturnType(cty.String),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				name := args[0].AsString()
				value, ok := env[name]
				if !ok {
					return cty.NilVal, function.NewArgErrorf(0, "environment variable %q is not set; set it for the host", name)
				}
				return cty.StringVal(value), nil
			},
		}),
	}}
}

// validate asks the config itself. block is where complaints go that name no
// attribute, or one that was left out.
func validate(cfg any, body *hclsyntax.Body, block hcl.Range) hcl.Diagnostics {
	v, ok := cfg.(interface{ Validate() error })
	if !ok {
		return nil
	}
	var diags hcl.Diagnostics
	for _, err := range split(v.Validate()) {
		d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Invalid config", Detail: err.Error(), Subject: block.Ptr()}
		var field *FieldError
		if errors.As(err, &field) {
			d.Summary, d.Detail = fmt.Sprintf("Invalid value for %q", field.Field), field.Reason
			if body != nil && body.Attributes[field.Field] != nil {
				d.Subject = body.Attributes[field.Field].Expr.Range().Ptr()
			}
		}
		diags = append(diags, d)
	}
	return diags
}

// split undoes errors.Join.
func split(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

func diagnostic(d *hcl.Diagnostic) *wirepb.Diagnostic {
	out := &wirepb.Diagnostic{Severity: wirepb.Diagnostic_ERROR, Summary: d.Summary, Detail: d.Detail}
	if d.Severity == hcl.DiagWarning {
		out.Severity = wirepb.Diagnostic_WARNING
	}
	if s := d.Subject; s != nil {
		out.Filename, out.Line, out.Column = s.Filename, int32(s.Start.Line), int32(s.Start.Column)
	}
	return out
}

func hasErrors(diags []*wirepb.Diagnostic) bool {
	for _, d := range diags {
		if d.GetSeverity() == wirepb.Diagnostic_ERROR {
			return true
		}
	}
	return false
}
