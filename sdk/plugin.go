package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/metered"
	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// Options are what a plugin needs from its surroundings, for [NewPlugin].
type Options struct {
	// Logger becomes Env.Logger. Required.
	Logger hclog.Logger

	// OpenStore makes Env.Store from what the host says; nil, if it says
	// nothing; and, with another prefix, what Env.StoreOf returns. If the store has a method Close() error, it is called at the
	// end. Required.
	OpenStore func(c *wirepb.StoreConfig) (store.Store, error)

	// OpenKeys makes Env.Keys, for modules with the privilege keys; nil: there is
	// none. It is closed like the store.
	OpenKeys func(c *wirepb.StoreConfig) (store.Tree, error)

	// Exit is called when the host is gone. Required.
	Exit func()
}

// NewPlugin makes what [Serve] serves, without the process around it. It is
// for harnesses such as package sdktest; a module's main calls Serve.
func NewPlugin[C any](name string, defaults C, New func(cfg C, env *Env) (http.Handler, error), o Options) wire.Plugin {
	return &program[C]{name: name, defaults: defaults, construct: New, options: o}
}

// program is a module in its process.
type program[C any] struct {
	name      string
	defaults  C
	construct func(cfg C, env *Env) (http.Handler, error)
	options   Options

	mu      sync.RWMutex // guards what follows
	handler http.Handler // nil until configured
	env     *Env
	metrics *metrics   // of the latest Configure; nil before
	drained wire.Drain // a drain that came before the module was there
}

var _ wire.Plugin = (*program[struct{}])(nil)

func (p *program[C]) Info(context.Context) (*wirepb.InfoResponse, error) {
	return &wirepb.InfoResponse{Name: p.name, Version: version(), Capabilities: []string{wire.CapabilityMetrics}}, nil
}

func (p *program[C]) Configure(_ context.Context, req *wirepb.ConfigureRequest) (*wirepb.ConfigureResponse, error) {
	cfg, diags := decode(p.defaults, req.GetConfig())
	resp := &wirepb.ConfigureResponse{Diagnostics: diags}
	if hasErrors(diags) || req.GetCheckOnly() {
		return resp, nil
	}
	if err := p.start(cfg, req); err != nil {
		resp.Diagnostics = append(resp.Diagnostics, &wirepb.Diagnostic{
			Severity: wirepb.Diagnostic_ERROR,
			Summary:  "module can't start",
			Detail:   err.Error(),
		})
		return resp, nil
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	resp.ResumableMethods = p.env.resumableMethods()
	return resp, nil
}

func (p *program[C]) start(cfg C, req *wirepb.ConfigureRequest) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.handler != nil {
		return errors.New("configured twice")
	}
	p.SetLogLevel(req.GetLogLevel())
	driver, err := p.options.OpenStore(req.GetStore())
	if err != nil {
		return err
	}
	p.metrics = newMetrics(p.options.Logger)
	s := metered.New(driver, p.metrics.registry)
	env := &Env{
		Store:      s,
		Logger:     p.options.Logger,
		Metrics:    p.metrics.registry,
		Name:       req.GetModule(),
		Mounts:     req.GetMounts(),
		ProcessID:  req.GetProcessId(),
		Privileges: req.GetPrivileges(),
	}
	for _, e := range req.GetEnded() {
		env.Ended = append(env.Ended, e.GetProcessId())
	}
	if p.drained.Reason != 0 {
		env.drain(p.drained)
	}
	var h http.Handler
	if err = env.grant(req, driver, p.options); err == nil {
		h, err = p.call(cfg, env)
	}
	if err == nil && h == nil {
		err = errors.New("its constructor returned no handler")
	}
	if err != nil {
		return errors.Join(err, env.siblings.close(), closeStore(env.Keys), closeStore(s))
	}
	p.handler, p.env = h, env
	return nil
}

// call is the constructor, whose panic is an error like any other.
func (p *program[C]) call(cfg C, env *Env) (h http.Handler, err error) {
	defer func() {
		if v := recover(); v != nil {
			env.Logger.Error("constructor panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = fmt.Errorf("its constructor panicked: %v; the stack is in the log", v)
		}
	}()
	return p.construct(cfg, env)
}

func (p *program[C]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.RLock()
	h := p.handler
	p.mu.RUnlock()
	if h == nil {
		WriteError(w, NewError(CodeModuleStarting, "the module is not configured yet; try again"))
		return
	}
	h.ServeHTTP(w, r)
}

func (p *program[C]) Drain(d wire.Drain) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drained = d
	if p.env != nil {
		p.env.drain(d)
	}
}

func (p *program[C]) SetLogLevel(level string) {
	if l := hclog.LevelFromString(level); l != hclog.NoLevel {
		p.options.Logger.SetLevel(l)
	}
}

func (p *program[C]) Metrics(ctx context.Context) ([]byte, error) {
	p.mu.RLock()
	m := p.metrics
	p.mu.RUnlock()
	if m == nil {
		return nil, nil
	}
	return m.text(ctx)
}

// Close takes the handler away, so that it is closed once.
func (p *program[C]) Close(ctx context.Context) error {
	p.mu.Lock()
	h, env := p.handler, p.env
	p.handler = nil
	p.mu.Unlock()
	if h == nil {
		return nil
	}
	var err error
	if c, ok := h.(interface{ Close(context.Context) error }); ok {
		err = c.Close(ctx)
	}
	return errors.Join(err, env.siblings.close(), closeStore(env.Keys), closeStore(env.Store))
}

func (p *program[C]) HostGone() { p.options.Exit() }

func closeStore(s store.Store) error {
	if c, ok := s.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// version is the plugin's, as stamped by go build: the tag or pseudo-version
// of its Go module, "(devel)" outside version control.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(devel)"
	}
	return info.Main.Version
}
