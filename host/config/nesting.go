package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The parser and the evaluation call themselves for each level of nesting and
// for each operator of a chain. Some 100 KiB of "(" or "-" overflow the
// stack, which nothing can recover from, so both are bounded beforehand.
const (
	maxDepth = 500    // blocks, brackets and templates within each other
	maxTerms = 10_000 // operators, names and brackets of one value or one element of a list
)

// nesting complains if src is beyond these bounds.
func nesting(src []byte, name string) hcl.Diagnostics {
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos) // the parser has the same complaints
	depth, terms := 0, 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOParen, hclsyntax.TokenOBrack, hclsyntax.TokenOBrace,
			hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl, hclsyntax.TokenOQuote:
			depth++
		case hclsyntax.TokenCParen, hclsyntax.TokenCBrack, hclsyntax.TokenCBrace,
			hclsyntax.TokenTemplateSeqEnd, hclsyntax.TokenCQuote:
			depth--
		}
		switch t.Type {
		case hclsyntax.TokenComma, hclsyntax.TokenEqual:
			terms = 0
		case hclsyntax.TokenNewline, hclsyntax.TokenComment, hclsyntax.TokenStringLit, hclsyntax.TokenQuotedLit:
		default:
			terms++
		}
		if depth > maxDepth || terms > maxTerms {
			return hcl.Diagnostics{{
				Severity: hcl.DiagError,
				Summary:  "nesting",
				Detail:   "deeper or longer than any config needs; name the right file",
				Subject:  t.Range.Ptr(),
			}}
		}
	}
	return nil
}
