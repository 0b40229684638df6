package config

import (
	"fmt"
	"os"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// evaluate returns the value of e and the environment variables it uses. On
// false it has complained.
func (d *decoder) evaluate(e hclsyntax.Expression) (cty.Value, map[string]string, bool) {
	env, ok := d.env(e)
	if !ok {
		return cty.NilVal, nil, false
	}
	v, diags := e.Value(scope(env))
	d.diags = append(d.diags, diags...)
	return v, env, !diags.HasErrors()
}

// env finds the env("NAME") calls in e and returns their names and values. It
// goes by the text, not by what evaluation happens to call, so that the
// plugin, which evaluates the same text again, has every value it can need.
func (d *decoder) env(e hclsyntax.Expression) (map[string]string, bool) {
	found, before := map[string]string{}, len(d.diags)
	for _, free := range e.Variables() {
		d.complain(free.SourceRange(), free.RootName(),
			fmt.Sprintf("there are no variables; put a text in quotes: %q", free.RootName()))
	}
	hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		call, ok := n.(*hclsyntax.FunctionCallExpr)
		if !ok {
			return nil
		}
		if call.Name != "env" {
			d.complain(call.NameRange, call.Name+"()", `unknown function; the only one is env("NAME")`)
			return nil
		}
		name, ok := literal(call)
		if !ok {
			d.complain(call.Range(), "env()", `needs one name in plain quotes; write env("NAME")`)
			return nil
		}
		value, ok := os.LookupEnv(name)
		if !ok {
			d.complain(call.Range(), fmt.Sprintf("env(%q)", name),
				fmt.Sprintf("the environment variable is not set; set %s or write the value here", name))
			return nil
		}
		found[name] = value
		return nil
	})
	return found, len(d.diags) == before
}

// literal returns the argument of a call that has one, a plain text that can
// name an environment variable.
func literal(call *hclsyntax.FunctionCallExpr) (string, bool) {
	if len(call.Args) != 1 || call.ExpandFinal {
		return "", false
	}
	t, ok := call.Args[0].(*hclsyntax.TemplateExpr)
	if !ok || !t.IsStringLiteral() {
		return "", false
	}
	v, diags := t.Value(nil)
	if diags.HasErrors() || v.AsString() == "" {
		return "", false
	}
	return v.AsString(), true
}

// scope is what an expression can use: env, answered from known values only.
func scope(values map[string]string) *hcl.EvalContext {
	return &hcl.EvalContext{Functions: map[string]function.Function{
		"env": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "name", Type: cty.String}},
			Type:   function.StaticReturnType(cty.String),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				return cty.StringVal(values[args[0].AsString()]), nil
			},
		}),
	}}
}
