// Package server is the host's HTTP side: the listener, the table of mounts,
// the host's own routes and what surrounds every request.
//
// [New] makes the handler, [Run] serves it. A request gets an id, is logged,
// and goes to the handler of the mount that it lies below, with its escaped
// path untouched; nothing of ours limits how long that takes. The rest are
// routes of the host: /mod/ lists the modules, /healthz and /readyz say how
// things are, /metrics what was counted. Errors have etcd's JSON shape, save those that net/http gives
// before a request is one: 400 for broken syntax, 431 for a head that is too
// large, in plain text.
package server
