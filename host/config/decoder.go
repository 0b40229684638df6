package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// decoder fills a Config from one or several files.
type decoder struct {
	cfg     *Config
	diags   hcl.Diagnostics
	broken  bool   // some file could not be parsed
	lenient bool   // what is left of a broken file will do
	src     []byte // of the file being decoded
	top     *level

	at     map[string]hcl.Range // where a value was set, by its path; for checks across values
	mounts []mount              // of all modules, in the order of the files
}

// newDecoder returns a decoder for one Load.
func newDecoder() *decoder {
	d := &decoder{cfg: defaults(), at: map[string]hcl.Range{}}
	d.cfg.at = d.at
	d.top = d.topLevel()
	return d
}

// complain adds an error at r.
func (d *decoder) complain(r hcl.Range, what, why string) {
	d.diags = append(d.diags, &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: what, Detail: why, Subject: r.Ptr(),
	})
}

// level describes what may stand between one pair of braces, and is the only
// place that says so: what is not in its tables is an error.
type level struct {
	path   string // begins complaints and keys of decoder.at; "" at the top
	attrs  map[string]func(*hclsyntax.Attribute)
	blocks map[string]func(*hclsyntax.Block)
	labels map[string]string    // blocks that have one label: what it is
	seen   map[string]hcl.Range // where each name, or name and label, stood first
}

// name returns how complaints call the attribute or block n of this level.
func (l *level) name(n string) string {
	switch {
	case l.path == "":
		return n
	case strings.HasSuffix(l.path, `"`): // module "lock": enabled
		return l.path + ": " + n
	default: // etcd.prefix
		return l.path + "." + n
	}
}

// decode passes everything in b to its function.
func (l *level) decode(d *decoder, b *hclsyntax.Body) {
	for _, n := range slices.Sorted(maps.Keys(b.Attributes)) {
		a := b.Attributes[n]
		set, ok := l.attrs[n]
		switch {
		case !ok:
			l.unknown(d, n, "attribute", a.NameRange)
		case l.first(d, n, n, a.NameRange):
			d.at[l.name(n)] = a.Expr.Range()
			set(a)
		}
	}
	for _, b := range b.Blocks {
		set, ok := l.blocks[b.Type]
		switch {
		case !ok:
			l.unknown(d, b.Type, "block", b.TypeRange)
		case l.labelled(d, b):
			set(b)
		}
	}
}

// labelled reports whether the block has the labels it should have and is the
// first of its kind.
func (l *level) labelled(d *decoder, b *hclsyntax.Block) bool {
	name := l.name(b.Type)
	label, wanted := l.labels[b.Type]
	switch {
	case !wanted && len(b.Labels) > 0:
		d.complain(b.LabelRanges[0], fmt.Sprintf("%s %q", name, b.Labels[0]),
			fmt.Sprintf("this block has no label; write %s { ... }", b.Type))
		return false
	case wanted && len(b.Labels) == 0:
		d.complain(b.TypeRange, name,
			fmt.Sprintf("%s is missing; write %s \"name\" { ... }", label, b.Type))
		return false
	case wanted && len(b.Labels) > 1:
		d.complain(b.LabelRanges[1], fmt.Sprintf("%s %q", name, b.Labels[0]),
			fmt.Sprintf("only %s may follow; remove %q", label, b.Labels[1]))
		return false
	case wanted:
		return l.first(d, b.Type+" "+b.Labels[0], fmt.Sprintf("%s %q", b.Type, b.Labels[0]), b.TypeRange)
	}
	return l.first(d, b.Type, b.Type, b.TypeRange)
}

// first reports whether key has not been seen, and complains if it has. The
// parser has the same complaint for attributes, but only within one file.
func (l *level) first(d *decoder, key, name string, r hcl.Range) bool {
	before, again := l.seen[key]
	if again {
		d.complain(r, l.name(name), fmt.Sprintf("already set at %s; remove one of the two", position(before)))
		return false
	}
	if l.seen == nil {
		l.seen = map[string]hcl.Range{}
	}
	l.seen[key] = r
	return true
}

// unknown complains about the name n of an attribute or block.
func (l *level) unknown(d *decoder, n, kind string, r hcl.Range) {
	what := l.name(n)
	_, isAttr := l.attrs[n]
	_, isBlock := l.blocks[n]
	switch {
	case isAttr:
		d.complain(r, what, fmt.Sprintf("is an attribute, not a block; write %s = ...", n))
		return
	case isBlock:
		form := n
		if l.labels[n] != "" {
			form += ` "name"`
		}
		d.complain(r, what, fmt.Sprintf("is a block, not an attribute; write %s { ... } without \"=\"", form))
		return
	}
	known := slices.Concat(slices.Sorted(maps.Keys(l.attrs)), slices.Sorted(maps.Keys(l.blocks)))
	remedy := "known here: " + strings.Join(known, ", ")
	if s := Nearest(n, known); s != "" {
		remedy = fmt.Sprintf("did you mean %q?", s)
	}
	d.complain(r, what, fmt.Sprintf("unknown %s; %s", kind, remedy))
}

// Nearest returns the known name that was likely meant by given, or "".
func Nearest(given string, known []string) string {
	best, result := 3, ""
	for _, k := range known {
		// Three changes make any short name into any other.
		if n := levenshtein.Distance(given, k, nil); n < best && n < len(k) {
			best, result = n, k
		}
	}
	return result
}
