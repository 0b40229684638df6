package host

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/server"
)

// access is what a config says about who may ask for what, with the files that
// it names read.
type access struct {
	rules server.Rules
	tls   *tls.Config // nil: plain HTTP
}

// readAccess reads what cfg names, for a host that listens on address. The
// diagnostics name files that do not serve, and warn of modules with privileges
// that can only be looked at.
func readAccess(cfg *config.Config, address string) (access, hcl.Diagnostics) {
	var a access
	var diags hcl.Diagnostics
	complain := func(name, value string, err error) {
		if err != nil {
			diags = append(diags, placed(cfg, hcl.DiagError, name, fmt.Sprintf("%s %q", name, value), err.Error()))
		}
	}
	a.rules = server.Rules{Hosts: cfg.AllowedHosts, Origins: cfg.CORS.Origins}
	if name, _, err := net.SplitHostPort(cfg.Listen); err == nil {
		// A name that the config itself says is the host's; that of all
		// interfaces is empty.
		a.rules.Hosts = append([]string{name}, a.rules.Hosts...)
	}
	if file := cfg.Access.TokenFile; file != "" {
		var err error
		a.rules.Token, err = readToken(file)
		complain("access.token_file", file, err)
	}
	// With one name alone the config has its complaint already.
	if t := cfg.TLS; t.CertFile != "" && t.KeyFile != "" {
		a.tls = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
		cert, err := content(t.CertFile)
		complain("tls.cert_file", t.CertFile, err)
		key, noKey := content(t.KeyFile)
		complain("tls.key_file", t.KeyFile, noKey)
		if err == nil && noKey == nil {
			pair, err := tls.X509KeyPair(cert, key)
			if err != nil {
				complain("tls.cert_file", t.CertFile, fmt.Errorf("not usable with key_file %q: %w; name PEM files that belong together", t.KeyFile, err))
			} else if why := untimely(pair.Leaf, time.Now()); why != "" {
				diags = append(diags, placed(cfg, hcl.DiagWarning, "tls.cert_file", fmt.Sprintf("tls.cert_file %q", t.CertFile), why))
			}
			a.tls.Certificates = []tls.Certificate{pair}
		}
		if t.ClientCAFile != "" {
			a.tls.ClientAuth = tls.RequireAndVerifyClientCert
			a.tls.ClientCAs, err = authorities(t.ClientCAFile)
			complain("tls.client_ca_file", t.ClientCAFile, err)
		}
	}
	if cfg.Access.TokenFile == "" && cfg.TLS.ClientCAFile == "" && !loopback(address) {
		a.rules.ReadOnly = fmt.Sprintf("modules with privileges can only be looked at: other machines reach %s, and nothing says who may change things; "+
			"set access.token_file or tls.client_ca_file, or listen on 127.0.0.1", address)
		for _, m := range cfg.Modules {
			if m.Enabled && m.Privileged() {
				name := fmt.Sprintf("module %q: privileges", m.Name)
				diags = append(diags, placed(cfg, hcl.DiagWarning, name, name, a.rules.ReadOnly))
			}
		}
	}
	return a, diags
}

// placed is a diagnostic about what stands at a name in the config.
func placed(cfg *config.Config, severity hcl.DiagnosticSeverity, name, summary, detail string) *hcl.Diagnostic {
	d := &hcl.Diagnostic{Severity: severity, Summary: summary, Detail: detail}
	if at, ok := cfg.Position(name); ok {
		d.Subject = at.Ptr()
	}
	return d
}

// loopback reports whether nobody but programs on this machine reaches address.
func loopback(address string) bool {
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.Unmap().IsLoopback() || name == "localhost"
}

// readToken returns the content of the file without the end of its line.
func readToken(name string) (string, error) {
	text, err := content(name)
	if err != nil {
		return "", err
	}
	token := strings.TrimRight(string(text), "\r\n")
	switch {
	case token == "":
		return "", errors.New("is empty; write a token into it, for example by: openssl rand -base64 24")
	case token != strings.TrimSpace(token) || strings.ContainsFunc(token, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return "", errors.New("holds several lines, or space beside the token; write nothing but the token into it")
	case len(token) < 16:
		return "", fmt.Errorf("holds %d characters; write at least 16 random ones into it, for example by: openssl rand -base64 24", len(token))
	}
	return token, nil
}

// untimely says that a certificate is not valid now.
func untimely(c *x509.Certificate, now time.Time) string {
	switch {
	case now.After(c.NotAfter):
		return fmt.Sprintf("the certificate has expired on %s, clients will refuse it; put a new one there and reload", c.NotAfter.Format(time.RFC3339))
	case now.Before(c.NotBefore):
		return fmt.Sprintf("the certificate is not valid before %s, clients will refuse it; look at the clock, or put another one there and reload", c.NotBefore.Format(time.RFC3339))
	}
	return ""
}

// authorities returns the certificates in a PEM file.
func authorities(name string) (*x509.CertPool, error) {
	text, err := content(name)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("holds no certificate; name a PEM file with at least one")
	}
	return pool, nil
}

// renewed returns the names of settings whose files say something else than in
// before, whatever their names.
func (a access) renewed(before access) []string {
	var names []string
	if a.rules.Token != before.rules.Token {
		names = append(names, "access.token_file")
	}
	if a.tls != nil && before.tls != nil {
		if !bytes.Equal(chain(a.tls), chain(before.tls)) {
			names = append(names, "tls.cert_file")
		}
		if a.tls.ClientCAs != nil && before.tls.ClientCAs != nil && !a.tls.ClientCAs.Equal(before.tls.ClientCAs) {
			names = append(names, "tls.client_ca_file")
		}
	}
	return names
}

func chain(c *tls.Config) []byte { return bytes.Join(c.Certificates[0].Certificate, nil) }
