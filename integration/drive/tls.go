package drive

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// StartTLSMember starts one member whose client API is on https only, for
// clients with a certificate, and waits until it answers. It is killed at the
// end of the test.
func (p Programs) StartTLSMember(t testing.TB, f TLSFiles) *Member {
	t.Helper()
	m := &Member{Name: "tls", t: t, binary: filepath.Join(p.Dir, memberProgram), dir: t.TempDir()}
	m.URL = "https://" + FreeAddress(t)
	peer := "http://" + FreeAddress(t)
	m.configure(map[string]any{
		"listen-client-urls":          m.URL,
		"advertise-client-urls":       m.URL,
		"listen-peer-urls":            peer,
		"initial-advertise-peer-urls": peer,
		"initial-cluster":             m.Name + "=" + peer,
		"client-transport-security": map[string]any{
			"cert-file":        f.Cert,
			"key-file":         f.Key,
			"trusted-ca-file":  f.CA,
			"client-cert-auth": true,
		},
	})
	m.begin()
	t.Cleanup(m.end)
	c := f.client(t)
	Eventually(t, func() error {
		resp, err := c.Get(m.URL + "/v2/keys/?quorum=true")
		if err != nil {
			return err
		}
		defer resp.Body.Close() //nolint:errcheck // not read
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("etcd member %s: %s", m.Name, resp.Status)
		}
		return nil
	})
	return m
}

// client trusts the authority and shows the certificate.
func (f TLSFiles) client(t testing.TB) *http.Client {
	t.Helper()
	ca, err := os.ReadFile(f.CA)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 2 * time.Second}
}
