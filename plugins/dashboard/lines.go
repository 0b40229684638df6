package main

import (
	"net"
	"net/http"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/lines"
	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk"
)

// lineArea stands behind one of the pages Locks and Leaders; "locks" and
// "leaders" are its names.
type lineArea struct {
	env   *sdk.Env
	name  string
	board *lines.Board // nil without the privilege
}

func newLineArea(name string, modules []string, env *sdk.Env) (*lineArea, error) {
	a := &lineArea{env: env, name: name}
	if env.StoreOf == nil {
		return a, nil
	}
	var err error
	a.board, err = lines.NewBoard(modules, env.StoreOf)
	return a, err
}

func (a *lineArea) routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/"+a.name+"/release", handle(a.env.Logger, a.release))
	mux.HandleFunc("GET /api/"+a.name+"/value", handle(a.env.Logger, a.value))
}

// source has three topics: all lines, the places of one, and how many hold and
// wait.
func (a *lineArea) source(name, arg string) live.Source {
	switch {
	case name != a.name && name != a.name+".counts":
		return nil
	case a.board == nil:
		return live.Never(lacks(a.env, sdk.PrivilegeKeys))
	case name == a.name && arg == "":
		return a.board.Source
	case name == a.name:
		return a.board.QueueSource(arg)
	default:
		return live.Follow(a.board.Counts(), 0, func(c lines.Counts) any { return c })
	}
}

func (a *lineArea) close() {
	if a.board != nil {
		a.board.Close()
	}
}

// release takes a place out of its line.
func (a *lineArea) release(w http.ResponseWriter, r *http.Request) error {
	if a.board == nil {
		return lacks(a.env, sdk.PrivilegeKeys)
	}
	var o lines.Order
	if err := order(r, &o); err != nil {
		return err
	}
	by := who(r)
	if err := a.board.Release(r.Context(), o, by); err != nil {
		return err
	}
	sdk.LoggerOf(r, a.env.Logger).Info("place taken out of its line", "module", o.Module, "line", o.Name, "index", o.Index, "waiting", o.Waiting, "by", by)
	return answer(w, struct{}{})
}

// value answers with the whole value of a place.
func (a *lineArea) value(w http.ResponseWriter, r *http.Request) error {
	if a.board == nil {
		return lacks(a.env, sdk.PrivilegeKeys)
	}
	q := r.URL.Query()
	value, err := a.board.Value(q.Get("module"), q.Get("name"), q.Get("index"))
	if err != nil {
		return err
	}
	return answer(w, map[string]string{"value": value})
}

// who says who has sent r, for others to read: the name that they have signed in
// with, or where they are.
func who(r *http.Request) string {
	if user := sdk.RequestOf(r).User(); user != "" {
		return user
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return "the dashboard, from " + host
}
