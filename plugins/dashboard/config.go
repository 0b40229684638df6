package main

import (
	"slices"

	"github.com/etcd-modules/modhost/sdk"
)

// Config is the module's own config block.
type Config struct {
	// ReadOnly refuses everything that changes something.
	ReadOnly bool `hcl:"read_only,optional"`

	// Locks and Leaders name the modules whose lines the pages Locks and Leaders
	// show: those that stand on package queue of the SDK.
	Locks   []string `hcl:"locks,optional"`
	Leaders []string `hcl:"leaders,optional"`

	// HistoryBytes bounds what is remembered of the changes of keys, in bytes of
	// keys and values; 0: nothing is.
	HistoryBytes int64 `hcl:"history_bytes,optional"`

	// UIDir is a folder to take the page's files from instead of those that are
	// built in, read anew for each page: for who works on them.
	UIDir string `hcl:"ui_dir,optional"`
}

// defaults returns what an empty block means.
func defaults() Config {
	return Config{Locks: []string{"lock"}, Leaders: []string{"leader"}, HistoryBytes: 8 << 20}
}

// Validate checks what types can't.
func (c *Config) Validate() error {
	if c.HistoryBytes < 0 || c.HistoryBytes > 1<<30 {
		return sdk.Invalid("history_bytes", "is %d; give bytes from 0 (remember nothing) to 1073741824", c.HistoryBytes)
	}
	for name, modules := range map[string][]string{"locks": c.Locks, "leaders": c.Leaders} {
		for i, m := range modules {
			if slices.Contains(modules[:i], m) {
				return sdk.Invalid(name, "names module %q twice; once is enough", m)
			}
		}
	}
	return nil
}
