package server

import (
	"bytes"
	_ "embed"
	"html/template"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

//go:embed listing.html
var listingHTML string

// listing shows all modules: JSON, or a page for who asks for HTML, which
// only browsers do. Source: module documentation, "Routes of the host".
func (s *Server) listing(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	modules := s.modules()
	if !wantsHTML(r.Header.Values("Accept")) {
		writeJSON(w, modules)
		return
	}
	var page bytes.Buffer
	if err := template.Must(template.New("listing").Parse(listingHTML)).Execute(&page, modules); err != nil {
		panic(err) // the template and the type of modules don't match
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	w.Write(page.Bytes()) //nolint:errcheck // the client is gone, nobody left to tell
}

// wantsHTML reports whether the Accept header names text/html and does not
// rank application/json above it. Wildcards stand for JSON.
func wantsHTML(accept []string) bool {
	html, js := 0.0, 0.0
	for _, field := range accept {
		for _, r := range strings.Split(field, ",") {
			kind, params, err := mime.ParseMediaType(strings.TrimSpace(r))
			if err != nil {
				continue
			}
			q := 1.0
			if v, err := strconv.ParseFloat(params["q"], 64); err == nil {
				q = v
			}
			switch kind {
			case "text/html":
				html = q
			case "application/json":
				js = q
			}
		}
	}
	return html > 0 && html >= js
}
