// Package admin is how operators speak to a running host: [Handler] answers,
// [Client] asks, [Listen] makes the listener between them, which is apart from
// that of the modules: a unix socket of mode 0600, or an address where a token
// must be presented.
//
// The paths, all below /v1:
//
//	GET  /modules[?follow=true]          the listing, as GET /mod/ of the host, and again when it changes
//	GET  /modules/NAME                   one module in more detail, with how its processes ended
//	POST /modules/NAME/enable            switch on until the next reload or restart of the host
//	POST /modules/NAME/disable           switch off likewise
//	POST /modules/NAME/restart           a new process, which takes over from the old one;
//	                                     these three return when it is done, with ?wait=false at once
//	GET  /modules/NAME/logs[?follow=true]  the last 200 lines, and those that come
//	GET  /metrics                        those of the host and of all modules, as GET /metrics of the host
//	POST /reload[?dry_run=true]          take the config file over, or say what that would do
//	GET  /log-level
//	PUT  /log-level?level=LEVEL          of host and modules, until the next reload or restart of the host
//
// A plugin whose module has the privilege modules is given those of modules and
// metrics, on a socket of its own: [ModulesHandler].
//
// Answers are JSON, metrics in the Prometheus text format; what is followed is one
// JSON value a line: a line of a log, or the whole listing. Errors have the
// shape of all errors of the host. A config that is refused is answered with 422
// and, beside the usual fields, the complaints as a list.
package admin
