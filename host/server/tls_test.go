package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/etcd-modules/modhost/sdk/wire"
)

// certificate is one for 127.0.0.1, for servers and clients, signed by itself.
func certificate(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// overTLS serves s with TLS settings until the end of the test.
func overTLS(t *testing.T, s http.Handler, settings *tls.Config) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, l, settings, s, hclog.NewNullLogger(), time.Second) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return l.Addr().String()
}

func TestRun_TLS(t *testing.T) {
	cert, roots := certificate(t, "host")
	s := secured(t, Rules{}, nil)
	address := overTLS(t, s, &tls.Config{Certificates: []tls.Certificate{cert}})
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: protocol == "HTTP/2.0"}
		if protocol == "HTTP/1.1" {
			transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
		}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport}
		res, err := client.Post("https://"+address+"/mod/p", "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		var got seen
		err = json.NewDecoder(res.Body).Decode(&got)
		res.Body.Close() //nolint:errcheck
		if err != nil || res.Proto != protocol || got.Body != "hello" || res.Header.Get("Cross-Origin-Opener-Policy") == "" {
			t.Errorf("%s: %s %+v %v", protocol, res.Proto, got, err)
		}
		req, err := http.NewRequest("GET", "https://"+address+"/mod/p", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "evil.example"
		if res, err = client.Do(req); err != nil {
			t.Fatal(err)
		}
		res.Body.Close() //nolint:errcheck
		if res.StatusCode != 421 {
			t.Errorf("%s: foreign Host = %s", protocol, res.Status)
		}
	}

	// Who has forgotten the s is told.
	res, err := http.Get("http://" + address + "/mod/p")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck
	body, err := io.ReadAll(res.Body)
	var e wire.Error
	if err != nil || res.StatusCode != 400 || json.Unmarshal(body, &e) != nil || !strings.Contains(e.Cause, "HTTPS") {
		t.Errorf("plain HTTP = %s %s, %v", res.Status, body, err)
	}
}

func TestRun_ClientCertificates(t *testing.T) {
	cert, roots := certificate(t, "host")
	own, owns := certificate(t, "ada")
	other, _ := certificate(t, "eve")
	settings := &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: owns, NextProtos: []string{"h2", "http/1.1"}}
	address := overTLS(t, secured(t, Rules{}, nil), &tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return settings, nil },
	})
	for name, c := range map[string]*tls.Certificate{"": nil, "ada": &own, "eve": &other} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
		if c != nil {
			transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil }
		}
		defer transport.CloseIdleConnections()
		res, err := (&http.Client{Transport: transport}).Get("https://" + address + "/mod/p")
		if name != "ada" {
			if err == nil {
				t.Errorf("certificate of %q: %s", name, res.Status)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close() //nolint:errcheck
		var got seen
		if err := json.NewDecoder(res.Body).Decode(&got); err != nil || got.Access.User != "ada" {
			t.Errorf("the module is told %+v, %v", got, err)
		}
	}
}
