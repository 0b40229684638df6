package main

import (
	"context"
	"embed"
	"io/fs"
	"net/http"
	"os"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/assets"
	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk"
)

//go:embed ui/index.html ui/static
var embedded embed.FS

// A dashboard is the module.
type dashboard struct {
	cfg    Config
	env    *sdk.Env
	files  func() (*assets.Files, error)
	hub    *live.Hub
	router *http.ServeMux // of paths without the mount
	ended  context.CancelFunc
}

// New makes the module.
func New(cfg Config, env *sdk.Env) (http.Handler, error) {
	d := &dashboard{cfg: cfg, env: env}
	var err error
	if d.files, err = files(cfg.UIDir); err != nil {
		return nil, err
	}
	_, d.ended = context.WithCancel(context.Background())
	d.hub = &live.Hub{Source: d.source, Hello: d.hello, Pulse: d.pulse, Ending: env.Draining()}
	d.router = d.routes()
	return d, nil
}

// Close ends what runs behind the pages.
func (d *dashboard) Close(context.Context) error {
	d.ended()
	return nil
}

// files returns where the page's files come from: built in, or a folder that is
// read again for each page.
func files(dir string) (func() (*assets.Files, error), error) {
	var ui fs.FS
	var err error
	if dir == "" {
		ui, err = fs.Sub(embedded, "ui")
	} else {
		ui = os.DirFS(dir)
	}
	if err != nil {
		return nil, err
	}
	first, err := assets.Load(ui)
	if err != nil {
		return nil, err
	}
	if dir == "" {
		return func() (*assets.Files, error) { return first, nil }, nil
	}
	return func() (*assets.Files, error) { return assets.Load(ui) }, nil
}
