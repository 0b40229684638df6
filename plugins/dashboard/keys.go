package main

import (
	"net/http"
	"strconv"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/keys"
	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk"
)

// keysArea is what stands behind the page Keys. Without the privilege there is
// nothing.
type keysArea struct {
	d     *dashboard
	index *keys.Index // nil without the privilege
}

func newKeysArea(d *dashboard) *keysArea {
	if d.env.Keys == nil {
		return &keysArea{d: d}
	}
	return &keysArea{d, keys.New(d.env.Keys, d.cfg.HistoryBytes)}
}

func (a *keysArea) close() {
	if a.index != nil {
		a.index.Close()
	}
}

func (a *keysArea) routes(mux *http.ServeMux) {
	for pattern, f := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /api/keys/page":    a.page,
		"GET /api/keys/node":    a.node,
		"POST /api/keys/save":   a.save,
		"POST /api/keys/create": a.create,
		"POST /api/keys/mkdir":  a.makeDir,
		"POST /api/keys/delete": a.remove,

		"POST /api/keys/plan":           a.plan,
		"POST /api/keys/delete-plan":    a.execute,
		"GET /api/keys/search":          a.search,
		"GET /api/keys/export":          a.export,
		"POST /api/keys/import/compare": a.compare,
		"POST /api/keys/import/write":   a.write,
		"GET /api/keys/history":         a.past,
	} {
		mux.HandleFunc(pattern, handle(a.d.env.Logger, func(w http.ResponseWriter, r *http.Request) error {
			if a.index == nil {
				return lacks(a.d.env, sdk.PrivilegeKeys)
			}
			return told(w, f(w, r))
		}))
	}
}

func (a *keysArea) source(name, arg string) live.Source {
	if name != "keys" && name != "dir" && name != "node" {
		return nil
	}
	if a.index == nil {
		return live.Never(lacks(a.d.env, sdk.PrivilegeKeys))
	}
	if name == "keys" {
		return a.index.Counts
	}
	key, err := keys.ParseKey(arg)
	switch {
	case err != nil:
		return live.Never(err)
	case name == "dir":
		return a.index.Dir(key)
	}
	return a.index.Follow(key)
}

func (a *keysArea) page(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	dir, err := keys.ParseKey(query.Get("dir"))
	if err != nil {
		return err
	}
	q := keys.Question{Dir: dir, Filter: query.Get("filter"), Around: query.Get("around")}
	if q.Offset, err = number(query.Get("offset"), "offset", 0, 1<<30, 0); err != nil {
		return err
	}
	if q.Limit, err = number(query.Get("limit"), "limit", 1, 1000, 200); err != nil {
		return err
	}
	p, err := a.index.Page(r.Context(), q)
	if err != nil {
		return err
	}
	return answer(w, p)
}

func (a *keysArea) node(w http.ResponseWriter, r *http.Request) error {
	key, err := keys.ParseKey(r.URL.Query().Get("key"))
	if err != nil {
		return err
	}
	n, err := a.index.Node(r.Context(), key)
	if err != nil {
		return err
	}
	return answer(w, n)
}

// number reads a number of a query.
func number(text, name string, from, to, missing int) (int, error) {
	if text == "" {
		return missing, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < from || n > to {
		return 0, sdk.NewError(sdk.CodeRequestInvalid, name+" must be a number from "+strconv.Itoa(from)+" to "+strconv.Itoa(to))
	}
	return n, nil
}
