package config

import (
	"reflect"

	"github.com/hashicorp/hcl/v2"
)

// A Change is what two configs say differently about one module, or about the
// host itself.
type Change struct {
	Module   string   // its name; "" for the host
	Kind     string   // added, removed or changed
	Settings []string // the names of what differs, as in the file; in a fixed order, empty unless changed
}

// A setting is one value that can differ.
type setting[T any] struct {
	name string
	of   func(T) any
}

// hostSettings can be changed while the host runs.
var hostSettings = []setting[*Config]{
	{"plugin_dir", func(c *Config) any { return c.PluginDir }},
	{"log_level", func(c *Config) any { return c.LogLevel }},
	{"drain_timeout", func(c *Config) any { return c.DrainTimeout }},
	{"allowed_hosts", func(c *Config) any { return c.AllowedHosts }},
	{"cors.origins", func(c *Config) any { return c.CORS.Origins }},
	{"access.token_file", func(c *Config) any { return c.Access.TokenFile }},
}

// fixedSettings are read once, when the host starts: they are listeners, and
// what every module holds its state in.
var fixedSettings = []setting[*Config]{
	{"listen", func(c *Config) any { return c.Listen }},
	{"tls.cert_file", func(c *Config) any { return c.TLS.CertFile }},
	{"tls.key_file", func(c *Config) any { return c.TLS.KeyFile }},
	{"tls.client_ca_file", func(c *Config) any { return c.TLS.ClientCAFile }},
	{"data_dir", func(c *Config) any { return c.DataDir }},
	{"log_format", func(c *Config) any { return c.LogFormat }},
	{"admin.listen", func(c *Config) any { return c.Admin.Listen }},
	{"admin.token_file", func(c *Config) any { return c.Admin.TokenFile }},
	{"etcd.api", func(c *Config) any { return c.Etcd.API }},
	{"etcd.prefix", func(c *Config) any { return c.Etcd.Prefix }},
	{"etcd.embedded", func(c *Config) any { return c.Etcd.Embedded != nil }},
	{"etcd.embedded.listen", func(c *Config) any {
		if c.Etcd.Embedded == nil {
			return ""
		}
		return c.Etcd.Embedded.Listen
	}},
	{"etcd.endpoints", func(c *Config) any { return c.Etcd.Endpoints }},
	{"etcd.username", func(c *Config) any { return c.Etcd.Username }},
	{"etcd.password_file", func(c *Config) any { return c.Etcd.PasswordFile }},
	{"etcd.tls.ca_file", func(c *Config) any { return c.Etcd.TLS.CAFile }},
	{"etcd.tls.cert_file", func(c *Config) any { return c.Etcd.TLS.CertFile }},
	{"etcd.tls.key_file", func(c *Config) any { return c.Etcd.TLS.KeyFile }},
}

var moduleSettings = []setting[Module]{
	{"enabled", func(m Module) any { return m.Enabled }},
	{"mounts", func(m Module) any { return m.Mounts }},
	{"command", func(m Module) any { return m.Command }},
	{"args", func(m Module) any { return m.Args }},
	{"env", func(m Module) any { return m.Env }},
	{"sha256", func(m Module) any { return m.SHA256 }},
	{"privileges", func(m Module) any { return m.Privileges }},
	{"limits", func(m Module) any { return m.Limits }},
	{"restart", func(m Module) any { return m.Restart }},
	{"config", func(m Module) any { return m.Config.Sum }},
}

// differing returns the names of the settings in which a and b differ.
func differing[T any](settings []setting[T], a, b T) []string {
	var names []string
	for _, s := range settings {
		if !reflect.DeepEqual(s.of(a), s.of(b)) {
			names = append(names, s.name)
		}
	}
	return names
}

// sets reports whether the files give the value of that name.
func (c *Config) sets(name string) bool {
	_, ok := c.Position(name)
	return ok
}

// Diff returns what running and next say differently, the host first, then
// the modules in the order of next, then those that next lacks. The diagnostics
// name what can't be changed without a restart of the host: errors at the
// position in next.
func Diff(running, next *Config) ([]Change, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	for _, name := range differing(fixedSettings, running, next) {
		if name == "etcd.embedded.listen" && (running.Etcd.Embedded == nil) != (next.Etcd.Embedded == nil) {
			continue // said by etcd.embedded
		}
		if name == "admin.listen" && !running.sets(name) && !next.sets(name) {
			continue // said by data_dir, where the socket is
		}
		d := &hcl.Diagnostic{
			Severity: hcl.DiagError,
			Summary:  name,
			Detail:   "can't be changed while the host runs; restart it, or put the old value back",
		}
		if r, ok := next.Position(name); ok {
			d.Subject = r.Ptr()
		} else {
			d.Detail = "is not set any more, which can't be while the host runs; restart it, or put the old value back"
		}
		diags = append(diags, d)
	}
	var changes []Change
	if names := differing(hostSettings, running, next); names != nil {
		changes = append(changes, Change{Kind: "changed", Settings: names})
	}
	before := make(map[string]Module)
	for _, m := range running.Modules {
		before[m.Name] = m
	}
	for _, m := range next.Modules {
		old, ok := before[m.Name]
		delete(before, m.Name)
		if !ok {
			changes = append(changes, Change{Module: m.Name, Kind: "added"})
		} else if names := differing(moduleSettings, old, m); names != nil {
			changes = append(changes, Change{Module: m.Name, Kind: "changed", Settings: names})
		}
	}
	for _, m := range running.Modules {
		if _, gone := before[m.Name]; gone {
			changes = append(changes, Change{Module: m.Name, Kind: "removed"})
		}
	}
	return changes, diags
}
