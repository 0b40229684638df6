package browser

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// An etcd is the store, as other clients see it.
type etcd struct {
	t   *testing.T
	url string
}

// A node is a key or a directory as etcd's v2 API tells it.
type node struct {
	Key           string
	Value         string
	Dir           bool
	TTL           int64
	Expiration    time.Time
	CreatedIndex  uint64
	ModifiedIndex uint64
	Nodes         []node
}

// call sends a request about a key; a parameter is "name=value".
func (e etcd) call(method, key string, parameters ...string) (status int, n node) {
	e.t.Helper()
	form := url.Values{}
	for _, p := range parameters {
		name, value, _ := strings.Cut(p, "=")
		form.Set(name, value)
	}
	segments := strings.Split(key, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	address := e.url + "/v2/keys" + strings.Join(segments, "/")
	var body io.Reader
	if method == http.MethodPut {
		body = strings.NewReader(form.Encode())
	} else {
		address += "?" + form.Encode()
	}
	req, err := http.NewRequestWithContext(e.t.Context(), method, address, body)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	var answer struct{ Node node }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		e.t.Fatalf("%s %s: %s, %v", method, key, resp.Status, err)
	}
	return resp.StatusCode, answer.Node
}

// put writes a key, and returns its modified index.
func (e etcd) put(key, value string, parameters ...string) string {
	e.t.Helper()
	status, n := e.call(http.MethodPut, key, append(parameters, "value="+value)...)
	if status/100 != 2 {
		e.t.Fatalf("PUT %s: %d", key, status)
	}
	return strconv.FormatUint(n.ModifiedIndex, 10)
}

// get reads a key; ok tells whether it is there.
func (e etcd) get(key string) (n node, ok bool) {
	e.t.Helper()
	status, n := e.call(http.MethodGet, key, "quorum=true")
	return n, status == http.StatusOK
}

// want fails the test if a key has another value.
func (e etcd) want(key, value string) node {
	e.t.Helper()
	n, ok := e.get(key)
	if !ok || n.Value != value {
		e.t.Errorf("etcd has %q = %q (there: %v), want %q", key, n.Value, ok, value)
	}
	return n
}

// gone fails the test if a key is there.
func (e etcd) gone(key string) {
	e.t.Helper()
	if n, ok := e.get(key); ok {
		e.t.Errorf("etcd still has %q: %+v", key, n)
	}
}

// delete deletes what is there.
func (e etcd) delete(key string) {
	e.t.Helper()
	e.call(http.MethodDelete, key, "recursive=true", "dir=true")
}
