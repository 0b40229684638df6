package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/etcd-modules/modhost/host/supervisor"
	"github.com/etcd-modules/modhost/sdk/wire"
)

// readyTime bounds the question whether etcd answers.
const readyTime = 2 * time.Second

// healthz answers as long as the host is able to.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]string{"status": "ok"})
}

// readyz answers 200 if etcd answers and every enabled module serves, else
// 503 with the first reason that it isn't so. Source: module documentation,
// "Routes of the host".
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	err := s.isReady(r.Context())
	var answer *wire.Error
	switch {
	case err == nil:
		writeJSON(w, map[string]string{"status": "ready"})
	case errors.As(err, &answer):
		wire.WriteError(w, answer)
	default:
		wire.WriteError(w, wire.NewError(wire.CodeStoreUnavailable, err.Error()))
	}
}

func (s *Server) isReady(ctx context.Context) error {
	if s.ready != nil {
		ctx, cancel := context.WithTimeout(ctx, readyTime)
		defer cancel()
		if err := s.ready(ctx); err != nil {
			return err
		}
	}
	for _, m := range s.modules() {
		if !m.Enabled || m.State == supervisor.Ready {
			continue
		}
		code := wire.CodeModuleStarting
		if m.State == supervisor.Failed {
			code = wire.CodeModuleFailed
		}
		cause := fmt.Sprintf("module %q is %s", m.Name, m.State)
		if m.Reason != "" {
			cause += ": " + m.Reason
		}
		return wire.NewError(code, cause)
	}
	return nil
}

// writeJSON answers 200 with v.
func writeJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil { // strings, numbers and times
		panic(err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.Write(append(body, '\n')) //nolint:errcheck // the client is gone, nobody left to tell
}
