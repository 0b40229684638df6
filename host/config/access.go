package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// ListenTLS are PEM files for serving HTTPS. All are empty for plain HTTP.
type ListenTLS struct {
	CertFile     string // the host's certificate, with those that lead to its authority; set exactly if KeyFile is
	KeyFile      string
	ClientCAFile string // whose certificates clients must show; "" asks for none
}

// CORS says which pages of other origins may use modules without privileges.
type CORS struct {
	Origins []string // scheme://host[:port] in lower case, or "*" for all; none: no page may
}

// Access guards the modules with privileges.
type Access struct {
	TokenFile string // holds what clients must present; "" asks for nothing
}

// Privileged reports whether the module may do more than use its own part of
// the store.
func (m Module) Privileged() bool { return len(m.Privileges) > 0 }

// tls decodes the tls block of the host's own listener.
func (d *decoder) tls(b *hclsyntax.Block) {
	d.at["tls"] = b.TypeRange
	l := level{path: "tls"}
	l.attrs = table{
		"cert_file":      d.text(&l, &d.cfg.TLS.CertFile, notEmpty),
		"key_file":       d.text(&l, &d.cfg.TLS.KeyFile, notEmpty),
		"client_ca_file": d.text(&l, &d.cfg.TLS.ClientCAFile, nil),
	}
	l.decode(d, b.Body)
}

// cors decodes the cors block.
func (d *decoder) cors(b *hclsyntax.Block) {
	l := level{path: "cors"}
	l.attrs = table{"origins": d.texts(&l, &d.cfg.CORS.Origins, origin)}
	l.decode(d, b.Body)
	for i, s := range d.cfg.CORS.Origins {
		d.cfg.CORS.Origins[i] = strings.ToLower(s) // as browsers write it
	}
}

// access decodes the access block.
func (d *decoder) access(b *hclsyntax.Block) {
	d.at["access"] = b.TypeRange
	l := level{path: "access"}
	l.attrs = table{"token_file": d.text(&l, &d.cfg.Access.TokenFile, notEmpty)}
	l.decode(d, b.Body)
}

// checkAccess demands what the blocks tls and access are there for.
func (d *decoder) checkAccess() {
	if at, ok := d.at["tls"]; ok {
		for _, name := range []string{"tls.cert_file", "tls.key_file"} {
			if _, set := d.at[name]; !set {
				d.complain(at, name, "is missing; add it, or remove the block to serve plain HTTP")
			}
		}
	}
	if at, ok := d.at["access"]; ok {
		if _, set := d.at["access.token_file"]; !set {
			d.complain(at, "access.token_file", "is missing; add it, or remove the block")
		}
	}
}

// hostNames are what a Host header may say beside an IP address, without a port.
var hostNames = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?$`)

// hostName demands a name as it stands in a Host header.
func hostName(s string) string {
	_, isIP := netip.ParseAddr(strings.Trim(s, "[]"))
	switch {
	case isIP == nil:
		return "is an IP address, which is always accepted; remove it"
	case strings.Contains(s, "*"):
		return "patterns are not possible: with them a page of an other site could reach the host by a name of its own; list each name"
	case !hostNames.MatchString(s):
		return `is no host name; write it without scheme and port, for example "modhost.example.org"`
	}
	return ""
}

// origin demands an origin as browsers write it in the Origin header, or "*".
func origin(s string) string {
	if s == "*" {
		return ""
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return `is no origin; write for example "https://app.example.org", or "*" for all`
	case u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#"):
		return fmt.Sprintf("has more than scheme, name and port; write \"%s://%s\"", u.Scheme, u.Host)
	case u.Port() == map[string]string{"http": "80", "https": "443"}[u.Scheme] || strings.HasSuffix(s, ":"):
		return fmt.Sprintf("browsers leave that port out; write \"%s://%s\"", u.Scheme, strings.TrimSuffix(u.Host, ":"+u.Port()))
	case !hostNames.MatchString(u.Hostname()) && !strings.Contains(u.Host, "["):
		return `has no host name as browsers write it; names with other letters begin with "xn--" there`
	}
	return ""
}
