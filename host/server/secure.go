package server

import (
	"net/http"
	"net/netip"
	"strings"
)

// secure adds to the head of an answer what keeps pages of other sites from
// using it, where the module has said nothing else. A module takes a header away
// by setting it to no values.
func secure(h http.Header, trustworthy bool) {
	unless := func(name, value string) {
		if _, set := h[name]; !set {
			h[name] = []string{value}
		}
	}
	unless("X-Content-Type-Options", "nosniff")
	unless("Referrer-Policy", "same-origin")
	unless("Cross-Origin-Resource-Policy", "same-origin")
	if trustworthy {
		unless("Cross-Origin-Opener-Policy", "same-origin")
	}
	if !strings.Contains(strings.Join(h["Content-Security-Policy"], ";"), "frame-ancestors") {
		unless("X-Frame-Options", "DENY")
	}
}

// trustworthy reports whether a browser takes the host's origin for one that
// nobody on the way can forge: by https, or on the same machine. For others it
// ignores Cross-Origin-Opener-Policy and complains about it in the console.
// Sec-Fetch-Site is sent to such origins alone, which tells of a proxy with TLS.
func trustworthy(r *http.Request) bool {
	if r.TLS != nil || r.Header.Get("Sec-Fetch-Site") != "" {
		return true
	}
	name := hostname(r.Host)
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback() || strings.EqualFold(name, "localhost")
}
