package sdk

import (
	"net/http"

	"github.com/hashicorp/go-hclog"

	"github.com/etcd-modules/modhost/sdk/wire"
)

// LoggerOf returns l for what is to be logged about r: each line carries r's
// request_id, by which the host's log and the client know it too, and its
// trace_id, if it has a valid W3C traceparent header. It allocates, so call it
// when there is something to say. Outside a host there is no request_id; a nil
// l is one that drops everything. Safe for concurrent use.
func LoggerOf(r *http.Request, l hclog.Logger) hclog.Logger {
	if l == nil {
		return hclog.NewNullLogger()
	}
	return l.With(wire.LogFields(RequestOf(r).RequestID(), r.Header)...)
}
