package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/supervisor"
	"github.com/etcd-modules/modhost/sdk/wire"
)

// ErrUnreachable is returned, with its reason, when no host answers.
var ErrUnreachable = errors.New("host not reachable")

// A Client gives orders to a running host. Errors of its methods are
// [ErrUnreachable], a *wire.Error that the host has answered with, or that of
// the context. Safe for concurrent use.
type Client struct {
	host    *wire.HostClient
	address string // as in the config
}

// NewClient returns a client of the host that takes orders at a. It reads the
// token file, if a has one.
func NewClient(a config.Admin) (*Client, error) {
	if path, unix := strings.CutPrefix(a.Listen, "unix:"); unix {
		return &Client{wire.NewHostClient("", wire.DialUnix(path)), a.Listen}, nil
	}
	token, err := ReadToken(a.TokenFile)
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", a.Listen) }
	return &Client{wire.NewHostClient(token, dial), a.Listen}, nil
}

// ReadToken returns the content of the token file, without space around it.
func ReadToken(file string) (string, error) {
	text, err := os.ReadFile(file)
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return "", fmt.Errorf("admin.token_file %q: %w; name a file that can be read", file, path.Err)
	case err != nil:
		return "", fmt.Errorf("admin.token_file %q: %w; name a file that can be read", file, err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < 16 {
		return "", fmt.Errorf("admin.token_file %q: holds %d characters; write at least 16 random ones into it", file, len(token))
	}
	return token, nil
}

// Modules returns the listing, sorted by name.
func (c *Client) Modules(ctx context.Context) ([]supervisor.Status, error) {
	list, err := c.host.Modules(ctx)
	return list, c.failure(ctx, err)
}

// Module returns one module in detail.
func (c *Client) Module(ctx context.Context, name string) (Module, error) {
	m, err := c.host.Module(ctx, name)
	return m, c.failure(ctx, err)
}

// Switch enables or disables a module until the next reload, and waits until it
// serves, has failed to, or is gone.
func (c *Client) Switch(ctx context.Context, name string, enabled bool) (supervisor.Status, error) {
	m, err := c.host.Switch(ctx, name, enabled, true)
	return m, c.failure(ctx, err)
}

// Restart gives a module a new process, and waits until it serves or has failed
// to.
func (c *Client) Restart(ctx context.Context, name string) (supervisor.Status, error) {
	m, err := c.host.Restart(ctx, name, true)
	return m, c.failure(ctx, err)
}

// Logs calls f with each of the last lines of a module's log and, if follow is
// set, with those that come until ctx ends or the module is gone.
func (c *Client) Logs(ctx context.Context, name string, follow bool, f func(supervisor.LogLine) error) error {
	var stopped error
	err := c.host.Logs(ctx, name, follow, func(l supervisor.LogLine) error {
		stopped = f(l)
		return stopped
	})
	if stopped != nil {
		return stopped
	}
	return c.failure(ctx, err)
}

// Reload has the host take its config file over, or say what that would do. A
// config that is refused is no error: the report has complaints then.
func (c *Client) Reload(ctx context.Context, dryRun bool) (*Report, error) {
	var r Report
	err := c.host.Ask(ctx, http.MethodPost, fmt.Sprintf("/v1/reload?dry_run=%t", dryRun), &r)
	var answer *wire.Error
	if errors.As(err, &answer) && answer.Code == wire.CodeConfigRefused {
		refused := &Report{DryRun: dryRun, Changes: []Change{}, Warnings: []config.Complaint{}}
		return refused, json.Unmarshal(answer.Body, refused) // its complaints
	}
	return &r, c.failure(ctx, err)
}

// LogLevel returns the host's present level.
func (c *Client) LogLevel(ctx context.Context) (string, error) {
	var a levelAnswer
	err := c.host.Ask(ctx, http.MethodGet, "/v1/log-level", &a)
	return a.Level, c.failure(ctx, err)
}

// SetLogLevel sets the level of the host and all modules.
func (c *Client) SetLogLevel(ctx context.Context, level string) error {
	return c.failure(ctx, c.host.Ask(ctx, http.MethodPut, "/v1/log-level?level="+url.QueryEscape(level), new(levelAnswer)))
}

// failure says why nothing was answered, if err is not the host's answer.
func (c *Client) failure(ctx context.Context, err error) error {
	var answer *wire.Error
	errors.As(err, &answer)
	elsewhere := answer != nil && (answer.Code == wire.CodeNoSuchRoute || answer.Code == wire.CodeMisdirected)
	switch {
	case err == nil, answer != nil && !elsewhere:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	why := err.Error()
	switch {
	case elsewhere:
		why = "that is where modules are served, and orders are taken elsewhere; look whether it is the right address"
	case errors.Is(err, wire.ErrNoHost):
		why = err.Error() + "; look whether it is the right address"
	case errors.Is(err, fs.ErrNotExist):
		why = "there is no such socket; start the host, or run this in its working directory and with its --config"
	case errors.Is(err, syscall.ECONNREFUSED):
		why = "nobody listens there; start the host"
	case errors.Is(err, fs.ErrPermission):
		why = "no permission; run this as the host's user"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		why = "it ended before it had answered; look at its log"
	}
	return fmt.Errorf("%w: admin.listen %q: %s", ErrUnreachable, c.address, why)
}
