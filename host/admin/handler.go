package admin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/julienschmidt/httprouter"

	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/supervisor"
	"github.com/etcd-modules/modhost/sdk/wire"
)

// Handler answers operators with b. If token is not empty, a request must
// present it as "Authorization: Bearer TOKEN".
func Handler(b Backend, token string, logger hclog.Logger) http.Handler {
	h := &handler{backend: b, by: "operator", logger: logger}
	r := h.modules()
	r.POST("/v1/reload", h.do(h.reload))
	r.GET("/v1/log-level", h.do(h.level))
	r.PUT("/v1/log-level", h.do(h.setLevel))
	return identified(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !authorized(req, token) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			wire.WriteError(w, wire.NewError(wire.CodeUnauthorized, "present the content of admin.token_file as \"Authorization: Bearer …\""))
			return
		}
		r.ServeHTTP(w, req)
	}))
}

// ModulesHandler answers a plugin that has the privilege modules: the paths
// below /v1/modules and /v1/metrics alone. By is the module that it works for.
func ModulesHandler(b Backend, by string, logger hclog.Logger) http.Handler {
	h := &handler{backend: b, by: fmt.Sprintf("module %q", by), logger: logger}
	return identified(h.modules())
}

// identified gives each answer an id, and has requests routed by what was
// written: a slash in a name is none between segments.
func identified(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", rand.Text())
		r.URL.Path = r.URL.EscapedPath()
		h.ServeHTTP(w, r)
	})
}

// modules routes what is about modules.
func (h *handler) modules() *httprouter.Router {
	r := httprouter.New()
	r.RedirectTrailingSlash, r.RedirectFixedPath, r.HandleOPTIONS = false, false, false
	r.GET("/v1/modules", h.do(h.list))
	r.GET("/v1/metrics", h.do(h.metrics))
	r.GET("/v1/modules/:name", h.do(h.show))
	r.POST("/v1/modules/:name/enable", h.do(h.enable))
	r.POST("/v1/modules/:name/disable", h.do(h.disable))
	r.POST("/v1/modules/:name/restart", h.do(h.restart))
	r.GET("/v1/modules/:name/logs", h.do(h.logs))
	r.NotFound = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wire.WriteError(w, wire.NewError(wire.CodeNoSuchRoute, fmt.Sprintf("nothing is at %q; GET /v1/modules lists the modules", r.URL.Path)))
	})
	r.MethodNotAllowed = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// httprouter adds OPTIONS, which it does not answer.
		methods := slices.DeleteFunc(strings.Split(w.Header().Get("Allow"), ", "), func(m string) bool { return m == http.MethodOptions })
		w.Header().Set("Allow", strings.Join(methods, ", "))
		are := " are"
		if len(methods) == 1 {
			are = " is"
		}
		wire.WriteError(w, wire.NewError(wire.CodeMethodNotAllowed, strings.Join(methods, " and ")+are))
	})
	return r
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
	by      string // who gives orders here
	logger  hclog.Logger
}

// do turns what a function returns into the answer.
func (h *handler) do(f func(http.ResponseWriter, *http.Request, string) error) httprouter.Handle {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) {
		name, err := url.PathUnescape(p.ByName("name"))
		if err == nil { // as it came, it was in order
			err = f(w, r, name)
		}
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

func (h *handler) list(w http.ResponseWriter, r *http.Request, _ string) error {
	more, err := flag(r, "follow", false)
	if err != nil {
		return err
	}
	if !more {
		return write(w, http.StatusOK, h.backend.Modules())
	}
	return stream(w, func(send func(...any) error) error {
		return h.backend.Watch(r.Context(), func(list []supervisor.Status) error { return send(list) })
	})
}

func (h *handler) metrics(w http.ResponseWriter, r *http.Request, _ string) error {
	h.backend.Metrics(w, r)
	return nil
}

func (h *handler) show(w http.ResponseWriter, _ *http.Request, name string) error {
	m, ok := h.backend.Module(name)
	if !ok {
		return NoSuchModule(name, h.backend.Modules())
	}
	return write(w, http.StatusOK, m)
}

func (h *handler) enable(w http.ResponseWriter, r *http.Request, name string) error {
	return h.order(w, r, name, func(ctx context.Context, o Order) (Module, error) { return h.backend.Switch(ctx, o, true) })
}

func (h *handler) disable(w http.ResponseWriter, r *http.Request, name string) error {
	return h.order(w, r, name, func(ctx context.Context, o Order) (Module, error) { return h.backend.Switch(ctx, o, false) })
}

func (h *handler) restart(w http.ResponseWriter, r *http.Request, name string) error {
	return h.order(w, r, name, h.backend.Restart)
}

func (h *handler) order(w http.ResponseWriter, r *http.Request, name string, give func(context.Context, Order) (Module, error)) error {
	wait, err := flag(r, "wait", true)
	if err != nil {
		return err
	}
	m, err := give(r.Context(), Order{name, h.by, wait})
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, m)
}

func (h *handler) logs(w http.ResponseWriter, r *http.Request, name string) error {
	more, err := flag(r, "follow", false)
	if err != nil {
		return err
	}
	return stream(w, func(send func(...any) error) error {
		return h.backend.Follow(r.Context(), name, more, func(lines []supervisor.LogLine) error {
			list := make([]any, len(lines))
			for i, l := range lines {
				list[i] = l
			}
			return send(list...)
		})
	})
}

// stream answers with lines of JSON as f sends them, each time flushed.
func stream(w http.ResponseWriter, f func(send func(...any) error) error) error {
	control, begun := http.NewResponseController(w), false
	enc := json.NewEncoder(w)
	err := f(func(lines ...any) error {
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
	dry, err := flag(r, "dry_run", false)
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
	return write(w, e.HTTPStatus(), refusal{e, report.Complaints, report.Warnings})
}

// A refusal is an error in the shape of all errors, with the complaints for
// programs.
type refusal struct {
	*wire.Error
	Complaints []config.Complaint `json:"complaints"`
	Warnings   []config.Complaint `json:"warnings"`
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

// flag reads a parameter that is true or false; empty, as in ?follow, is true.
func flag(r *http.Request, name string, absent bool) (bool, error) {
	q := r.URL.Query()
	switch {
	case !q.Has(name):
		return absent, nil
	case q.Get(name) == "":
		return true, nil
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
