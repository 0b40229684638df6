package server

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/julienschmidt/httprouter"
)

// A Mount is a path prefix and the handler of all requests below it. It ends
// at a segment's border: /mod/lock takes /mod/lock and /mod/lock/x, but not
// /mod/lockx.
type Mount struct {
	Path    string // absolute, without a trailing slash
	Module  string // whose it is, for the log and the meter
	Handler http.Handler

	// Privileged modules may do more than others, so that what is asked of
	// them is looked at more closely: see [Rules].
	Privileged bool
}

// anyMethod is the one method that mounts are registered under: which methods
// there are is the module's business, OPTIONS included.
const anyMethod = "*"

// newTable makes the table of mounts, which is never changed: a new one takes
// its place as a whole. It complains about mounts that are no clean paths or
// that lie within each other.
//
// httprouter does the search and nothing else. Its ServeHTTP would redirect
// for a slash more or less, answer OPTIONS and 405 by itself, and match the
// decoded path; Lookup on the escaped one does none of that. Each mount is a
// static prefix, because a pattern such as /mod/:name/*path can't stand beside
// /mod/v2/lock.
func newTable(mounts []Mount) (*httprouter.Router, error) {
	router := httprouter.New()
	for i, m := range mounts {
		if !strings.HasPrefix(m.Path, "/") || strings.HasSuffix(m.Path, "/") || strings.ContainsAny(m.Path, ":*?#%") {
			return nil, fmt.Errorf("mount %q: no absolute path of plain characters without a trailing slash", m.Path)
		}
		for _, other := range mounts[:i] {
			if strings.HasPrefix(m.Path+"/", other.Path+"/") || strings.HasPrefix(other.Path+"/", m.Path+"/") {
				return nil, fmt.Errorf("mount %q: overlaps with mount %q; choose another", m.Path, other.Path)
			}
		}
		tell := func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) { w.(*found).mount = &m }
		router.Handle(anyMethod, m.Path, tell)
		router.Handle(anyMethod, m.Path+"/*rest", tell)
	}
	return router, nil
}

// found is the answer of a router to lookup: not a ResponseWriter that is ever
// written to.
type found struct {
	http.ResponseWriter
	mount *Mount
}

// lookup returns the mount that path lies below, or nil.
func lookup(router *httprouter.Router, path string) *Mount {
	tell, _, _ := router.Lookup(anyMethod, path)
	if tell == nil {
		return nil
	}
	var f found
	tell(&f, nil, nil)
	return f.mount
}
