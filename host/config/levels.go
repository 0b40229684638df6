package config

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// table and blocks are what a level knows, by name.
type (
	table  = map[string]func(*hclsyntax.Attribute)
	blocks = map[string]func(*hclsyntax.Block)
)

// topLevel is what stands outside of all braces.
func (d *decoder) topLevel() *level {
	l := &level{
		labels: map[string]string{"module": "the module's name"},
	}
	l.attrs = table{
		"listen":        d.text(l, &d.cfg.Listen, address),
		"plugin_dir":    d.text(l, &d.cfg.PluginDir, nil),
		"data_dir":      d.text(l, &d.cfg.DataDir, notEmpty),
		"log_level":     d.text(l, &d.cfg.LogLevel, oneOf("trace", "debug", "info", "warn", "error")),
		"log_format":    d.text(l, &d.cfg.LogFormat, oneOf("text", "json")),
		"drain_timeout": d.duration(l, &d.cfg.DrainTimeout, 0),
		"allowed_hosts": d.texts(l, &d.cfg.AllowedHosts, hostName),
	}
	l.blocks = blocks{"tls": d.tls, "cors": d.cors, "access": d.access, "admin": d.admin, "etcd": d.etcd, "module": d.module}
	return l
}

// admin decodes the admin block.
func (d *decoder) admin(b *hclsyntax.Block) {
	l := level{path: "admin"}
	l.attrs = table{
		"listen":     d.text(&l, &d.cfg.Admin.Listen, adminAddress),
		"token_file": d.text(&l, &d.cfg.Admin.TokenFile, notEmpty),
	}
	l.decode(d, b.Body)
}

// etcd decodes the etcd block.
func (d *decoder) etcd(b *hclsyntax.Block) {
	e := &d.cfg.Etcd
	l := level{path: "etcd"}
	l.attrs = table{
		"api":           d.text(&l, &e.API, api),
		"prefix":        d.text(&l, &e.Prefix, prefix),
		"endpoints":     d.texts(&l, &e.Endpoints, endpoint),
		"username":      d.text(&l, &e.Username, notEmpty),
		"password_file": d.text(&l, &e.PasswordFile, notEmpty),
	}
	l.blocks = blocks{
		"embedded": func(b *hclsyntax.Block) {
			e.Embedded = defaultEmbedded()
			l := level{path: "etcd.embedded"}
			l.attrs = table{"listen": d.text(&l, &e.Embedded.Listen, etcdAddress)}
			l.decode(d, b.Body)
		},
		"tls": func(b *hclsyntax.Block) {
			d.at["etcd.tls"] = b.TypeRange
			l := level{path: "etcd.tls"}
			l.attrs = table{
				"ca_file":   d.text(&l, &e.TLS.CAFile, notEmpty),
				"cert_file": d.text(&l, &e.TLS.CertFile, notEmpty),
				"key_file":  d.text(&l, &e.TLS.KeyFile, notEmpty),
			}
			l.decode(d, b.Body)
		},
	}
	l.decode(d, b.Body)
}

// module decodes one module block.
func (d *decoder) module(b *hclsyntax.Block) {
	name, before := b.Labels[0], len(d.diags)
	// The rest is looked at all the same: its complaints stand by themselves.
	d.fine("module", name, b.LabelRanges[0], moduleName)

	m := defaultModule(name)
	m.Range = b.DefRange()
	m.Config = noBlock(b)
	l := level{path: fmt.Sprintf("module %q", name)}
	l.attrs = table{
		"enabled":    d.yesNo(&l, &m.Enabled),
		"mounts":     d.texts(&l, &m.Mounts, nil), // by checkMounts, with those of all modules
		"command":    d.text(&l, &m.Command, notEmpty),
		"args":       d.texts(&l, &m.Args, nil),
		"env":        d.texts(&l, &m.Env, variable),
		"sha256":     d.text(&l, &m.SHA256, sha256Sum),
		"privileges": d.texts(&l, &m.Privileges, oneOf("keys", "cluster", "modules")),
	}
	l.blocks = blocks{
		"limits": func(b *hclsyntax.Block) {
			l := level{path: l.path + ": limits"}
			l.attrs = table{
				"concurrency":     number(d, &l, &m.Limits.Concurrency, math.MaxInt32),
				"body_bytes":      number(d, &l, &m.Limits.BodyBytes, 1<<50),
				"header_bytes":    number(d, &l, &m.Limits.HeaderBytes, 1<<18),
				"request_timeout": d.duration(&l, &m.Limits.RequestTimeout, 0),
			}
			l.decode(d, b.Body)
		},
		"restart": func(b *hclsyntax.Block) {
			l := level{path: l.path + ": restart"}
			l.attrs = table{
				"max":    number(d, &l, &m.Restart.Max, math.MaxInt32),
				"window": d.duration(&l, &m.Restart.Window, time.Second),
			}
			l.decode(d, b.Body)
		},
		"config": func(b *hclsyntax.Block) { m.Config = d.block(b) },
	}
	l.decode(d, b.Body)
	m.SHA256 = strings.ToLower(m.SHA256)
	d.mountsOf(&m, b)
	m.Sound = len(d.diags) == before
	d.cfg.Modules = append(d.cfg.Modules, m)
}
