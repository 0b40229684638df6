package wire

import (
	"net/http"
	"strings"
	"testing"
)

// Source: W3C Trace Context, level 2, sections 3.2 and 4.
func TestTraceID(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for _, c := range []struct{ name, header, want string }{
		{"valid", "00-" + id + "-00f067aa0ba902b7-01", id},
		{"spaces around it", " 00-" + id + "-00f067aa0ba902b7-01\t", id},
		{"unknown flags", "00-" + id + "-00f067aa0ba902b7-ff", id},
		{"later version", "cc-" + id + "-00f067aa0ba902b7-01", id},
		{"later version with more", "cc-" + id + "-00f067aa0ba902b7-01-what-the-future-holds", id},
		{"none", "", ""},
		{"later version, more without a dash", "cc-" + id + "-00f067aa0ba902b7-01.what", ""},
		{"version 00 with more", "00-" + id + "-00f067aa0ba902b7-01-more", ""},
		{"version ff", "ff-" + id + "-00f067aa0ba902b7-01", ""},
		{"version no hex", "0x-" + id + "-00f067aa0ba902b7-01", ""},
		{"upper case", "00-" + strings.ToUpper(id) + "-00f067aa0ba902b7-01", ""},
		{"upper case parent", "00-" + id + "-00F067aa0ba902b7-01", ""},
		{"upper case flags", "00-" + id + "-00f067aa0ba902b7-0A", ""},
		{"zero trace id", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", ""},
		{"zero parent id", "00-" + id + "-0000000000000000-01", ""},
		{"short trace id", "00-" + id[1:] + "-00f067aa0ba902b7-01", ""},
		{"long trace id", "00-" + id + "0-00f067aa0ba902b7-01", ""},
		{"no hex", "00-" + id[:31] + "g-00f067aa0ba902b7-01", ""},
		{"dash in the trace id", "00-" + id[:31] + "--00f067aa0ba902b7-01", ""},
		{"cut short", "00-" + id + "-00f067aa0ba902b7-0", ""},
		{"no dashes", "00_" + id + "_00f067aa0ba902b7_01", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			if c.header != "" {
				h.Set("traceparent", c.header)
			}
			if got := TraceID(h); got != c.want {
				t.Errorf("TraceID(%q) = %q, want %q", c.header, got, c.want)
			}
		})
	}
	two := http.Header{"Traceparent": {"00-" + id + "-00f067aa0ba902b7-01", "00-" + id + "-00f067aa0ba902b7-01"}}
	if got := TraceID(two); got != "" {
		t.Errorf("TraceID of two headers = %q, want none", got)
	}
}
