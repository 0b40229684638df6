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
	areas  []area
	router *http.ServeMux // of paths without the mount
}

// An area is what stands behind one page or several.
type area interface {
	// routes adds what is asked and ordered, below /api/. Orders are POST.
	routes(mux *http.ServeMux)

	// source returns the source of a topic, "name" or "name:arg"; nil if it is
	// none of the area's.
	source(name, arg string) live.Source

	// close ends what the area has started, and waits for it.
	close()
}

// New makes the module.
func New(cfg Config, env *sdk.Env) (http.Handler, error) {
	d := &dashboard{cfg: cfg, env: env}
	var err error
	if d.files, err = files(cfg.UIDir); err != nil {
		return nil, err
	}
	for name, modules := range map[string][]string{"locks": cfg.Locks, "leaders": cfg.Leaders} {
		a, err := newLineArea(name, modules, env)
		if err != nil {
			d.Close(context.Background()) //nolint:errcheck // never fails
			return nil, err
		}
		d.areas = append(d.areas, a)
	}
	d.areas = append(d.areas, newKeysArea(d))
	d.hub = &live.Hub{Source: d.source, Hello: d.hello, Ending: env.Draining()}
	heart := newHeart(env, d.hub)
	d.hub.Pulse = heart.beat
	members := newClusterArea(env, d.hub)
	modules := newModuleArea(cfg, env, members.writes)
	d.areas = append(d.areas, heart, members, modules, &overviewArea{cfg, heart, members, modules})
	d.router = d.routes()
	return d, nil
}

// Close ends the areas.
func (d *dashboard) Close(context.Context) error {
	for _, a := range d.areas {
		a.close()
	}
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
