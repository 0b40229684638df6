package etcdv2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"go.etcd.io/etcd/client/v2"
)

// A caller sends the requests that client/v2 has no method for.
type caller struct {
	transport          http.RoundTripper
	username, password string
}

// maxAnswer bounds what is read of an answer that is not a listing.
const maxAnswer = 4 << 20

// do sends a request to base, such as http://10.0.0.1:2379. A body is sent as
// JSON by POST. What is no success is an error.
func (c caller) do(ctx context.Context, base, path string, query url.Values, body string) (*http.Response, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	u.Path, u.RawQuery = strings.TrimSuffix(u.Path, "/")+path, query.Encode()
	method, content := http.MethodGet, io.Reader(nil)
	if body != "" {
		method, content = http.MethodPost, strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), content)
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.username != "" {
		req.SetBasicAuth(c.username, c.password)
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()                                     //nolint:errcheck // read
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) //nolint:errcheck // the status says enough
	return nil, refusal(resp.StatusCode, text)
}

// refusal is what etcd says in an answer that is no success.
func refusal(status int, text []byte) error {
	var e client.Error
	if json.Unmarshal(text, &e) == nil && e.Code != 0 {
		return e
	}
	var m struct{ Message, Error, Health, Reason string }
	if json.Unmarshal(text, &m) == nil {
		for _, s := range []string{m.Message, m.Error, m.Reason} {
			if s != "" {
				return &statusError{status, s}
			}
		}
	}
	return &statusError{status, strings.TrimSpace(fmt.Sprintf("%.200s", text))}
}

// A statusError is an answer without a code of etcd's store.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.text) }

// status returns that of the answer in err, or 0.
func status(err error) int {
	var e *statusError
	if errors.As(err, &e) {
		return e.status
	}
	return 0
}

// json reads the answer to a request into v.
func (c caller) json(ctx context.Context, base, path, body string, v any) error {
	resp, err := c.do(ctx, base, path, nil, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
