// Package queuehttp is the HTTP side of a module whose clients stand in line:
// what the lock and the leader module have in common, and what a module of
// yours that gives out something in turn can have with them. Package queue
// decides whose turn it is; here requests become its calls, and what it says
// becomes answers.
//
// The module opens a [Desk] in front of a queue, tells it its [Words], and sorts
// requests by method:
//
//	func (m *module) ServeHTTP(w http.ResponseWriter, r *http.Request) {
//		var err error
//		switch r.Method {
//		case http.MethodGet, http.MethodHead:
//			err = m.Status(w, r)
//		case http.MethodPost:
//			err = m.Obtain(w, r, owner)
//		case http.MethodDelete:
//			err = m.Release(w, r, target)
//		default:
//			err = m.Other(w, r)
//		}
//		if err != nil {
//			m.Fail(w, r, err)
//		}
//	}
//
// with functions owner and target that say which parameters tell who asks, and
// which entry of the line is meant. The example is a whole module.
//
// # What clients are promised
//
// Names of lines are taken as they come behind the mount, decoded once, any
// UTF-8 of 1 to [MaxName] bytes: two that differ in one byte are two lines.
// Parameters stand in the query, in a form in the body, or partly here and
// partly there; the body wins. ttl and timeout are whole seconds. Answers are
// the bare text as text/plain, or JSON for who accepts application/json, never
// HTML and never to be kept by a cache. Errors have etcd's shape and the codes
// of package sdk.
//
// A request that waits is resumable: if the module says so of its method in
// the constructor ([sdk.Env.Resumable]), its place in the line survives the
// process. When the module is drained all that wait are answered at once, with
// the cause, or go on in the next process. A client that hangs up leaves the
// line.
//
// Nobody holds anything without having been told: the answer with a grant is
// flushed, and if it did not reach the client's connection, and nobody else was
// told of the grant, the queue takes it back. Every grant comes with the time
// that its client may rely on it, counted from when it sent the request; that
// is never longer than the store keeps the entry.
package queuehttp
