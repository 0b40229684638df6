package sdktest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// A Reply is an answer, read to its end, or what kept it from coming.
type Reply struct {
	Status int
	Header http.Header
	Body   string
	Took   time.Duration // from before the request was sent
	Err    error         // then Status may be 0, and Body what came of it
}

func (r Reply) String() string {
	if r.Err != nil {
		return r.Err.Error()
	}
	return fmt.Sprintf("%d %q after %v", r.Status, r.Body, r.Took)
}

// Index is the body of a grant, as modules with a queue answer it. It ends the
// test if the answer is another one.
func (r Reply) Index(t testing.TB) store.Revision {
	t.Helper()
	n, err := strconv.ParseUint(r.Body, 10, 64)
	if r.Status != http.StatusOK || err != nil {
		t.Fatalf("answer %v, want an index", r)
	}
	return store.Revision(n)
}

// Failure is the body of an error. It fails the test if that does not have the
// shape that all errors have.
func (r Reply) Failure(t testing.TB) (code int, cause string) {
	t.Helper()
	var e struct {
		Code    int `json:"errorCode"`
		Message string
		Cause   string
		Index   *uint64
	}
	d := json.NewDecoder(strings.NewReader(r.Body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || e.Code == 0 || e.Message == "" || e.Cause == "" || e.Index == nil {
		t.Errorf("answer %v, want an error's four fields; %v", r, err)
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("answer %v: %s %q, want %q", r, name, got, want)
		}
	}
	return e.Code, e.Cause
}

// Expect compares status and body, or with the body the code of an error.
func (r Reply) Expect(t testing.TB, status int, body string) {
	t.Helper()
	got := r.Body
	if status >= 400 && r.Status == status && r.Header.Get("Content-Type") == "application/json" {
		code, _ := r.Failure(t)
		got = strconv.Itoa(code)
	}
	if r.Err != nil || r.Status != status || got != body {
		t.Errorf("answer %v, want %d %q", r, status, body)
	}
}

// NewRequest makes a request to target, which is what follows the mount.
// Headers are names and values in turn.
func (m *Module) NewRequest(method, target string, body io.Reader, headers ...string) *http.Request {
	m.t.Helper()
	r, err := http.NewRequest(method, m.URL+target, body)
	if err != nil {
		m.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// Send sends a request to the module and waits for the answer.
func (m *Module) Send(r *http.Request) Reply {
	start := time.Now()
	resp, err := m.Client().Do(r)
	if err != nil {
		return Reply{Err: err, Took: time.Since(start)}
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	body, err := io.ReadAll(resp.Body)
	return Reply{resp.StatusCode, resp.Header, string(body), time.Since(start), err}
}

// Do sends a request without a body and waits for the answer. Headers are as
// for NewRequest.
func (m *Module) Do(method, target string, headers ...string) Reply {
	m.t.Helper()
	return m.Send(m.NewRequest(method, target, nil, headers...))
}

// A Call is a request under way, in a bubble of [testing/synctest].
type Call struct {
	answer chan Reply
	hangUp context.CancelFunc
}

// Begin sends a request and returns when all in the bubble has come to rest:
// with an answer, or with the request waiting.
func (m *Module) Begin(method, target string) *Call {
	m.t.Helper()
	ctx, cancel := context.WithCancel(m.t.Context())
	r := m.NewRequest(method, target, nil).WithContext(ctx)
	c := &Call{make(chan Reply, 1), cancel}
	go func() { c.answer <- m.Send(r) }() // ends with the test's context at the latest
	synctest.Wait()
	return c
}

// Waits reports whether there is no answer yet when all in the bubble has come
// to rest.
func (c *Call) Waits() bool {
	synctest.Wait()
	return len(c.answer) == 0
}

// HangUp leaves before the answer.
func (c *Call) HangUp() { c.hangUp() }

// End waits for the answer. It is called once.
func (c *Call) End() Reply {
	defer c.hangUp()
	return <-c.answer
}
