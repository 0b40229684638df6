package etcdv2_test

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcd-modules/modhost/sdk/store/etcdv2"
)

func TestNew_Errors(t *testing.T) {
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := []string{"http://127.0.0.1:2379"}
	for text, c := range map[string]etcdv2.Config{
		"none given":       {},
		`"127.0.0.1:2379"`: {Endpoints: []string{"127.0.0.1:2379"}},
		`"unix:///x"`:      {Endpoints: []string{"unix:///x"}},
		"256 bytes":        {Endpoints: good, Prefix: strings.Repeat("x", 300)},
		"no such file":     {Endpoints: good, CAFile: notPEM + ".not"},
		"no certificate":   {Endpoints: good, CAFile: notPEM},
		"with key":         {Endpoints: good, CertFile: notPEM},
	} {
		if s, err := etcdv2.New(c); err == nil || s != nil || !strings.Contains(err.Error(), text) {
			t.Errorf("New(%+v) = %v, %v, want an error with %q", c, s, err, text)
		}
	}
}

func TestNew_TLS(t *testing.T) {
	srv := httptest.NewTLSServer((&proxy{}).handler(t))
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, etcdv2.Config{Endpoints: []string{srv.URL}, CAFile: ca, Prefix: newPrefix()})
	wantEntry(t, s, ok(s.Create(t.Context(), "x", "one", 0))(t))

	s = open(t, etcdv2.Config{Endpoints: []string{srv.URL}})
	if _, err := s.Create(t.Context(), "x", "one", 0); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Fatalf("Create with an unknown authority = %v", err)
	}
}
