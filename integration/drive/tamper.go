package drive

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// A Tamperer stands between a client and an HTTP server, etcd or a host, and
// loses replies: the server has done what was asked, and the client finds its
// connection broken.
type Tamperer struct {
	URL string

	mu   sync.Mutex // guards the rest
	lose func(*http.Request) bool
	lost int
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
	s := httptest.NewServer(forward)
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

func (p *Tamperer) loses(r *http.Request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lose == nil || !p.lose(r) {
		return false
	}
	p.lost++
	return true
}
