package supervisor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
)

const (
	// startTimeout is how long a plugin has from its start until it serves.
	startTimeout = 15 * time.Second

	// goingTime is how long a process has to end after it was asked to.
	goingTime = 3 * time.Second
)

// A pluginLauncher starts processes with go-plugin, which is known to this
// file only. From it we take the handshake, the certificates of both sides,
// the connection and the streams of what a plugin prints; its clients,
// commands and configs serve once, so that each start makes them anew.
type pluginLauncher struct {
	logger  hclog.Logger
	dirs    runDirs
	fork    *forker
	version string
	hostAPI func(module string) http.Handler      // for the privilege modules; nil: there is none
	dial    func(module string) []grpc.DialOption // may be nil
}

var _ runner.Runner = (*program)(nil)

// launch is a [launcher].
func (l *pluginLauncher) launch(ctx context.Context, a attempt) (*process, error) {
	r, err := l.prepare(a.spec, &output{logger: l.logger.With("module", a.spec.Name), tail: a.tail})
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, r.prog.kill) // cuts every step short
	p, err := l.connect(ctx, a, r)
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, l.failed(ctx, r, err)
	}
	p.release = r.release
	p.watch()
	return p, nil
}

// check starts a process for spec only to have it judge its config. The error
// says why it could not.
func (l *pluginLauncher) check(ctx context.Context, spec Spec) ([]*wirepb.Diagnostic, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	r, err := l.prepare(spec, &output{logger: hclog.NewNullLogger(), tail: &tail{}})
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, r.prog.kill)()
	c, _, err := l.meet(ctx, r)
	var res *wirepb.ConfigureResponse
	if err == nil {
		req := request(attempt{spec: spec, id: rand.Text()})
		req.CheckOnly = true
		res, err = c.Configure(ctx, req)
	}
	if err != nil {
		return nil, l.failed(ctx, r, err)
	}
	r.prog.kill()
	r.release()
	return res.GetDiagnostics(), nil
}

// A run is a program that is about to be started, or was, and what it uses.
type run struct {
	prog   *program
	client *plugin.Client
	api    *hostAPI
	dir    string // private, of its sockets
}

// prepare makes everything ready to start the program of spec.
func (l *pluginLauncher) prepare(spec Spec, out *output) (*run, error) {
	if err := checkExecutable(spec.Path); err != nil {
		return nil, err
	}
	dir, err := l.dirs.make()
	if err != nil {
		return nil, err
	}
	r := &run{dir: dir}
	path := spec.Path
	if spec.SHA256 != "" {
		path, err = verified(spec.Path, spec.SHA256, dir)
	}
	if err == nil {
		r.api, err = listenForPlugin(spec, dir, l.hostAPI, l.logger)
	}
	if err != nil {
		os.RemoveAll(dir) //nolint:errcheck // the next host sweeps
		return nil, err
	}
	r.prog = newProgram(path, spec.Args, environ(os.Environ(), spec.Env), l.fork, out)
	r.prog.name, r.prog.cmd.Args[0] = spec.Path, spec.Path
	r.client = plugin.NewClient(l.clientConfig(r.prog, dir, spec.Name))
	return r, nil
}

// release ends the process if need be and frees what it used.
func (r *run) release() {
	t := time.AfterFunc(goingTime, r.prog.kill)
	defer t.Stop()
	r.client.Kill() // also after a crash: it ends the connection, which would be dialled for ever
	r.prog.wait()
	r.api.close()
	os.RemoveAll(r.dir) //nolint:errcheck // the next host sweeps
}

// failed ends a process that did not come up and returns the reason.
func (l *pluginLauncher) failed(ctx context.Context, r *run, err error) error {
	r.prog.Kill(ctx) //nolint:errcheck // never fails
	r.release()
	return l.explain(ctx, r.prog, err)
}

func (l *pluginLauncher) clientConfig(prog *program, dir, module string) *plugin.ClientConfig {
	dial := wire.DialOptions()
	if l.dial != nil {
		dial = append(dial, l.dial(module)...)
	}
	return &plugin.ClientConfig{
		HandshakeConfig:  wire.Handshake(),
		Plugins:          wire.PluginSet(nil),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     startTimeout,
		Logger:           hclog.NewNullLogger(), // we tell starts and ends ourselves
		SyncStdout:       &lineWriter{line: prog.output.line},
		SyncStderr:       &lineWriter{line: prog.output.line},
		GRPCDialOptions:  dial,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: dir},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
			prog.cmd.Env = append(prog.cmd.Env, cmd.Env...)
			return prog, nil
		},
	}
}

