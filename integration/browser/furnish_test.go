package browser

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// furnish makes locks with waiters and elections with candidates, by the
// requests that are documented. Those that wait end with the test.
func furnish(t *testing.T, host string) {
	t.Helper()
	for i := range 3 {
		grant(t, host, "POST", fmt.Sprintf("/mod/v2/lock/deploy-%d?ttl=600", i), url.Values{"value": {fmt.Sprintf("worker-%d", i)}})
		grant(t, host, "PUT", fmt.Sprintf("/mod/v2/leader/nightly-%d?ttl=600", i), url.Values{"name": {fmt.Sprintf("node-%d", i)}})
	}
	for i := range 3 {
		wait(t, host, "POST", "/mod/v2/lock/deploy-0?ttl=60", url.Values{"value": {fmt.Sprintf("waiter-%d", i)}})
		wait(t, host, "PUT", "/mod/v2/leader/nightly-0?ttl=60", url.Values{"name": {fmt.Sprintf("candidate-%d", i)}})
	}
}

// grant sends a form and wants 200; the answer's body.
func grant(t *testing.T, host, method, target string, form url.Values) string {
	t.Helper()
	status, body, err := send(t.Context(), host, method, target, form)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s %s: %d %s, %v", method, target, status, body, err)
	}
	return body
}

// wait sends a form in the background, until the test or the function that it
// returns ends it.
func wait(t *testing.T, host, method, target string, form url.Values) (hangUp func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		send(ctx, host, method, target, form) //nolint:errcheck // nobody waits for the answer
	}()
	hangUp = func() {
		cancel()
		<-over
	}
	t.Cleanup(hangUp)
	return hangUp
}

func send(ctx context.Context, host, method, target string, form url.Values) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, host+target, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}
