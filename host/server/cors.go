package server

import "net/http"

// corsMethods are those that a page may use, beside what needs no asking.
const corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

// cors prepares the headers that let a page of another origin read the answer of
// a module without privileges. It reports whether the request was a browser's
// question whether it may send another one, and is answered.
func (r *rules) cors(res *response, req *http.Request) bool {
	if len(r.Origins) == 0 {
		return false
	}
	origin := req.Header.Get("Origin")
	shared := origin != "" && r.shares(origin)
	switch {
	case r.anyOrigin:
		res.allowOrigin = "*"
	case shared:
		res.allowOrigin, res.varies = origin, true
	default:
		res.varies = true
	}
	if !shared || req.Method != http.MethodOptions || req.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h := res.Header()
	h.Set("Access-Control-Allow-Methods", corsMethods)
	if asked := req.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
		h.Add("Vary", "Access-Control-Request-Headers")
	}
	h.Set("Access-Control-Max-Age", "600") // seconds; a reload may change the answer
	res.WriteHeader(http.StatusNoContent)
	return true
}

// share adds to the head of an answer what cors has prepared. "*" stands for all
// headers, since no credentials go with these requests.
func (w *response) share(h http.Header) {
	if w.varies {
		h.Add("Vary", "Origin")
	}
	if w.allowOrigin != "" {
		h.Set("Access-Control-Allow-Origin", w.allowOrigin)
		h.Set("Access-Control-Expose-Headers", "*")
	}
}