// errHandshake marks errors from before a plugin has shown that it is one.
var errHandshake = errors.New("handshake")

// meet starts the program and shakes hands with it.
func (l *pluginLauncher) meet(ctx context.Context, r *run) (*wire.Client, *wirepb.InfoResponse, error) {
	if _, err := r.client.Start(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errHandshake, err)
	}
	protocol, err := r.client.Client()
	if err != nil {
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	raw, err := protocol.Dispense(wire.PluginName)
	if err != nil {
		return nil, nil, fmt.Errorf("dispense: %w", err)
	}
	c := raw.(*wire.Client)
	info, err := c.Info(ctx, l.version)
	return c, info, err
}

// connect goes from the start of the program to a process that serves.
func (l *pluginLauncher) connect(ctx context.Context, a attempt, r *run) (*process, error) {
	c, info, err := l.meet(ctx, r)
	if err != nil {
		return nil, err
	}
	prog := r.prog
	req := request(a)
	req.HostSocket = r.api.path
	if err := configure(ctx, c, req, prog.output.logger); err != nil {
		return nil, err
	}
	// The lifeline lasts as long as the process, not as ctx does.
	lifeline, err := c.Lifeline(context.WithoutCancel(ctx))
	if err != nil {
		return nil, fmt.Errorf("open the lifeline: %w", err)
	}
	if err := lifeline.Ping(ctx); err != nil {
		return nil, fmt.Errorf("ping: %w", err)
	}
	return &process{
		id:       a.id,
		pid:      prog.cmd.Process.Pid,
		version:  info.GetVersion(),
		ready:    time.Now(),
		client:   c,
		lifeline: lifeline,
		exited:   prog.exited,
		exit:     prog.exitState,
		said:     func() string { return said(prog.output) },
		kill:     prog.kill,
	}, nil
}

// request is what a process is told of its module.
func request(a attempt) *wirepb.ConfigureRequest {
	req := &wirepb.ConfigureRequest{
		Module:     a.spec.Name,
		Mounts:     a.spec.Mounts,
		Config:     a.spec.Config,
		Store:      a.spec.Store,
		ProcessId:  a.id,
		LogLevel:   a.spec.LogLevel,
		Privileges: a.spec.Privileges,
	}
	for _, id := range a.ended {
		req.Ended = append(req.Ended, &wirepb.EndedProcess{ProcessId: id})
	}
	return req
}

// configure hands the settings over and logs the plugin's warnings about
// them. Its errors come back as one lasting error.
func configure(ctx context.Context, c *wire.Client, req *wirepb.ConfigureRequest, logger hclog.Logger) error {
	res, err := c.Configure(ctx, req)
	if err != nil {
		return err
	}
	for _, d := range res.GetDiagnostics() {
		if d.GetSeverity() == wirepb.Diagnostic_WARNING {
			logger.Warn("config", "warning", describe(d))
		}
	}
	return explainDiagnostics(res.GetDiagnostics())
}

// explain finds the reason that helps a user most. The program, if it was
// started, has ended.
func (l *pluginLauncher) explain(ctx context.Context, prog *program, err error) error {
	switch {
	case errors.As(err, new(lasting)):
		return err
	case errors.Is(prog.startErr, fs.ErrPermission) && prog.cmd.Path != prog.name:
		return lastingf("the verified copy of %q may not be executed in %q: %w; set TMPDIR to a folder of a file system without noexec",
			prog.name, filepath.Dir(prog.cmd.Path), prog.startErr)
	case prog.startErr != nil:
		return explainFork(prog.name, prog.startErr)
	case !prog.hasStarted():
		return err // not even tried
	case errors.Is(err, errHandshake):
		return explainHandshake(prog, startTimeout, err)
	case !prog.endedByUs():
		return fmt.Errorf("%q ended while it was being set up: %s%s", prog.name, prog.exitState(), said(prog.output))
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%q was not ready within %s: %w%s; look what it waits for", prog.name, startTimeout, err, said(prog.output))
	}
	return err
}
