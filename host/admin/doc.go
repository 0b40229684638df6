// Package admin is how operators speak to a running host: [Handler] answers,
// [Client] asks, [Listen] makes the listener between them, which is apart from
// that of the modules: a unix socket of mode 0600, or an address where a token
// must be presented.
//
// The paths, all below /v1:
//
//	GET  /modules                        the listing, as GET /mod/ of the host
//	GET  /modules/NAME                   one module in more detail
//	POST /modules/NAME/enable            switch on until the next reload or restart of the host
//	POST /modules/NAME/disable           switch off likewise
//	POST /modules/NAME/restart           a new process, which takes over from the old one;
//	                                     these three return when it is done, with ?wait=false at once
//	GET  /modules/NAME/logs[?follow=true]  the last 200 lines, and those that come
//	POST /reload[?dry_run=true]          take the config file over, or say what that would do
//	GET  /log-level
//	PUT  /log-level?level=LEVEL          of host and modules, until the next reload or restart of the host
//
// A plugin whose module has the privilege modules is given those of modules, on a
// socket of its own: [ModulesHandler].
//
// Answers are JSON; lines of a log are one JSON object each. Errors have the
// shape of all errors of the host. A config that is refused is answered with 422
// and, beside the usual fields, the complaints as a list.
package admin
