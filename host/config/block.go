package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
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
	source := slices.Clone(d.src[start.Byte:end.Byte])
	return Block{
		Source:   source,
		Filename: b.TypeRange.Filename,
		Line:     start.Line,
		Column:   start.Column,
		Byte:     start.Byte,
		Env:      env,
		JSON:     text,
		Sum:      sum(source, env),
	}
}

// sum returns what tells one block's meaning from another's: its tokens, but
// for comments and the ends of lines, and the values of the environment
// variables in it.
func sum(source []byte, env map[string]string) string {
	hash := sha256.New()
	tokens, _ := hclsyntax.LexConfig(source, "", hcl.InitialPos) // it was parsed before
	for _, t := range tokens {
		if t.Type == hclsyntax.TokenComment || t.Type == hclsyntax.TokenNewline || t.Type == hclsyntax.TokenEOF {
			continue
		}
		fmt.Fprintf(hash, "%d %q ", t.Type, t.Bytes)
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(hash, "env %q %q ", name, env[name])
	}
	return hex.EncodeToString(hash.Sum(nil))
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
		Sum:      sum(nil, nil),
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
