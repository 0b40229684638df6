package host

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/supervisor"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
	"google.golang.org/protobuf/proto"
)

// specs returns what the supervisor shall run, in the order of the config.
func specs(cfg *config.Config) ([]supervisor.Spec, error) {
	dir, err := pluginDir(cfg.PluginDir)
	if err != nil {
		return nil, err
	}
	store, err := storeConfig(cfg.Etcd)
	if err != nil {
		return nil, err
	}
	var list []supervisor.Spec
	for _, m := range cfg.Modules {
		own := proto.CloneOf(store)
		own.Prefix = cfg.Etcd.Prefix + "/" + m.Name
		if slices.Contains(m.Privileges, "keys") {
			own.KeysPrefix = "/"
		}
		path := executable(dir, m)
		list = append(list, supervisor.Spec{
			Name:          m.Name,
			Enabled:       m.Enabled,
			Mounts:        m.Mounts,
			Path:          path,
			Program:       supervisor.Fingerprint(path),
			SHA256:        m.SHA256,
			Privileges:    m.Privileges,
			Args:          m.Args,
			Env:           environ(m.Env),
			Config:        configBlock(m.Config),
			ConfigSum:     m.Config.Sum,
			Store:         own,
			LogLevel:      cfg.LogLevel,
			RestartMax:    m.Restart.Max,
			RestartWindow: m.Restart.Window,
			DrainTimeout:  cfg.DrainTimeout,
			Limits: supervisor.Limits{
				Concurrency:    m.Limits.Concurrency,
				BodyBytes:      m.Limits.BodyBytes,
				HeaderBytes:    m.Limits.HeaderBytes,
				RequestTimeout: m.Limits.RequestTimeout,
			},
		})
	}
	return list, nil
}

// pluginDir returns the folder of plugin executables.
func pluginDir(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("plugin_dir: the folder of modhost is not known: %w; set plugin_dir", err)
	}
	return filepath.Dir(self), nil
}

// executable returns the path of a module's program. A command with a slash
// is a path, one without a name in the plugin folder.
func executable(dir string, m config.Module) string {
	switch {
	case m.Command == "":
		return filepath.Join(dir, "modhost-"+m.Name)
	case strings.ContainsRune(m.Command, filepath.Separator):
		return m.Command
	}
	return filepath.Join(dir, m.Command)
}

// environ returns name=value for those of the names that are set.
func environ(names []string) []string {
	var env []string
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// configBlock returns b as the wire contract has it.
func configBlock(b config.Block) *wirepb.ConfigBlock {
	return &wirepb.ConfigBlock{
		Source:   b.Source,
		Filename: b.Filename,
		Line:     int32(b.Line),
		Column:   int32(b.Column),
		Byte:     int64(b.Byte),
		Env:      b.Env,
		Json:     b.JSON,
	}
}
