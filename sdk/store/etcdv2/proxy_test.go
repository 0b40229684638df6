package etcdv2_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// A proxy stands between a Store and etcd and spoils what it is told to. Its
// fields are set before the first request.
type proxy struct {
	before func(n int, w http.ResponseWriter, r *http.Request) bool // true = r is dealt with
	after  func(n int, resp *http.Response)                         // may panic(http.ErrAbortHandler): the reply is lost
	narrow bool                                                     // the sockets of streams hold little that is not read

	url string
	mu  sync.Mutex
	log []string // method and URI of each request for keys
}

func startProxy(t *testing.T, p *proxy) *proxy {
	t.Helper()
	s := httptest.NewServer(p.handler(t))
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	p.url = s.URL
	return p
}

func (p *proxy) handler(t *testing.T) http.Handler {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	narrow := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if tcp, ok := conn.(*net.TCPConn); ok {
			err = tcp.SetReadBuffer(256 << 10)
		}
		return conn, err
	}}
	t.Cleanup(narrow.CloseIdleConnections)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := p.note(r)
		if p.before != nil && p.before(n, w, r) {
			return
		}
		forward := httputil.NewSingleHostReverseProxy(target)
		forward.FlushInterval = -1
		if p.narrow && isStream(r) {
			forward.Transport = narrow
		}
		forward.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
		if p.after != nil {
			forward.ModifyResponse = func(resp *http.Response) error {
				p.after(n, resp)
				return nil
			}
		}
		forward.ServeHTTP(w, r)
	})
}

// note returns how many requests of r's method for keys came before it.
func (p *proxy) note(r *http.Request) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n = p.count(r.Method + " ")
	if strings.HasPrefix(r.URL.Path, "/v2/keys") {
		p.log = append(p.log, r.Method+" "+r.URL.RequestURI())
	}
	return n
}

func (p *proxy) count(text string) (n int) {
	for _, line := range p.log {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// requests returns how many requests had text in "METHOD URI".
func (p *proxy) requests(text string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count(text)
}

// loseReply loses the reply of the first request with that method.
func loseReply(method string) func(int, *http.Response) {
	return func(n int, resp *http.Response) {
		if resp.Request.Method == method && n == 0 {
			panic(http.ErrAbortHandler)
		}
	}
}
