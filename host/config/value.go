package config

import (
	"fmt"
	"math/big"
	"regexp"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// check looks at a text and returns "why; remedy", or "" if it is fine.
type check func(string) string

// text returns a function that stores an attribute's text.
func (d *decoder) text(l *level, to *string, check check) func(*hclsyntax.Attribute) {
	return func(a *hclsyntax.Attribute) {
		v, ok := d.value(l.name(a.Name), a.Expr, cty.String, `a text in quotes is needed`)
		if !ok {
			return
		}
		if s := v.AsString(); d.fine(l.name(a.Name), s, a.Expr.Range(), check) {
			*to = s
		}
	}
}

// duration returns a function that stores an attribute's duration, which
// must be at least low.
func (d *decoder) duration(l *level, to *time.Duration, low time.Duration) func(*hclsyntax.Attribute) {
	var s string
	set := d.text(l, &s, func(s string) string { return duration(s, low) })
	return func(a *hclsyntax.Attribute) {
		if set(a); s != "" {
			*to, _ = time.ParseDuration(s)
		}
	}
}

// texts returns a function that stores an attribute's list of texts.
func (d *decoder) texts(l *level, to *[]string, check check) func(*hclsyntax.Attribute) {
	return func(a *hclsyntax.Attribute) {
		name := l.name(a.Name)
		v, ok := d.value(name, a.Expr, cty.List(cty.String), `a list of texts is needed; write ["...", "..."]`)
		if !ok {
			return
		}
		var list []string
		for i, e := range v.AsValueSlice() {
			r := element(a.Expr, i)
			if e.IsNull() {
				d.complain(r, name, "null is no text; remove it")
				continue
			}
			if s := e.AsString(); d.fine(name, s, r, check) {
				list = append(list, s)
			}
		}
		*to = list
	}
}

// yesNo returns a function that stores true or false.
func (d *decoder) yesNo(l *level, to *bool) func(*hclsyntax.Attribute) {
	return func(a *hclsyntax.Attribute) {
		if v, ok := d.value(l.name(a.Name), a.Expr, cty.Bool, `neither true nor false; write one of them`); ok {
			*to = v.True()
		}
	}
}

// number returns a function that stores a whole number from 0 to high.
func number[T int | int64](d *decoder, l *level, to *T, high int64) func(*hclsyntax.Attribute) {
	why := fmt.Sprintf("a whole number from 0 to %d is needed", high)
	return func(a *hclsyntax.Attribute) {
		v, ok := d.value(l.name(a.Name), a.Expr, cty.Number, why)
		if !ok {
			return
		}
		n, exact := v.AsBigFloat().Int64()
		if exact != big.Exact || n < 0 || n > high {
			d.complain(a.Expr.Range(), l.name(a.Name), why)
			return
		}
		*to = T(n)
	}
}

// credentials are what a URL has before its address. They are not repeated
// in complaints, which end up in logs.
var credentials = regexp.MustCompile(`//.*@`)

// fine reports whether s passes the check, and complains if not.
func (d *decoder) fine(name, s string, r hcl.Range, check check) bool {
	if check == nil {
		return true
	}
	why := check(s)
	if why != "" {
		d.complain(r, fmt.Sprintf("%s %q", name, credentials.ReplaceAllString(s, "//...@")), why)
	}
	return why == ""
}

// value evaluates e as a value of the type t that is not null. Its complaint
// about another type is why.
func (d *decoder) value(name string, e hclsyntax.Expression, t cty.Type, why string) (cty.Value, bool) {
	v, _, ok := d.evaluate(e)
	if !ok {
		return cty.NilVal, false
	}
	if v.IsNull() {
		d.complain(e.Range(), name, "null is no value; remove the attribute to get its default")
		return cty.NilVal, false
	}
	c, err := convert.Convert(v, t)
	if err != nil {
		d.complain(e.Range(), name, why)
		return cty.NilVal, false
	}
	return c, true
}

// element returns the position of a list's element i, or of the list if it
// was not written out.
func element(e hclsyntax.Expression, i int) hcl.Range {
	if t, ok := e.(*hclsyntax.TupleConsExpr); ok && i < len(t.Exprs) {
		return t.Exprs[i].Range()
	}
	return e.Range()
}
