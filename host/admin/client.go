package admin

import (
	"bufio"
	"bytes"
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
	http    *http.Client
	base    string
	token   string
	address string // as in the config
}

// NewClient returns a client of the host that takes orders at a. It reads the
// token file, if a has one.
func NewClient(a config.Admin) (*Client, error) {
	c := &Client{address: a.Listen}
	transport := &http.Transport{DisableKeepAlives: true}
	c.http = &http.Client{Transport: transport}
	path, unix := strings.CutPrefix(a.Listen, "unix:")
	if unix {
		c.base = "http://modhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
		return c, nil
	}
	c.base = "http://" + a.Listen
	token, err := ReadToken(a.TokenFile)
	if err != nil {
		return nil, err
	}
	c.token = token
	return c, nil
}

// ReadToken returns the content of the token file, without space around it.
func ReadToken(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("admin.token_file %q: %w; name a file that can be read", file, err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < 16 {
		return "", fmt.Errorf("admin.token_file %q: holds %d characters; write at least 16 random ones into it", file, len(token))
	}
	return token, nil
}

// Modules returns the listing.
func (c *Client) Modules(ctx context.Context) ([]supervisor.Status, error) {
	var list []supervisor.Status
	err := c.ask(ctx, http.MethodGet, "/v1/modules", &list)
	return list, err
}

// Module returns one module in detail.
func (c *Client) Module(ctx context.Context, name string) (Module, error) {
	var m Module
	err := c.ask(ctx, http.MethodGet, "/v1/modules/"+url.PathEscape(name), &m)
	return m, err
}

// Switch enables or disables a module until the next reload.
func (c *Client) Switch(ctx context.Context, name string, enabled bool) (Module, error) {
	order := "disable"
	if enabled {
		order = "enable"
	}
	return c.order(ctx, name, order)
}

// Restart gives a module a new process.
func (c *Client) Restart(ctx context.Context, name string) (Module, error) {
	return c.order(ctx, name, "restart")
}

func (c *Client) order(ctx context.Context, name, order string) (Module, error) {
	var m Module
	err := c.ask(ctx, http.MethodPost, "/v1/modules/"+url.PathEscape(name)+"/"+order, &m)
	return m, err
}

// Logs calls f with each of the last lines of a module's log and, if follow is
// set, with those that come until ctx ends or the module is gone.
func (c *Client) Logs(ctx context.Context, name string, follow bool, f func(supervisor.LogLine) error) error {
	res, err := c.send(ctx, http.MethodGet, fmt.Sprintf("/v1/modules/%s/logs?follow=%t", url.PathEscape(name), follow))
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	lines := bufio.NewReader(res.Body)
	for {
		text, err := lines.ReadBytes('\n')
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return c.failure(ctx, err)
		}
		var l supervisor.LogLine
		if err := json.Unmarshal(text, &l); err != nil {
			return fmt.Errorf("line of the log: %w", err)
		}
		if err := f(l); err != nil {
			return err
		}
	}
}

// Reload has the host take its config file over, or say what that would do. A
// config that is refused is no error: the report has complaints then.
func (c *Client) Reload(ctx context.Context, dryRun bool) (*Report, error) {
	var r Report
	err := c.ask(ctx, http.MethodPost, fmt.Sprintf("/v1/reload?dry_run=%t", dryRun), &r)
	var refused *refusedError
	if errors.As(err, &refused) {
		return &Report{DryRun: dryRun, Changes: []Change{}, Complaints: refused.complaints}, nil
	}
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// LogLevel returns the host's present level.
func (c *Client) LogLevel(ctx context.Context) (string, error) {
	var a levelAnswer
	err := c.ask(ctx, http.MethodGet, "/v1/log-level", &a)
	return a.Level, err
}

// SetLogLevel sets the level of the host and all modules.
func (c *Client) SetLogLevel(ctx context.Context, level string) error {
	return c.ask(ctx, http.MethodPut, "/v1/log-level?level="+url.QueryEscape(level), new(levelAnswer))
}

// ask decodes the answer into to.
func (c *Client) ask(ctx context.Context, method, path string, to any) error {
	res, err := c.send(ctx, method, path)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	if err := json.NewDecoder(res.Body).Decode(to); err != nil {
		return c.failure(ctx, err)
	}
	return nil
}

// send returns an answer of success.
func (c *Client) send(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	return nil, c.answer(res, body)
}

// A refusedError is a config that the host refused.
type refusedError struct {
	complaints []config.Complaint
}

func (e *refusedError) Error() string { return lines(e.complaints) }

// answer makes an error of an answer that is none of success.
func (c *Client) answer(res *http.Response, body []byte) error {
	var r refusal
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&r); err != nil || r.Error == nil || r.Code == 0 {
		return fmt.Errorf("%w: %s answers %s, which no modhost does; look at admin.listen", ErrUnreachable, c.address, res.Status)
	}
	if r.Code == wire.CodeConfigRefused {
		return &refusedError{r.Complaints}
	}
	r.Status = res.StatusCode
	return r.Error
}

// failure says why nothing was answered.
func (c *Client) failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	why := err.Error()
	switch {
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
