package admin

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/julienschmidt/httprouter"

	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/supervisor"
	"github.com/etcd-modules/modhost/sdk/wire"
)

// Handler answers with b. If token is not empty, a request must present it as
// "Authorization: Bearer TOKEN". Orders are logged.
func Handler(b Backend, token string, logger hclog.Logger) http.Handler {
	h := &handler{backend: b, logger: logger}
	r := httprouter.New()
	r.RedirectTrailingSlash, r.RedirectFixedPath = false, false
	r.GET("/v1/modules", h.do(h.list))
	r.GET("/v1/modules/:name", h.do(h.show))
	r.POST("/v1/modules/:name/enable", h.do(h.enable))
	r.POST("/v1/modules/:name/disable", h.do(h.disable))
	r.POST("/v1/modules/:name/restart", h.do(h.restart))
	r.GET("/v1/modules/:name/logs", h.do(h.logs))
	r.POST("/v1/reload", h.do(h.reload))
	r.GET("/v1/log-level", h.do(h.level))
	r.PUT("/v1/log-level", h.do(h.setLevel))
	r.NotFound = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wire.WriteError(w, wire.NewError(wire.CodeNoSuchRoute, fmt.Sprintf("nothing is at %q; GET /v1/modules lists the modules", r.URL.Path)))
	})
	r.MethodNotAllowed = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wire.WriteError(w, wire.NewError(wire.CodeMethodNotAllowed, w.Header().Get("Allow")+" is"))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-Request-Id", rand.Text())
		if !authorized(req, token) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			wire.WriteError(w, wire.NewError(wire.CodeUnauthorized, "present the content of admin.token_file as \"Authorization: Bearer …\""))
			return
		}
		r.ServeHTTP(w, req)
	})
}

func authorized(r *http.Request, token string) bool {
	if token == "" {
		return true
	}
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(given), []byte(token)) == 1
}

type handler struct {
	backend Backend
	logger  hclog.Logger
}

// do turns what a function returns into the answer.
func (h *handler) do(f func(http.ResponseWriter, *http.Request, string) error) httprouter.Handle {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) {
		err := f(w, r, p.ByName("name"))
		var answer *wire.Error
		switch {
		case err == nil:
		case r.Context().Err() != nil:
			panic(http.ErrAbortHandler) // nobody is left to answer
		case errors.As(err, &answer):
			wire.WriteError(w, answer)
		default:
			h.logger.Error("order failed", "method", r.Method, "path", r.URL.Path, "error", err)
			wire.WriteError(w, wire.NewError(wire.CodeInternal, err.Error()))
		}
	}
}

func (h *handler) list(w http.ResponseWriter, _ *http.Request, _ string) error {
	return write(w, http.StatusOK, h.backend.Modules())
}

func (h *handler) show(w http.ResponseWriter, _ *http.Request, name string) error {
	m, ok := h.backend.Module(name)
	if !ok {
		return NoSuchModule(name, h.backend.Modules())
	}
	return write(w, http.StatusOK, m)
}

func (h *handler) enable(w http.ResponseWriter, r *http.Request, name string) error {
	m, err := h.backend.Switch(r.Context(), name, true)
	return answer(w, m, err)
}

func (h *handler) disable(w http.ResponseWriter, r *http.Request, name string) error {
	m, err := h.backend.Switch(r.Context(), name, false)
	return answer(w, m, err)
}

func (h *handler) restart(w http.ResponseWriter, r *http.Request, name string) error {
	m, err := h.backend.Restart(r.Context(), name)
	return answer(w, m, err)
}

func answer(w http.ResponseWriter, m Module, err error) error {
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, m)
}

// logs sends lines as they come, each flushed.
func (h *handler) logs(w http.ResponseWriter, r *http.Request, name string) error {
	more, err := flag(r, "follow")
	if err != nil {
		return err
	}
	control, begun := http.NewResponseController(w), false
	enc := json.NewEncoder(w)
	err = h.backend.Follow(r.Context(), name, more, func(lines []supervisor.LogLine) error {
		if !begun {
			begun = true
			headers(w, "application/x-ndjson")
		}
		for _, l := range lines {
			if err := enc.Encode(l); err != nil {
				return err
			}
		}
		return control.Flush()
	})
	if begun {
		return nil // what went wrong is that nobody reads
	}
	return err
}

func (h *handler) reload(w http.ResponseWriter, r *http.Request, _ string) error {
	dry, err := flag(r, "dry_run")
	if err != nil {
		return err
	}
	report, err := h.backend.Reload(r.Context(), dry)
	if err != nil {
		return err
	}
	if len(report.Complaints) == 0 {
		return write(w, http.StatusOK, report)
	}
	e := wire.NewError(wire.CodeConfigRefused, lines(report.Complaints))
	return write(w, e.HTTPStatus(), refusal{e, report.Complaints})
}

// A refusal is an error in the shape of all errors, with the complaints for
// programs.
type refusal struct {
	*wire.Error
	Complaints []config.Complaint `json:"complaints"`
}

// lines has a complaint on each.
func lines(complaints []config.Complaint) string {
	list := make([]string, len(complaints))
	for i, c := range complaints {
		list[i] = c.String()
	}
	return strings.Join(list, "\n")
}

// levelAnswer is what GET and PUT of the log level answer.
type levelAnswer struct {
	Level string `json:"level"`
}

func (h *handler) level(w http.ResponseWriter, _ *http.Request, _ string) error {
	return write(w, http.StatusOK, levelAnswer{h.backend.LogLevel()})
}

func (h *handler) setLevel(w http.ResponseWriter, r *http.Request, _ string) error {
	level := r.URL.Query().Get("level")
	if levels := []string{"trace", "debug", "info", "warn", "error"}; !slices.Contains(levels, level) {
		return wire.NewError(wire.CodeRequestInvalid, fmt.Sprintf("level is %.100q; use one of %s", level, strings.Join(levels, ", ")))
	}
	if err := h.backend.SetLogLevel(r.Context(), level); err != nil {
		return err
	}
	return write(w, http.StatusOK, levelAnswer{level})
}

// flag reads a parameter that is true or false; absent is false, and empty as
// in ?follow true.
func flag(r *http.Request, name string) (bool, error) {
	q := r.URL.Query()
	if !q.Has(name) || q.Get(name) == "" {
		return q.Has(name), nil
	}
	v, err := strconv.ParseBool(q.Get(name))
	if err != nil {
		return false, wire.NewError(wire.CodeRequestInvalid, fmt.Sprintf("%s is %.100q; use true or false", name, q.Get(name)))
	}
	return v, nil
}

// NoSuchModule is the answer for a name that the config does not have.
func NoSuchModule(name string, modules []supervisor.Status) error {
	known := make([]string, len(modules))
	for i, m := range modules {
		known[i] = m.Name
	}
	cause := fmt.Sprintf("no module %q in the config", name)
	switch near := config.Nearest(name, known); {
	case near != "":
		cause += fmt.Sprintf("; did you mean %q?", near)
	case len(known) == 0:
		cause += ", which has none; add a module block"
	default:
		cause += "; known are " + strings.Join(known, ", ")
	}
	return wire.NewError(wire.CodeNoSuchModule, cause)
}

func headers(w http.ResponseWriter, kind string) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
}

func write(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	headers(w, "application/json")
	w.WriteHeader(status)
	w.Write(append(body, '\n')) //nolint:errcheck // the client is gone, nobody left to tell
	return nil
}
