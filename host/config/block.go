package config

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// block returns the body of a module's config block without looking for a
// meaning in it.
func (d *decoder) block(b *hclsyntax.Block) Block {
	start, end := b.OpenBraceRange.End, b.CloseBraceRange.Start
	env := map[string]string{}
	text, err := json.Marshal(d.object(b.Body, env))
	if err != nil {
		d.complain(b.TypeRange, "config", err.Error()+"; write it otherwise")
	}
	return Block{
		Source:   slices.Clone(d.src[start.Byte:end.Byte]),
		Filename: b.TypeRange.Filename,
		Line:     start.Line,
		Column:   start.Column,
		Byte:     start.Byte,
		Env:      env,
		JSON:     text,
	}
}

// noBlock is the Block of a module without a config block.
func noBlock(m *hclsyntax.Block) Block {
	start := m.TypeRange.Start
	return Block{
		Filename: m.TypeRange.Filename,
		Line:     start.Line,
		Column:   start.Column,
		Byte:     start.Byte,
		Env:      map[string]string{},
		JSON:     []byte("{}"),
	}
}

// object evaluates a body: attributes by name, and blocks by type and then
// by each label. A block that occurs once is an object, one that occurs
// more often under the same labels a list of objects. It adds the
// environment variables used to env.
func (d *decoder) object(b *hclsyntax.Body, env map[string]string) map[string]any {
	object := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(b.Attributes)) {
		v, used, ok := d.evaluate(b.Attributes[name].Expr)
		if !ok {
			continue
		}
		maps.Copy(env, used)
		text, err := ctyjson.Marshal(v, v.Type())
		if err != nil {
			d.complain(b.Attributes[name].Expr.Range(), name, err.Error()+"; write it otherwise")
			continue
		}
		object[name] = json.RawMessage(text)
	}
	for _, b := range b.Blocks {
		at, key := object, b.Type
		for _, label := range b.Labels {
			next, ok := at[key].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[key] = next
			}
			at, key = next, label
		}
		inner := d.object(b.Body, env)
		switch before := at[key].(type) {
		case nil:
			at[key] = inner
		case []any:
			at[key] = append(before, inner)
		default:
			at[key] = []any{before, inner}
		}
	}
	return object
}
