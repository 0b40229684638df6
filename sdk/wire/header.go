package wire

import (
	"net/http"
	"net/textproto"
	"strings"
	"unicode/utf8"

	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// headersOf puts h on the wire, without what concerns one connection only
// (RFC 9110, 7.6.1) and without the pseudo headers of [http.TrailerPrefix]. A
// name without values is kept: it tells net/http not to add that header. A
// name that is not UTF-8, which only a handler can have made, is none.
func headersOf(h http.Header) []*wirepb.Header {
	if len(h) == 0 {
		return nil
	}
	named := connectionNames(h)
	out := make([]*wirepb.Header, 0, len(h))
	for name, values := range h {
		if hopByHop(name) || named[name] || strings.HasPrefix(name, http.TrailerPrefix) || !utf8.ValidString(name) {
			continue
		}
		out = append(out, newHeader(name, values...))
	}
	return out
}

// newHeader puts one header on the wire. Its values may be any bytes.
func newHeader(name string, values ...string) *wirepb.Header {
	h := &wirepb.Header{Name: name, Values: make([][]byte, len(values))}
	for i, v := range values {
		h.Values[i] = []byte(v)
	}
	return h
}

// valuesOf is what newHeader was given.
func valuesOf(h *wirepb.Header) []string {
	values := make([]string, len(h.Values))
	for i, v := range h.Values {
		values[i] = string(v)
	}
	return values
}

// addHeaders adds what came over the wire to h, with the same exceptions as
// [headersOf]: a plugin in another language may not have made them.
func addHeaders(h http.Header, headers []*wirepb.Header) {
	var named map[string]bool
	for _, x := range headers {
		if textproto.CanonicalMIMEHeaderKey(x.Name) == "Connection" {
			named = connectionNames(http.Header{"Connection": valuesOf(x)})
		}
	}
	for _, x := range headers {
		name := textproto.CanonicalMIMEHeaderKey(x.Name)
		if !hopByHop(name) && !named[name] {
			h[name] = append(h[name], valuesOf(x)...)
		}
	}
}

// connectionNames returns the canonical names that h's Connection lists.
func connectionNames(h http.Header) map[string]bool {
	var names map[string]bool
	for name := range elements(h["Connection"]) {
		if names == nil {
			names = make(map[string]bool)
		}
		names[name] = true
	}
	return names
}

// elements yields the canonical names in a header that is a list of names.
func elements(values []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, v := range values {
			for name := range strings.SplitSeq(v, ",") {
				if name = textproto.TrimString(name); name != "" && !yield(textproto.CanonicalMIMEHeaderKey(name)) {
					return
				}
			}
		}
	}
}

func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// trailersOf puts trailers on the wire: those of h that announced lists, and
// those marked with [http.TrailerPrefix].
func trailersOf(h http.Header, announced []string) []*wirepb.Header {
	var out []*wirepb.Header
	add := func(name string, values []string) {
		if trailerAllowed(name) && len(values) > 0 && utf8.ValidString(name) {
			out = append(out, newHeader(name, values...))
		}
	}
	for _, name := range announced {
		add(name, h[name])
	}
	for name, values := range h {
		if bare, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			add(textproto.CanonicalMIMEHeaderKey(bare), values)
		}
	}
	return out
}

// trailerAllowed keeps out what frames or routes a message (RFC 9110, 6.5.1).
func trailerAllowed(name string) bool {
	switch name {
	case "Content-Length", "Content-Encoding", "Content-Type", "Content-Range", "Host", "Trailer", "Authorization",
		"Cache-Control", "Set-Cookie":
		return false
	}
	return !hopByHop(name)
}

// bodyAllowed reports whether an answer with that status can have a body.
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
