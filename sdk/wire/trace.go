package wire

import (
	"net/http"
	"strings"
)

// What a traceparent of version 00 is made of: version, trace id, parent id
// and flags in lower-case hex, with dashes between them. Later versions may
// append more after another dash.
const (
	traceIDAt     = len("00-")
	parentIDAt    = traceIDAt + 32 + 1
	flagsAt       = parentIDAt + 16 + 1
	traceparentOf = flagsAt + 2 // its whole length
)

// TraceID returns the trace id in a request's traceparent header: 32 digits of
// lower-case hex, not all zero. It is "" when there is no such header, more
// than one, or a malformed one, which by the standard has to be ignored.
// Source: W3C Trace Context, "Traceparent Header Field Values".
func TraceID(h http.Header) string {
	values := h["Traceparent"]
	if len(values) != 1 {
		return ""
	}
	v := strings.Trim(values[0], " \t")
	if len(v) < traceparentOf || v[traceIDAt-1] != '-' || v[parentIDAt-1] != '-' || v[flagsAt-1] != '-' {
		return ""
	}
	version, id, parent, flags := v[:traceIDAt-1], v[traceIDAt:parentIDAt-1], v[parentIDAt:flagsAt-1], v[flagsAt:traceparentOf]
	switch {
	case !isHex(version) || version == "ff":
		return ""
	case version == "00" && len(v) > traceparentOf:
		return ""
	case len(v) > traceparentOf && v[traceparentOf] != '-':
		return ""
	case !isHex(id) || !isHex(parent) || !isHex(flags) || isZero(id) || isZero(parent):
		return ""
	}
	return id
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

func isZero(s string) bool { return strings.Trim(s, "0") == "" }

// LogFields returns by what log lines name the request with that id, which may
// be "", and those headers: pairs of key and value, request_id and trace_id. An
// id that there is none of is left out.
func LogFields(requestID string, h http.Header) []any {
	var fields []any
	if requestID != "" {
		fields = append(fields, "request_id", requestID)
	}
	if id := TraceID(h); id != "" {
		fields = append(fields, "trace_id", id)
	}
	return fields
}
