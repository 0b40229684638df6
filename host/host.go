package host

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/host/admin"
	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/etcd"
	"github.com/etcd-modules/modhost/host/metrics"
	"github.com/etcd-modules/modhost/host/server"
	"github.com/etcd-modules/modhost/host/supervisor"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2"
)

// What Run waits at most for, beside the config's drain timeout.
const (
	etcdStartTime  = time.Minute      // a long log is replayed at the start
	pluginStopTime = 10 * time.Second // after draining, before processes are killed
	etcdStopTime   = 15 * time.Second // etcd gives its own clients seven
)

// Host is one host. Make it with [New] and run it once with [Host.Run].
type Host struct {
	cfg      *config.Config
	logger   hclog.Logger
	listener net.Listener
	access   access
	token    string      // that operators must present; "" on a unix socket
	tls      *tls.Config // for asking etcd
	version  string
	onReady  func([]Ready)
	read     func() (*config.Config, hcl.Diagnostics)
	hangups  <-chan os.Signal

	startEtcd func(context.Context, etcd.Options) (embedded, error) // but for tests etcd.Start
}

// embedded is what Run needs of an embedded etcd.
type embedded interface {
	Endpoints() []string
	Failed() <-chan struct{}
	Err() error
	Close(context.Context) error
}

var _ embedded = (*etcd.Server)(nil)

// Option changes what New makes.
type Option func(*Host)

// Version says which version of the host plugins are told.
func Version(v string) Option { return func(h *Host) { h.version = v } }

// OnReady is called by Run once, when every enabled module has become ready
// or has failed for good, or when some are ready and the rest takes longer
// than 10 s, with one entry for each that is ready, in the order of the config.
func OnReady(f func([]Ready)) Option { return func(h *Host) { h.onReady = f } }

// Reload says how to read the config anew, as [config.Examine] does; without it
// there is no reloading.
func Reload(read func() (*config.Config, hcl.Diagnostics)) Option {
	return func(h *Host) { h.read = read }
}

// ReloadOn has Run reload the config for each signal that comes. What became of
// it is in the log.
func ReloadOn(c <-chan os.Signal) Option { return func(h *Host) { h.hangups = c } }

// New checks the files that cfg names and binds the listener, so that
// [Host.Addr] is known and clients may connect. After it Run must be called,
// which closes it. Errors read "what: why; remedy".
func New(cfg *config.Config, logger hclog.Logger, opts ...Option) (*Host, error) {
	h := &Host{cfg: cfg, logger: logger, onReady: func([]Ready) {}, startEtcd: startEtcd}
	for _, o := range opts {
		o(h)
	}
	var err error
	if h.tls, err = clientTLS(cfg.Etcd.TLS); err != nil {
		return nil, err
	}
	if _, err = specs(cfg); err != nil {
		return nil, err
	}
	if cfg.Admin.TokenFile != "" {
		if h.token, err = admin.ReadToken(cfg.Admin.TokenFile); err != nil {
			return nil, err
		}
	}
	if h.listener, err = listen("listen", cfg.Listen, "127.0.0.1:4001", true); err != nil {
		return nil, err
	}
	var diags hcl.Diagnostics
	h.access, diags = readAccess(cfg, h.Addr().String())
	complaints, warnings := config.Complaints(diags)
	if len(complaints) > 0 {
		h.listener.Close() //nolint:errcheck // nobody has connected
		return nil, errors.New(complaints[0].String())
	}
	for _, w := range warnings {
		logger.Warn("config", "warning", w)
	}
	return h, nil
}

// listenForOrders makes the listener for operators.
func listenForOrders(a config.Admin) (net.Listener, error) {
	if path, unix := strings.CutPrefix(a.Listen, "unix:"); unix {
		return admin.ListenUnix(path)
	}
	return listen("admin.listen", a.Listen, "127.0.0.1:4002", false)
}

// Addr returns the address that the host listens on, with its real port.
func (h *Host) Addr() net.Addr { return h.listener.Addr() }

// url returns that of a path for a client on this machine.
func (h *Host) url(path string) string {
	scheme := "http://"
	if h.access.tls != nil {
		scheme = "https://"
	}
	return scheme + reachable(h.Addr()) + path
}

