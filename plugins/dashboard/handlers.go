package main

import (
	"fmt"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk"
)

// pages are the views that have an address of their own; each is answered with
// the one page, whose scripts look at the address. ui/static/pages.js has the
// same list.
var pages = []string{"", "keys", "locks", "leaders", "members", "modules"}

// routes are those below the mount.
func (d *dashboard) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, p := range pages {
		mux.HandleFunc("GET /"+p+strings.Repeat("{$}", 1-min(1, len(p))), d.page)
	}
	mux.HandleFunc("GET /static/{name...}", d.static)
	mux.Handle("GET /api/events", d.hub)
	for _, a := range d.areas {
		a.routes(mux)
	}
	mux.HandleFunc("/static", d.nothing) // which the mux would lead to /static/
	mux.HandleFunc("/", d.nothing)
	return mux
}

// nothing answers that nothing is there.
func (d *dashboard) nothing(w http.ResponseWriter, r *http.Request) {
	sdk.WriteError(w, sdk.NewError(sdk.CodeNoSuchRoute, fmt.Sprintf("the dashboard has nothing at %.200q; its pages begin at %s/", r.URL.Path, d.env.Mounts[0])))
}

// ServeHTTP sorts by what follows the mount.
func (d *dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mount := sdk.RequestOf(r).Mount()
	rest, _ := strings.CutPrefix(r.URL.Path, mount)
	if rest == "" { // relative, since a proxy may have taken something off in front
		w.Header().Set("Location", path.Base(mount)+"/")
		w.WriteHeader(http.StatusPermanentRedirect)
		return
	}
	if strings.HasPrefix(rest, "/api/") && foreign(r) {
		sdk.WriteError(w, sdk.NewError(sdk.CodeCrossOrigin, "a page of another site may not ask the dashboard anything"))
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		if err := d.mayChange(r); err != nil {
			sdk.WriteError(w, err)
			return
		}
	}
	inner := r.Clone(r.Context())
	inner.URL.Path, inner.URL.RawPath = rest, ""
	if path.Clean(rest) != rest { // the mux would lead elsewhere, past the mount
		d.nothing(w, inner)
		return
	}
	d.router.ServeHTTP(w, inner)
}

// foreign reports whether a page of another site has a browser ask. The host lets
// its questions pass, since the page can't read the answers. But a search through
// all values, an export or a stream is work, for which a page that is merely open
// somewhere needs no leave.
func foreign(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site") // absent without a browser
	return site == "cross-site" || site == "same-site"
}

// mayChange returns why a request that is no question is refused. The kind of
// its body is asked for because no form of another site can send it.
func (d *dashboard) mayChange(r *http.Request) *sdk.Error {
	if why := d.readOnly(r); why != "" {
		return sdk.NewError(sdk.CodeReadOnly, why)
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		e := sdk.NewError(sdk.CodeRequestInvalid, "send JSON, with Content-Type: application/json")
		e.Status = http.StatusUnsupportedMediaType
		return e
	}
	return nil
}

// readOnly returns why nothing may be changed by r, "" if it may.
func (d *dashboard) readOnly(r *http.Request) string {
	if d.cfg.ReadOnly {
		return fmt.Sprintf("read_only is set in the config block of module %q", d.env.Name)
	}
	if why, yes := sdk.RequestOf(r).ReadOnly(); yes {
		return why
	}
	return ""
}

func (d *dashboard) page(w http.ResponseWriter, r *http.Request) {
	f, err := d.files()
	if err != nil {
		d.fail(w, r, err)
		return
	}
	f.Page(w, r)
}

func (d *dashboard) static(w http.ResponseWriter, r *http.Request) {
	f, err := d.files()
	if err != nil {
		d.fail(w, r, err)
		return
	}
	f.Static(w, r, r.PathValue("name"))
}

// fail answers with what went wrong here.
func (d *dashboard) fail(w http.ResponseWriter, r *http.Request, err error) {
	sdk.LoggerOf(r, d.env.Logger).Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	sdk.WriteError(w, sdk.NewError(sdk.CodeInternal, "the dashboard failed; its log says why"))
}

// A hello tells a browser whom it talks to.
type hello struct {
	Version  string   `json:"version"` // of the page's files: another than its own means that it is old
	Module   string   `json:"module"`
	ReadOnly string   `json:"readOnly"` // why nothing may be changed; "" if it may
	User     string   `json:"user"`     // "" if nobody has signed in
	SignedIn bool     `json:"signedIn"` // by a cookie, so that signing out makes sense
	Missing  []string `json:"missing"`  // privileges that the config does not grant
	Locks    []string `json:"locks"`
	Leaders  []string `json:"leaders"`
}

func (d *dashboard) hello(r *http.Request) any {
	h := hello{Module: d.env.Name, ReadOnly: d.readOnly(r), User: sdk.RequestOf(r).User(), SignedIn: sdk.RequestOf(r).SignedIn(),
		Missing: []string{}, Locks: d.cfg.Locks, Leaders: d.cfg.Leaders}
	if f, err := d.files(); err == nil {
		h.Version = f.Version()
	}
	for name, there := range map[string]bool{sdk.PrivilegeKeys: d.env.Keys != nil, sdk.PrivilegeCluster: d.env.Cluster != nil, sdk.PrivilegeModules: d.env.Modules != nil} {
		if !there {
			h.Missing = append(h.Missing, name)
		}
	}
	return h
}

// lacks says that the config does not grant what something needs.
func lacks(env *sdk.Env, privilege string) error {
	return sdk.NewError(sdk.CodeReadOnly, fmt.Sprintf("the config does not grant module %q the privilege %q; add it to privileges in its block", env.Name, privilege))
}

// source finds a topic by its name, "topic" or "topic:argument".
func (d *dashboard) source(topic string) (live.Source, error) {
	name, arg, _ := strings.Cut(topic, ":")
	for _, a := range d.areas {
		if s := a.source(name, arg); s != nil {
			return s, nil
		}
	}
	return nil, sdk.NewError(sdk.CodeRequestInvalid, fmt.Sprintf("there is no topic %.100q", name))
}
