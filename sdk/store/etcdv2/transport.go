package etcdv2

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"
)

var (
	errNoV2    = errors.New("etcd does not serve its v2 API; start it with --enable-v2 (etcd 3.5 or older)")
	errNotEtcd = errors.New("the answer is not etcd's; check the endpoint")
)

// maxCalls is how many calls beside long polls are under way at most. etcd
// writes the log for many at once; more only wait in another place, and a
// burst of calls would open, and keep, a connection with its buffers for each.
const maxCalls = 64

// newTransport differs from client/v2's own, which keeps two idle connections
// per host: here every long poll has a connection, and calls need theirs
// beside them. A peer that died without a word is noticed in about 12 s.
func newTransport(t *tls.Config) *http.Transport {
	dialer := &net.Dialer{
		Timeout: time.Second,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3,
		},
	}
	return &http.Transport{
		DialContext:         dialer.DialContext,
		TLSClientConfig:     t,
		TLSHandshakeTimeout: 2 * time.Second,
		MaxIdleConnsPerHost: maxCalls,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}
}

// A checkingTransport finds out that the other end is no v2 API. client/v2
// would say "invalid json", or panic in a watch. It also looks at etcd's clock.
type checkingTransport struct {
	*http.Transport
	clock *clock
}

func (t checkingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.Transport.RoundTrip(r)
	if err != nil || !strings.HasPrefix(r.URL.Path, "/v2/keys") {
		return resp, err
	}
	t.clock.learn(resp.Header)
	if resp.Header.Get("X-Etcd-Cluster-Id") != "" || resp.StatusCode >= http.StatusInternalServerError {
		return resp, nil
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, errNoV2
	}
	return nil, errNotEtcd
}