// Run runs the host until ctx ends, and then stops it: modules are told at
// once, the listener takes nothing new, requests in flight have the config's
// drain timeout, then plugins and etcd are closed. That is the ordinary end
// and no error. It returns an error if etcd does not start or ends by itself,
// if the listener fails, or if something could not be stopped in time.
func (h *Host) Run(ctx context.Context) (err error) {
	defer h.listener.Close() // server.Run has done so if it came to that
	endpoints := h.cfg.Etcd.Endpoints
	failed, why := (<-chan struct{})(nil), func() error { return nil }
	if e := h.cfg.Etcd.Embedded; e != nil {
		store, startErr := h.startEtcd(ctx, etcd.Options{Dir: h.cfg.DataDir, Listen: e.Listen, Logger: h.logger.Named("etcd")})
		switch {
		case startErr != nil && ctx.Err() != nil:
			return nil // stopped before it was up
		case startErr != nil:
			return startErr
		}
		defer func() { err = errors.Join(err, bounded(etcdStopTime, store.Close)) }()
		endpoints, failed, why = store.Endpoints(), store.Failed(), store.Err
	}

	// Not before etcd has taken the data folder, where the socket mostly is.
	orders, err := listenForOrders(h.cfg.Admin)
	if err != nil {
		return err
	}
	defer orders.Close() // server.Run has done so if it came to that

	var control *control
	meter := metrics.New(h.version, h.logger.Named("metrics"))
	plugins := supervisor.New(supervisor.Options{Logger: h.logger, HostVersion: h.version, HostAPI: func(module string) http.Handler {
		return admin.ModulesHandler(control, module, h.logger.Named("admin"))
	}, DialOptions: meter.DialOptions})
	defer func() { err = errors.Join(err, h.closePlugins(plugins)) }()
	health := func(ctx context.Context) error { return etcd.Health(ctx, h.client(), endpoints) }
	counted := meter.Handler(plugins)
	handler, err := server.New(server.Options{
		Logger: h.logger.Named("http"), Modules: plugins.Modules, Ready: health,
		Metrics: counted, Meter: meter, Rules: h.access.rules,
	})
	if err != nil {
		return err
	}
	control = newControl(h.cfg, h.logger, plugins, handler.SetMounts, endpoints)
	control.read, control.reloaded, control.metrics = h.read, meter.Reloaded, counted
	gate := newGate(h.access, h.Addr().String(), handler.SetRules)
	control.gate = gate
	if err := control.start(); err != nil {
		return err
	}

	// From here on the parts run beside each other until one of them or ctx
	// ends, which ends all.
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() {
		stop(server.Run(running, h.listener, gate.tls(), handler, h.logger.Named("http"), h.cfg.DrainTimeout))
	})
	parts.Go(func() {
		logger := h.logger.Named("admin")
		stop(server.Run(running, orders, nil, admin.Handler(control, h.token, logger), logger, h.cfg.DrainTimeout))
	})
	parts.Go(func() { control.reloadOn(running, h.hangups) })
	parts.Go(func() { h.awaitReady(running, plugins.Modules) })
	parts.Go(func() { h.askEtcd(running, health, endpoints) })
	if !slices.ContainsFunc(h.cfg.Modules, func(m config.Module) bool { return m.Enabled }) {
		h.logger.Warn("no module is enabled; add a module block to the config")
	}
	h.logger.Info("listening", "address", h.Addr().String(), "url", h.url("/"), "etcd", endpoints)

	select {
	case <-running.Done():
	case <-failed:
		stop(why())
	}
	h.logger.Info("stopping", "drain_timeout", h.cfg.DrainTimeout)
	plugins.Drain()
	if cause := context.Cause(running); ctx.Err() == nil && cause != context.Canceled {
		return cause
	}
	return nil
}

// startEtcd starts the embedded etcd, in bounded time.
func startEtcd(ctx context.Context, o etcd.Options) (embedded, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdStartTime)
	defer cancel()
	return etcd.Start(ctx, o)
}

// closePlugins ends all plugin processes, which drain first.
func (h *Host) closePlugins(plugins *supervisor.Supervisor) error {
	err := bounded(h.cfg.DrainTimeout+pluginStopTime, plugins.Close)
	if err != nil {
		return fmt.Errorf("plugins did not end in time and were killed: %w", err)
	}
	return nil
}

// bounded calls f with a context of its own: what ended the host must not
// end the clean-up.
func bounded(limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return f(ctx)
}

// askEtcd says in the log that etcd does not answer at the start. Everything
// runs all the same: modules answer 503 until it does.
func (h *Host) askEtcd(ctx context.Context, health func(context.Context) error, endpoints []string) {
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := health(limited); err != nil && ctx.Err() == nil {
		h.logger.Error("etcd does not answer; modules say 503 until it does: start it or set etcd.endpoints",
			"endpoints", endpoints, "error", err)
	}
}

// client returns an HTTP client for one question to etcd. Connections are not
// kept: a question is rare and an open connection proves nothing.
func (h *Host) client() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: h.tls, DisableKeepAlives: true}}
}
