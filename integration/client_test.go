package integration

import (
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

	"github.com/etcd-modules/modhost/integration/drive"
)

// newHTTPClient keeps enough connections for many clients on a few hosts.
func newHTTPClient(t testing.TB) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 2000}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// A reply is an answer read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) String() string { return fmt.Sprintf("%d %s", r.status, strings.TrimSpace(r.body)) }

// token is the index in a grant's body.
func (r reply) token(t testing.TB) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(r.body, 10, 64)
	if err != nil || r.status != http.StatusOK || r.header.Get("X-Lock-Token") != r.body {
		t.Errorf("answer %v, token %q: want a grant", r, r.header.Get("X-Lock-Token"))
	}
	return n
}

// validFor is for how long a grant may be relied on, from its request on.
func (r reply) validFor(t testing.TB) time.Duration {
	t.Helper()
	s, err := strconv.ParseFloat(r.header.Get("X-Lock-Valid-For"), 64)
	if err != nil {
		t.Errorf("X-Lock-Valid-For: %v", err)
	}
	return time.Duration(s * float64(time.Second))
}

// send makes one request with parameters in the body, in the query for GET.
func send(ctx context.Context, c *http.Client, method, address string, parameters ...string) (reply, error) {
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
	if err != nil {
		return reply{}, err
	}
	if method != http.MethodGet {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := c.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(text)}, err
}

// must is send for what can't fail.
func must(t testing.TB, c *http.Client, method, address string, parameters ...string) reply {
	t.Helper()
	r, err := send(t.Context(), c, method, address, parameters...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// lockState is what GET says with Accept: application/json.
type lockState struct {
	State   string
	Value   string
	Index   uint64
	Waiting int
}

func stateOf(t testing.TB, c *http.Client, address string) lockState {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	var s lockState
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// awaitWaiting waits until n entries wait behind the holder.
func awaitWaiting(t testing.TB, c *http.Client, address string, n int) {
	t.Helper()
	drive.Eventually(t, func() error {
		if s := stateOf(t, c, address); s.Waiting != n {
			return fmt.Errorf("%d waiting, want %d", s.Waiting, n)
		}
		return nil
	})
}
