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

// newTransport differs from client/v2's own, which keeps two idle connections
// per host: here every long poll has a connection, and writes need theirs
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
		MaxIdleConnsPerHost: 512,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}
}

// A checkingTransport finds out that the other end is no v2 API. client/v2
// would say "invalid json", or panic in a watch.
type checkingTransport struct{ *http.Transport }

func (t checkingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.Transport.RoundTrip(r)
	if err != nil || !strings.HasPrefix(r.URL.Path, "/v2/keys") {
		return resp, err
	}
	if resp.Header.Get("X-Etcd-Cluster-Id") != "" || resp.StatusCode >= http.StatusInternalServerError {
		return resp, nil
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, errNoV2
	}
	return nil, errNotEtcd
}
