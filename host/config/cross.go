package config

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
)

// check looks at what depends on several values, and fills in the defaults
// that do.
func (d *decoder) check() {
	if d.broken {
		// Half of the text is missing: what seems to be absent may not be.
		return
	}
	d.checkMounts()
	d.checkEtcd()
	d.checkListen()
	d.checkAccess()
	d.checkAdmin()
}

// checkAdmin fills in where the host takes orders, and demands a token where
// more than the file system's owner can reach it.
func (d *decoder) checkAdmin() {
	a := &d.cfg.Admin
	if a.Listen == "" {
		a.Listen = "unix:" + filepath.Join(d.cfg.DataDir, "admin.sock")
		if _, set := d.at["admin.listen"]; set {
			return // to what has its complaint: whether a token belongs to it is open
		}
	}
	tcp := !strings.HasPrefix(a.Listen, "unix:")
	if at, ok := d.at["admin.listen"]; ok && tcp && a.TokenFile == "" {
		d.complain(at, fmt.Sprintf("admin.listen %q", a.Listen),
			"anybody who reaches this address could switch modules; add token_file, or write unix:PATH")
	}
	if at, ok := d.at["admin.token_file"]; ok && !tcp {
		d.complain(at, "admin.token_file", "is for an address:port only, and a unix socket is open to its owner alone; remove it, or set listen")
	}
}

// checkEtcd decides between the embedded etcd and endpoints.
func (d *decoder) checkEtcd() {
	e := &d.cfg.Etcd
	endpoints, hasEndpoints := d.at["etcd.endpoints"]
	if hasEndpoints && e.Embedded != nil {
		d.complain(endpoints, "etcd.endpoints", "excludes the block embedded; remove one of the two")
		return
	}
	if !hasEndpoints {
		if e.Embedded == nil {
			e.Embedded = defaultEmbedded()
		}
		for _, name := range []string{"username", "password_file", "tls"} {
			if at, ok := d.at["etcd."+name]; ok {
				d.complain(at, "etcd."+name, "is for endpoints only and the embedded etcd has none; remove it or add endpoints")
			}
		}
		return
	}
	d.checkCredentials()
	d.checkTLS()
	for i, u := range e.Endpoints {
		e.Endpoints[i] = strings.TrimSuffix(u, "/")
	}
}

// checkCredentials demands both or none of username and password_file, and
// at least one endpoint.
func (d *decoder) checkCredentials() {
	user, hasUser := d.at["etcd.username"]
	file, hasFile := d.at["etcd.password_file"]
	if hasUser && !hasFile {
		d.complain(user, "etcd.username", "has no password; add password_file")
	}
	if hasFile && !hasUser {
		d.complain(file, "etcd.password_file", "belongs to nobody; add username")
	}
	if at := d.at["etcd.endpoints"]; len(d.cfg.Etcd.Endpoints) == 0 && !d.complainedAt(at.Filename, at.Start.Byte, at.End.Byte) {
		d.complain(at, "etcd.endpoints", "is empty; list at least one URL, or remove it to get the embedded etcd")
	}
}

// checkTLS demands that the files of the tls block are used.
func (d *decoder) checkTLS() {
	cert, hasCert := d.at["etcd.tls.cert_file"]
	key, hasKey := d.at["etcd.tls.key_file"]
	if hasCert && !hasKey {
		d.complain(cert, "etcd.tls.cert_file", "has no key; add key_file")
	}
	if hasKey && !hasCert {
		d.complain(key, "etcd.tls.key_file", "has no certificate; add cert_file")
	}
	block, ok := d.at["etcd.tls"]
	if !ok || len(d.cfg.Etcd.Endpoints) == 0 {
		return
	}
	for _, u := range d.cfg.Etcd.Endpoints {
		if strings.HasPrefix(u, "https://") {
			return
		}
	}
	d.complain(block, "etcd.tls", "no endpoint uses it; write https:// in endpoints or remove the block")
}

// checkListen demands that host and etcd do not ask for the same port.
func (d *decoder) checkListen() {
	e := d.cfg.Etcd.Embedded
	at, ok := d.at["etcd.embedded.listen"]
	if !ok {
		at, ok = d.at["listen"]
	}
	if e == nil || !ok {
		return
	}
	if _, port, _ := net.SplitHostPort(e.Listen); port != "0" && e.Listen == d.cfg.Listen {
		d.complain(at, fmt.Sprintf("etcd.embedded.listen %q", e.Listen),
			"is the address of listen, too; choose another port for one of the two")
	}
}

// complainedAt reports whether there is a complaint within a stretch of a
// file already.
func (d *decoder) complainedAt(file string, from, to int) bool {
	for _, c := range d.diags {
		if s := c.Subject; s != nil && s.Filename == file && from <= s.Start.Byte && s.Start.Byte < to {
			return true
		}
	}
	return false
}
