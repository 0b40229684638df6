package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func loadText(t *testing.T, text string) *Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "modhost.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, diags := Load(path)
	if cfg == nil {
		t.Fatalf("Load of\n%s\n%s", text, lines(diags))
	}
	return cfg
}

const running = `
listen = "127.0.0.1:4001"
module "a" {
  config {
    size = 1
  }
}
module "b" {
}
`

func TestDiff(t *testing.T) {
	for _, c := range []struct {
		name, next string
		want       []Change
	}{
		{"the same", running, nil},
		{"moved, spaced and commented otherwise", `
# A comment.
module "b" {}

module "a" {
  enabled = true # the default
  config {


    size=1 // one
  }
}
`, nil},
		{"a value", strings.Replace(running, "size = 1", "size = 2", 1), []Change{{"a", "changed", []string{"config"}}}},
		{"text instead of a number", strings.Replace(running, "size = 1", `size = "1"`, 1), []Change{{"a", "changed", []string{"config"}}}},
		{"block instead of an attribute", strings.Replace(running, "size = 1", "size {}", 1), []Change{{"a", "changed", []string{"config"}}}},
		{"one goes, one comes", `
module "a" {
  config {
    size = 1
  }
}
module "c" {
}
`, []Change{{"c", "added", nil}, {"b", "removed", nil}}},
		{"everything", `
plugin_dir    = "plugins"
log_level     = "debug"
drain_timeout = "1s"
allowed_hosts = ["a.example.org"]
cors {
  origins = ["*"]
}
access {
  token_file = "token"
}
module "a" {
  enabled    = false
  mounts     = ["/mod/x"]
  command    = "./x"
  args       = ["x"]
  env        = ["X"]
  sha256     = "0000000000000000000000000000000000000000000000000000000000000000"
  privileges = ["keys"]
  limits {
    concurrency = 1
  }
  restart {
    max = 1
  }
}
module "b" {
}
`, []Change{
			{"", "changed", []string{"plugin_dir", "log_level", "drain_timeout", "allowed_hosts", "cors.origins", "access.token_file"}},
			{"a", "changed", []string{"enabled", "mounts", "command", "args", "env", "sha256", "privileges", "limits", "restart", "config"}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, diags := Diff(loadText(t, running), loadText(t, c.next))
			if !reflect.DeepEqual(got, c.want) || len(diags) > 0 {
				t.Errorf("Diff = %+v, %s; want %+v", got, lines(diags), c.want)
			}
		})
	}
}

// A variable that has another value now changes the block that uses it.
func TestDiff_SeesTheValuesOfVariables(t *testing.T) {
	text := `
module "a" {
  config {
    size = env("MODHOST_TEST_SIZE")
  }
}
`
	t.Setenv("MODHOST_TEST_SIZE", "1")
	before := loadText(t, text)
	t.Setenv("MODHOST_TEST_SIZE", "2")
	if got, _ := Diff(before, loadText(t, text)); len(got) != 1 || got[0].Settings[0] != "config" {
		t.Errorf("Diff = %+v, want a changed config", got)
	}
}

// What needs a restart of the host is refused, each at its place.
func TestDiff_FixedSettings(t *testing.T) {
	before := loadText(t, "listen = \"127.0.0.1:4001\"\nlog_format = \"json\"\n")
	after := loadText(t, `
listen   = "127.0.0.1:4009"
data_dir = "elsewhere"
tls {
  cert_file      = "host.pem"
  key_file       = "host.key"
  client_ca_file = "clients.pem"
}
admin {
  listen     = "127.0.0.1:4002"
  token_file = "token"
}
etcd {
  prefix        = "/other"
  endpoints     = ["https://127.0.0.1:2379"]
  username      = "root"
  password_file = "password"
  tls {
    ca_file   = "ca.pem"
    cert_file = "cert.pem"
    key_file  = "key.pem"
  }
}
`)
	_, diags := Diff(before, after)
	var got []string
	for _, d := range diags {
		line := 0
		if d.Subject != nil {
			line = d.Subject.Start.Line
		}
		if !strings.Contains(d.Detail, "restart it") {
			t.Errorf("%s: %s: says nothing of a restart", d.Summary, d.Detail)
		}
		got = append(got, fmt.Sprintf("%s:%d", d.Summary, line))
	}
	want := []string{
		"listen:2", "tls.cert_file:5", "tls.key_file:6", "tls.client_ca_file:7", "data_dir:3", "log_format:0", "admin.listen:10", "admin.token_file:11",
		"etcd.prefix:14", "etcd.embedded:0", "etcd.endpoints:15", "etcd.username:16", "etcd.password_file:17", "etcd.tls.ca_file:19",
		"etcd.tls.cert_file:20", "etcd.tls.key_file:21",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("refused %q, want %q", got, want)
	}
}

// Every field of a config is either live, fixed or a module's.
func TestDiff_KnowsEverySetting(t *testing.T) {
	for _, c := range []struct {
		of    reflect.Type
		known int
		apart int // TLS, Etcd, Admin, Modules and at; of a module Name, Range and Sound
	}{
		{reflect.TypeFor[Config](), len(hostSettings) + 3, 5}, // listen, data_dir, log_format
		{reflect.TypeFor[Module](), len(moduleSettings), 3},
	} {
		if n := c.of.NumField(); n != c.known+c.apart {
			t.Errorf("%v has %d fields, Diff knows %d: a new one must be compared", c.of, n, c.known+c.apart)
		}
	}
}

func TestAdminOf(t *testing.T) {
	for text, want := range map[string]Admin{
		"":                  {Listen: "unix:data/admin.sock"},
		"data_dir = \"/x\"": {Listen: "unix:/x/admin.sock"},
		"data_dir = \"/x\"\nlissten = 1\nmodule {\n":                                            {Listen: "unix:/x/admin.sock"},
		"admin {\nlisten = \"127.0.0.1:1\"\ntoken_file = \"t\"\n}\nmodule \"a\" {\n size = \n}": {Listen: "127.0.0.1:1", TokenFile: "t"},
	} {
		path := filepath.Join(t.TempDir(), "modhost.hcl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := AdminOf(path); got != want {
			t.Errorf("AdminOf(%q) = %+v, want %+v", text, got, want)
		}
	}
	if got := AdminOf("/nowhere"); got.Listen != "unix:data/admin.sock" {
		t.Errorf("AdminOf without a file = %+v", got)
	}
}

// The default place of the admin socket goes with data_dir: that is one
// complaint, at what the user wrote.
func TestDiff_SocketGoesWithDataDir(t *testing.T) {
	before, after := loadText(t, ""), loadText(t, "data_dir = \"elsewhere\"\n")
	if _, diags := Diff(before, after); len(diags) != 1 || diags[0].Summary != "data_dir" {
		t.Errorf("complaints:\n%s, want one about data_dir", lines(diags))
	}
	explicit := loadText(t, "admin {\n  listen = \"unix:a.sock\"\n}\n")
	if _, diags := Diff(explicit, before); len(diags) != 1 || diags[0].Summary != "admin.listen" {
		t.Errorf("complaints:\n%s, want one about admin.listen", lines(diags))
	}
}
