// Package server is the host's HTTP side: the listener, the table of mounts,
// the host's own routes and what surrounds every request.
//
// [New] makes the handler, [Run] serves it. A request gets an id, is logged,
// and goes to the handler of the mount that it lies below, with its escaped
// path untouched; nothing of ours limits how long that takes. The rest are
// routes of the host: /mod/ lists the modules, /healthz and /readyz say how
// things are, /metrics what was counted.
//
// Before that the [Rules] have their say: the name in Host must be the host's,
// a page of another origin changes nothing, and a module with privileges is for
// those who have the token, or for looking only. Every answer gets the headers
// that keep pages of other sites from using it, unless the module has set them.
//
// Errors have etcd's JSON shape, also those that net/http gives before a request
// is one: 400 for broken syntax, 431 for a head that is too large. Those alone
// are plain text on a connection with TLS.
package server
