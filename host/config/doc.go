// Package config turns the host's HCL files into a [Config].
//
// [Load] reads one file or all *.hcl files of a folder, decodes them over the
// defaults, and checks everything that can be checked without touching the
// network or the disk. It collects as many complaints as it can and sorts
// them by position; each says what is wrong, why, and what to do, and
// [Describe] prints one as "file:line:column: what: why; remedy". A name that
// this version does not know is an error, and so is one that it knows only
// as a plan: no setting is ever silently without effect.
//
// Any value may call env("NAME"), which answers the environment variable's
// value or, when it is not set, an error at the call.
//
// The body of a module's config block belongs to the module. Load does not
// look for a meaning in it but carries it to the plugin as a [Block]: its
// source text with position, so that the plugin's complaints point into the
// user's own file, and its value as JSON.
package config
