package wire

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A HostClient asks a host about its modules and switches them, over a listener
// that answers the paths below /v1/modules: that of operators, or the socket that
// the host makes for a plugin with the privilege modules. Errors of its methods
// are the [*Error] that the host has answered with, or say why there was no
// answer. Safe for concurrent use.
type HostClient struct {
	http  *http.Client
	base  string // "http://address"
	token string // presented if not empty
}

// ErrNoHost is within the error of an answer that no host has given.
var ErrNoHost = errors.New("not the answer of a modhost")

// NewHostClient returns a client that dials with dial.
func NewHostClient(token string, dial func(context.Context) (net.Conn, error)) *HostClient {
	return &HostClient{
		base: "http://modhost", token: token,
		http: &http.Client{Transport: &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			DisableKeepAlives:  true, // questions are rare, and an idle connection may have died
			DisableCompression: true, // it never goes far
		}},
	}
}

// DialUnix returns what NewHostClient dials with for a unix socket.
func DialUnix(path string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "unix", path) }
}

// Modules returns the listing, sorted by name.
func (c *HostClient) Modules(ctx context.Context) ([]ModuleStatus, error) {
	var list []ModuleStatus
	err := c.Ask(ctx, http.MethodGet, "/v1/modules", &list)
	return list, err
}

// Module returns one module in detail, [CodeNoSuchModule] if there is none.
func (c *HostClient) Module(ctx context.Context, name string) (ModuleDetail, error) {
	var m ModuleDetail
	err := c.Ask(ctx, http.MethodGet, "/v1/modules/"+url.PathEscape(name), &m)
	return m, err
}

// Follow calls f with the listing, and again with each that differs, until ctx
// ends, f fails or the host has ended all modules: then it returns nil. Changes
// that come while f runs come together.
func (c *HostClient) Follow(ctx context.Context, f func([]ModuleStatus) error) error {
	return stream(ctx, c, "/v1/modules?follow=true", f)
}

// Metrics returns the metrics of the host and of all modules by their names, as
// the host shows them at /metrics: those of a module have the label module. The
// host asks all modules for it.
func (c *HostClient) Metrics(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	res, err := c.send(ctx, http.MethodGet, "/v1/metrics")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		return nil, errors.Join(ctx.Err(), fmt.Errorf("metrics: %w", err))
	}
	return families, nil
}

// Switch enables or disables a module until the config is reloaded, and returns
// what has become of it. With wait that is when it serves, has failed to, or is
// gone; a module that switches itself off must not wait.
func (c *HostClient) Switch(ctx context.Context, name string, enabled, wait bool) (ModuleStatus, error) {
	order := "disable"
	if enabled {
		order = "enable"
	}
	return c.order(ctx, name, order, wait)
}

// Restart gives a module a new process; wait is as for Switch.
func (c *HostClient) Restart(ctx context.Context, name string, wait bool) (ModuleStatus, error) {
	return c.order(ctx, name, "restart", wait)
}

func (c *HostClient) order(ctx context.Context, name, order string, wait bool) (ModuleStatus, error) {
	var m ModuleStatus
	err := c.Ask(ctx, http.MethodPost, fmt.Sprintf("/v1/modules/%s/%s?wait=%t", url.PathEscape(name), order, wait), &m)
	return m, err
}

// Logs calls f with each of the last lines of a module's log, at most 200, and,
// if follow is set, with those that come, until ctx ends, f fails or the module
// is gone.
func (c *HostClient) Logs(ctx context.Context, name string, follow bool, f func(LogLine) error) error {
	return stream(ctx, c, fmt.Sprintf("/v1/modules/%s/logs?follow=%t", url.PathEscape(name), follow), f)
}

// stream calls f with each line of the answer.
func stream[T any](ctx context.Context, c *HostClient, path string, f func(T) error) error {
	res, err := c.send(ctx, http.MethodGet, path)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	for lines := bufio.NewReader(res.Body); ; {
		text, err := lines.ReadBytes('\n')
		switch {
		case err == io.EOF:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		}
		var line T
		if err := json.Unmarshal(text, &line); err != nil {
			return fmt.Errorf("line of %s: %w", path, err)
		}
		if err := f(line); err != nil {
			return err
		}
	}
}

// Ask sends a request without a body and decodes the answer of success into to.
func (c *HostClient) Ask(ctx context.Context, method, path string, to any) error {
	res, err := c.send(ctx, method, path)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	if err := json.NewDecoder(res.Body).Decode(to); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	return nil
}

// send returns an answer of success.
func (c *HostClient) send(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	e := &Error{Status: res.StatusCode}
	if json.Unmarshal(body, e) != nil || e.Code == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoHost, res.Status)
	}
	e.Body = body
	return nil, e
}
