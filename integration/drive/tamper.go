package drive

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// A Tamperer stands between a client and an HTTP server, etcd or a host. It
// loses replies: the server has done what was asked, and the client finds its
// connection broken. And it holds requests back, which then come late: when the
// client has long given up.
type Tamperer struct {
	URL string

	mu   sync.Mutex // guards the rest
	lose func(*http.Request) bool
	lost int
	hold func(*http.Request) bool
	held []*http.Request
}

// NewTamperer makes one in front of the server at target.
func NewTamperer(t testing.TB, target string) *Tamperer {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p := &Tamperer{}
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(u); r.Out.Host = r.In.Host },
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ModifyResponse: func(resp *http.Response) error {
			if p.loses(resp.Request) {
				panic(http.ErrAbortHandler)
			}
			return nil
		},
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.holds(u, r) {
			<-r.Context().Done() // the client gives up
			panic(http.ErrAbortHandler)
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	p.URL = s.URL
	return p
}

// Lose makes the replies to the requests that it is asked about get lost; nil:
// none any more.
func (p *Tamperer) Lose(which func(*http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose = which
}

// Lost is how many replies were lost so far.
func (p *Tamperer) Lost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

// Hold makes the requests that it is asked about wait in the Tamperer.
func (p *Tamperer) Hold(which func(*http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = which
}

// LetGo sends what was held to the server, in the order in which it came, and
// holds nothing back any more. Each must be answered with that status. It
// returns how many requests that were.
func (p *Tamperer) LetGo(t testing.TB, status int) int {
	t.Helper()
	p.mu.Lock()
	held := p.held
	p.hold, p.held = nil, nil
	p.mu.Unlock()
	for _, r := range held {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close() //nolint:errcheck // nobody waits for it
		if resp.StatusCode != status {
			t.Errorf("late %s %s = %s, want %d", r.Method, r.URL.Path, resp.Status, status)
		}
	}
	return len(held)
}

// holds keeps a copy of a request that is to come late.
func (p *Tamperer) holds(target *url.URL, r *http.Request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hold == nil || !p.hold(r) {
		return false
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return true // the client has gone before it was whole
	}
	late := r.Clone(context.WithoutCancel(r.Context()))
	late.RequestURI = ""
	late.URL.Scheme, late.URL.Host = target.Scheme, target.Host
	late.Body = io.NopCloser(bytes.NewReader(body))
	p.held = append(p.held, late)
	return true
}

func (p *Tamperer) loses(r *http.Request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lose == nil || !p.lose(r) {
		return false
	}
	p.lost++
	return true
}
