package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
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
}

var _ runner.Runner = (*program)(nil)

// launch is a [launcher].
func (l *pluginLauncher) launch(ctx context.Context, a attempt) (*process, error) {
	if err := checkExecutable(a.spec.Path); err != nil {
		return nil, err
	}
	dir, err := l.dirs.make()
	if err != nil {
		return nil, err
	}
	out := &output{logger: l.logger.With("module", a.spec.Name), tail: a.tail}
	prog := newProgram(a.spec.Path, a.spec.Args, environ(os.Environ(), a.spec.Env), l.fork, out)
	client := plugin.NewClient(l.clientConfig(prog, dir))
	release := func() {
		t := time.AfterFunc(goingTime, prog.kill)
		defer t.Stop()
		client.Kill() // also after a crash: it ends the connection, which would be dialled for ever
		prog.wait()
		os.RemoveAll(dir) //nolint:errcheck // the next host sweeps
	}

	stop := context.AfterFunc(ctx, prog.kill) // cuts every step short
	p, err := l.connect(ctx, a, prog, client)
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		prog.Kill(ctx) //nolint:errcheck // never fails
		release()
		return nil, l.explain(ctx, prog, err)
	}
	p.release = release
	p.watch()
	return p, nil
}

func (l *pluginLauncher) clientConfig(prog *program, dir string) *plugin.ClientConfig {
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
		GRPCDialOptions:  wire.DialOptions(),
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: dir},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
			prog.cmd.Env = append(prog.cmd.Env, cmd.Env...)
			return prog, nil
		},
	}
}

// errHandshake marks errors from before a plugin has shown that it is one.
var errHandshake = errors.New("handshake")

// connect goes from the start of the program to a process that serves.
func (l *pluginLauncher) connect(ctx context.Context, a attempt, prog *program, client *plugin.Client) (*process, error) {
	if _, err := client.Start(); err != nil {
		return nil, fmt.Errorf("%w: %w", errHandshake, err)
	}
	protocol, err := client.Client()
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	raw, err := protocol.Dispense(wire.PluginName)
	if err != nil {
		return nil, fmt.Errorf("dispense: %w", err)
	}
	c := raw.(*wire.Client)
	info, err := c.Info(ctx, l.version)
	if err != nil {
		return nil, err
	}
	if err := configure(ctx, c, a, prog.output.logger); err != nil {
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
		exit:     func() string { return prog.exitState() + said(prog.output) },
		kill:     prog.kill,
	}, nil
}

// configure hands the settings over and logs the plugin's warnings about
// them. Its errors come back as one lasting error.
func configure(ctx context.Context, c *wire.Client, a attempt, logger hclog.Logger) error {
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
	case prog.startErr != nil:
		return explainFork(prog.cmd.Path, prog.startErr)
	case !prog.hasStarted():
		return err // not even tried
	case errors.Is(err, errHandshake):
		return explainHandshake(prog, startTimeout, err)
	case !prog.endedByUs():
		return fmt.Errorf("%q ended while it was being set up: %s%s", prog.cmd.Path, prog.exitState(), said(prog.output))
	case ctx.Err() != nil:
		return fmt.Errorf("%q was not ready within %s: %w%s; look what it waits for", prog.cmd.Path, startTimeout, err, said(prog.output))
	}
	return err
}
