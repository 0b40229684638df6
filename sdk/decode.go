package sdk

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/gocty"
)

// decodeBody reads body into the struct v by its hcl tags, as package gohcl
// does for "name", "name,optional", "name,block" and "name,label". Beyond that
// it keeps what v holds for names that body lacks, also within a block, and a
// time.Duration is written as in "1m30s". (gohcl is not used because of that,
// and because it brings the writer of HCL with it into every plugin.)
func decodeBody(body hcl.Body, scope *hcl.EvalContext, v reflect.Value) hcl.Diagnostics {
	schema, fields := schemaOf(v.Type())
	content, diags := body.Content(schema)
	if content == nil {
		return diags
	}
	for name, attr := range content.Attributes {
		diags = append(diags, decodeAttribute(attr, scope, v.FieldByIndex(fields[name]))...)
	}
	fresh := make(map[string]bool) // block types whose list was begun
	for _, block := range content.Blocks {
		field := v.FieldByIndex(fields[block.Type])
		if field.Kind() == reflect.Slice {
			if !fresh[block.Type] {
				field.SetZero() // what the user lists replaces the defaults
			}
			item := reflect.New(field.Type().Elem()).Elem()
			diags = append(diags, decodeBlock(block, scope, item)...)
			field.Set(reflect.Append(field, item))
		} else if fresh[block.Type] {
			diags = append(diags, &hcl.Diagnostic{
				Severity: hcl.DiagError,
				Summary:  fmt.Sprintf("Duplicate %s block", block.Type),
				Detail:   fmt.Sprintf("Only one %s block is allowed; put all of it into one.", block.Type),
				Subject:  block.DefRange.Ptr(),
			})
		} else {
			diags = append(diags, decodeBlock(block, scope, field)...)
		}
		fresh[block.Type] = true
	}
	return diags
}

// decodeBlock reads a block into a struct or a pointer to one.
func decodeBlock(block *hcl.Block, scope *hcl.EvalContext, v reflect.Value) hcl.Diagnostics {
	if v.Kind() == reflect.Pointer {
		copied := reflect.New(v.Type().Elem()) // the defaults are not ours to change
		if !v.IsNil() {
			copied.Elem().Set(v.Elem())
		}
		v.Set(copied)
		v = copied.Elem()
	}
	for i, index := range labelsOf(v.Type()) {
		v.FieldByIndex(index).SetString(block.Labels[i])
	}
	return decodeBody(block.Body, scope, v)
}

func decodeAttribute(attr *hcl.Attribute, scope *hcl.EvalContext, field reflect.Value) hcl.Diagnostics {
	value, diags := attr.Expr.Value(scope)
	if diags.HasErrors() {
		return diags
	}
	if err := assign(value, field); err != nil {
		diags = append(diags, &hcl.Diagnostic{
			Severity:    hcl.DiagError,
			Summary:     "Unsuitable value type",
			Detail:      fmt.Sprintf("Unsuitable value for %q: %s.", attr.Name, err),
			Subject:     attr.Expr.Range().Ptr(),
			Expression:  attr.Expr,
			EvalContext: scope,
		})
	}
	return diags
}

func assign(value cty.Value, field reflect.Value) error {
	if value.IsNull() {
		return fmt.Errorf("null is no value; leave the attribute out to have its default")
	}
	if field.Type() == reflect.TypeFor[time.Duration]() {
		if value.Type() != cty.String {
			return fmt.Errorf(`a duration is a string such as "1m30s"`)
		}
		d, err := time.ParseDuration(value.AsString())
		if err != nil {
			return fmt.Errorf(`%q is no duration; write it like "1m30s"`, value.AsString())
		}
		field.SetInt(int64(d))
		return nil
	}
	want, err := gocty.ImpliedType(field.Interface())
	if err != nil {
		return err
	}
	if value, err = convert.Convert(value, want); err != nil {
		return err
	}
	return gocty.FromCtyValue(value, field.Addr().Interface())
}

// schemaOf reads the tags of a struct: what may stand in its body, and the
// field for each name. A tag that it does not know is the author's mistake.
func schemaOf(t reflect.Type) (*hcl.BodySchema, map[string][]int) {
	schema, fields := &hcl.BodySchema{}, make(map[string][]int)
	for _, f := range tagged(t) {
		switch f.kind {
		case "", "optional":
			schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: f.name, Required: f.kind == ""})
		case "block":
			inner := f.typ
			for inner.Kind() == reflect.Slice || inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			header := hcl.BlockHeaderSchema{Type: f.name}
			for _, l := range tagged(inner) {
				if l.kind == "label" {
					header.LabelNames = append(header.LabelNames, l.name)
				}
			}
			schema.Blocks = append(schema.Blocks, header)
		case "label":
			continue
		default:
			panic(fmt.Sprintf("sdk: %s.%s: unknown kind %q in its hcl tag", t, f.name, f.kind))
		}
		fields[f.name] = f.index
	}
	return schema, fields
}

func labelsOf(t reflect.Type) [][]int {
	var out [][]int
	for _, f := range tagged(t) {
		if f.kind == "label" {
			out = append(out, f.index)
		}
	}
	return out
}

type taggedField struct {
	name, kind string
	typ        reflect.Type
	index      []int
}

func tagged(t reflect.Type) []taggedField {
	var out []taggedField
	for _, f := range reflect.VisibleFields(t) {
		if tag, ok := f.Tag.Lookup("hcl"); ok {
			name, kind, _ := strings.Cut(tag, ",")
			out = append(out, taggedField{name: name, kind: kind, typ: f.Type, index: f.Index})
		}
	}
	return out
}
