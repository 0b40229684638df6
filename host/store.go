package host

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// storeConfig returns what plugins need to reach etcd, but for the prefix,
// which is each one's own, and the endpoints.
func storeConfig(e config.Etcd) (*wirepb.StoreConfig, error) {
	s := &wirepb.StoreConfig{Api: e.API, Username: e.Username}
	if e.PasswordFile != "" {
		text, err := readFile("etcd.password_file", e.PasswordFile)
		if err != nil {
			return nil, err
		}
		// Editors and echo end a file with a line's end.
		s.Password = strings.TrimRight(string(text), "\r\n")
		if s.Password == "" {
			return nil, fmt.Errorf("etcd.password_file %q: is empty; write the password into it", e.PasswordFile)
		}
	}
	for _, f := range []struct {
		name string
		to   *string
	}{{e.TLS.CAFile, &s.CaFile}, {e.TLS.CertFile, &s.CertFile}, {e.TLS.KeyFile, &s.KeyFile}} {
		if f.name == "" {
			continue
		}
		// A plugin need not run in the host's working directory.
		path, err := filepath.Abs(f.name)
		if err != nil {
			return nil, fmt.Errorf("etcd.tls: %w", err)
		}
		*f.to = path
	}
	return s, nil
}

// clientTLS returns the settings for https endpoints, and complains about
// files that do not serve. nil means the defaults.
func clientTLS(t config.TLS) (*tls.Config, error) {
	if t == (config.TLS{}) {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := readFile("etcd.tls.ca_file", t.CAFile)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("etcd.tls.ca_file %q: holds no certificate; name a PEM file with at least one", t.CAFile)
		}
	}
	if t.CertFile != "" {
		cert, err := readFile("etcd.tls.cert_file", t.CertFile)
		if err != nil {
			return nil, err
		}
		key, err := readFile("etcd.tls.key_file", t.KeyFile)
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("etcd.tls.cert_file %q: not usable with key_file %q: %w; name PEM files that belong together",
				t.CertFile, t.KeyFile, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// readFile returns the content of the file that an attribute names.
func readFile(attribute, name string) ([]byte, error) {
	text, err := content(name)
	if err != nil {
		return nil, &configError{fmt.Sprintf("%s %q: %s", attribute, name, err), err}
	}
	return text, nil
}

// content returns that of a file, or "why; remedy".
func content(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	why := "no such file; check the path"
	switch {
	case err == nil:
		return text, nil
	case errors.Is(err, fs.ErrPermission):
		why = "no permission to read it; change its mode or the user"
	case !errors.Is(err, fs.ErrNotExist):
		why = err.Error() + "; name a file that can be read"
	}
	return nil, &configError{why, err}
}
