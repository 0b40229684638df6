package config

import (
	"time"

	"github.com/hashicorp/hcl/v2"
)

// Config is everything the host is told. Load returns it complete: defaults
// are filled in and every value has passed its checks.
type Config struct {
	Listen       string        // address:port of the HTTP listener; port 0 picks one. Default "127.0.0.1:4001"
	PluginDir    string        // where plugin executables are; "" means the folder of the host's executable
	DataDir      string        // relative to the working directory. Default "data"
	LogLevel     string        // trace, debug, info, warn or error. Default "info"
	LogFormat    string        // text or json. Default "text"
	DrainTimeout time.Duration // how long requests in flight may take at the end. Default 10s
	AllowedHosts []string      // names that a Host header may hold, beside IP addresses, localhost and that of Listen
	TLS          ListenTLS
	CORS         CORS
	Access       Access
	Admin        Admin
	Etcd         Etcd
	Modules      []Module // in the order of the files; disabled ones included

	at map[string]hcl.Range // where each value was set, by its name
}

// Position returns where a value was set, by the name that complaints about it
// begin with, such as etcd.prefix or module "lock": command. ok is false for
// what the files leave out.
func (c *Config) Position(name string) (r hcl.Range, ok bool) {
	r, ok = c.at[name]
	return r, ok
}

// Admin says where the host takes orders.
type Admin struct {
	Listen    string // unix:PATH or address:port. Default "unix:" and admin.sock in DataDir
	TokenFile string // holds what clients must present; set exactly if Listen is an address
}

// Etcd says where the state of all modules lives. Exactly one of Embedded
// and Endpoints is set.
type Etcd struct {
	API          string    // "v2"
	Prefix       string    // absolute path, clean, all keys of all modules live below it. Default "/_mod"
	Embedded     *Embedded // run one member inside the host
	Endpoints    []string  // URLs of a running cluster, without a path
	Username     string    // "" without authentication
	PasswordFile string    // holds Username's password; set exactly if Username is
	TLS          TLS
}

// Embedded are the settings of the embedded etcd.
type Embedded struct {
	Listen string // IP or localhost with a port for etcd's clients; port 0 picks one. Default "127.0.0.1:2379"
}

// TLS are PEM files for https endpoints. Empty names are not used.
type TLS struct {
	CAFile   string // whom to trust, instead of the system's authorities
	CertFile string // client certificate; set exactly if KeyFile is
	KeyFile  string
}

// Module is one module block.
type Module struct {
	Name       string   // the block's label: [a-z][a-z0-9-]{0,62}, not "v2"
	Enabled    bool     // default true
	Mounts     []string // at least one; clean paths below /mod/, none within another. Default /mod/<name>
	Command    string   // path of the executable; "" means modhost-<name> in plugin_dir, as does a name without slash
	Args       []string // arguments of the executable
	Env        []string // names of environment variables handed on to the plugin
	SHA256     string   // of the executable, in lower-case hex; "" takes any
	Privileges []string // more than its own part of the store: keys, cluster, modules
	Limits     Limits
	Restart    Restart
	Config     Block
	Range      hcl.Range // of the head of the module block
	Sound      bool      // nothing in its block was complained about
}

// Limits bound what one module may take from the host. Zero is no limit.
type Limits struct {
	Concurrency    int           // requests at a time. Default 0
	BodyBytes      int64         // length of a request body in bytes. Default 1 MiB
	HeaderBytes    int64         // length of a request's line and headers in bytes; the host itself takes 256 KiB at most. Default 0
	RequestTimeout time.Duration // time for one request, waiting included. Default 0
}

// Restart bounds how often a crashing plugin is started again.
type Restart struct {
	Max    int           // restarts within Window before the module counts as failed; 0 is no limit. Default 5
	Window time.Duration // default 5m
}

// Block is the body of a module's config block, once as written and once
// evaluated. Without such a block Source is empty, the position is that of
// the module block and JSON is {}.
type Block struct {
	Source   []byte            // the text between the braces
	Filename string            // of the file it is in
	Line     int               // of Source's first byte, from 1
	Column   int               // from 1, in characters as HCL counts them
	Byte     int               // offset in the file, from 0
	Env      map[string]string // name and value of each env("NAME") in it; not nil
	JSON     []byte            // an object: attributes by name, blocks by type and label
	Sum      string            // of what the block says: the same wherever it stands, and however it is spaced and commented
}

// defaults returns what an empty file means.
func defaults() *Config {
	return &Config{
		Listen:       "127.0.0.1:4001",
		DataDir:      "data",
		LogLevel:     "info",
		LogFormat:    "text",
		DrainTimeout: 10 * time.Second,
		Etcd:         Etcd{API: "v2", Prefix: "/_mod"},
	}
}

// defaultEmbedded returns what an empty embedded block means.
func defaultEmbedded() *Embedded {
	return &Embedded{Listen: "127.0.0.1:2379"}
}

// defaultModule returns what an empty module block means, mounts apart.
func defaultModule(name string) Module {
	return Module{
		Name:    name,
		Enabled: true,
		Limits:  Limits{BodyBytes: 1 << 20},
		Restart: Restart{Max: 5, Window: 5 * time.Minute},
	}
}
