package drive

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// NewHTTPClient keeps enough connections for many clients on a few hosts.
func NewHTTPClient(t testing.TB) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 2000}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// A Reply is an answer read to its end.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

func (r Reply) String() string { return fmt.Sprintf("%d %s", r.Status, strings.TrimSpace(r.Body)) }

// Token is the index in a grant's body.
func (r Reply) Token(t testing.TB) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(r.Body, 10, 64)
	token := cmp.Or(r.Header.Get("X-Lock-Token"), r.Header.Get("X-Leader-Token"))
	if err != nil || r.Status != http.StatusOK || token != r.Body {
		t.Errorf("answer %v, token %q: want a grant", r, token)
	}
	return n
}

// ValidFor is for how long a grant may be relied on, from its request on.
func (r Reply) ValidFor(t testing.TB) time.Duration {
	t.Helper()
	s, err := strconv.ParseFloat(r.Header.Get("X-Lock-Valid-For"), 64)
	if err != nil {
		t.Errorf("X-Lock-Valid-For: %v", err)
	}
	return time.Duration(s * float64(time.Second))
}

// Code is the errorCode in the body of an error, 0 if there is none.
func (r Reply) Code() int {
	var e struct{ ErrorCode int }
	if json.Unmarshal([]byte(r.Body), &e) != nil {
		return 0
	}
	return e.ErrorCode
}

func (r Reply) wantError(t testing.TB, what string, status, code int) {
	t.Helper()
	if r.Status != status || r.Code() != code {
		t.Errorf("%s = %v, want %d with code %d", what, r, status, code)
	}
}

// Send makes one request with parameters in the body, in the query for GET.
func Send(ctx context.Context, c *http.Client, method, address string, parameters ...string) (Reply, error) {
	req, err := newRequest(ctx, method, address, parameters...)
	if err != nil {
		return Reply{}, err
	}
	return do(c, req)
}

func newRequest(ctx context.Context, method, address string, parameters ...string) (*http.Request, error) {
	form := make(url.Values)
	for i := 0; i < len(parameters); i += 2 {
		form.Add(parameters[i], parameters[i+1])
	}
	body := strings.NewReader(form.Encode())
	if method == http.MethodGet {
		address += "?" + form.Encode()
		body.Reset("")
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err == nil && method != http.MethodGet {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, err
}

func do(c *http.Client, req *http.Request) (Reply, error) {
	resp, err := c.Do(req)
	if err != nil {
		return Reply{}, err
	}
	return read(resp)
}

// read reads an answer to its end.
func read(resp *http.Response) (Reply, error) {
	defer resp.Body.Close() //nolint:errcheck // read to the end
	text, err := io.ReadAll(resp.Body)
	return Reply{resp.StatusCode, resp.Header, string(text)}, err
}
