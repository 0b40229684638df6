package integration

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etcd-modules/modhost/integration/drive"
)

// ours is the module's path; packages are named without it below.
const ours = "github.com/etcd-modules/modhost"

// An importRule says what one part of the tree may not import. Paths ending
// in a slash stand for everything below them and themselves.
type importRule struct {
	why    string
	from   []string // packages that the rule is about
	except []string // and those of them that it is not about
	forbid []string // imports that they may not have; "." stands for every domain, that is for all but the standard library
	allow  []string // and those of them that they may have
}

// They are about what is built: _test files may import anything.
var importRules = []importRule{
	{
		why:    "nothing under sdk imports host or plugins",
		from:   []string{"sdk/"},
		forbid: []string{ours + "/"},
		allow:  []string{ours + "/sdk/"},
	}, {
		why:    "host imports nothing of sdk but sdk/wire, and no plugins",
		from:   []string{"host/"},
		forbid: []string{ours + "/"},
		allow:  []string{ours + "/host/", ours + "/sdk/wire/"},
	}, {
		why:    "plugins import only sdk of ours",
		from:   []string{"plugins/"},
		except: []string{"plugins/dashboard/"},
		forbid: []string{ours + "/"},
		allow:  []string{ours + "/sdk/"},
	}, {
		why:    "the dashboard imports only sdk of ours, and packages of its own",
		from:   []string{"plugins/dashboard/"},
		forbid: []string{ours + "/"},
		allow:  []string{ours + "/sdk/", ours + "/plugins/dashboard/"},
	}, {
		why:    "only the store's drivers and host/etcd import etcd",
		from:   []string{"sdk/", "host/", "plugins/"},
		except: []string{"sdk/store/etcdv2/", "sdk/store/etcdv3/", "host/etcd/"},
		forbid: []string{"go.etcd.io/"},
	}, {
		why:    "only sdk/wire, sdk and host/supervisor import go-plugin",
		from:   []string{"sdk/", "host/", "plugins/"},
		except: []string{"sdk/wire/", "sdk", "host/supervisor"},
		forbid: []string{"github.com/hashicorp/go-plugin/"},
	}, {
		why:    "sdk/store and sdk/queue import the standard library and each other only",
		from:   []string{"sdk/store", "sdk/queue/"},
		forbid: []string{"."},
		allow:  []string{ours + "/sdk/store", ours + "/sdk/queue"},
	},
}

// goPluginFiles are the files of host/supervisor that may import go-plugin.
var goPluginFiles = []string{"launch.go"}

// in reports whether path is one of the patterns.
func in(path string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		switch {
		case p == ".": // the first element of a path outside of the standard library is a domain
			first, _, _ := strings.Cut(path, "/")
			return strings.Contains(first, ".")
		case strings.HasSuffix(p, "/"):
			return strings.HasPrefix(path+"/", p)
		}
		return path == p
	})
}

// breaks reports whether the package may not have the import.
func (r importRule) breaks(pkg, path string) bool {
	return in(pkg, r.from) && !in(pkg, r.except) && in(path, r.forbid) && !in(path, r.allow)
}

// A listed package, as go list prints it.
type listed struct {
	ImportPath, Dir                   string
	Imports                           []string
	GoFiles, CgoFiles, IgnoredGoFiles []string
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json"}, args...)...)
	cmd.Dir = drive.Root()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.String())
	}
	var packages []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// TestImports_KeepTheLayers holds the source to the rules of the architecture
// about who may import whom.
func TestImports_KeepTheLayers(t *testing.T) {
	used := make([]bool, len(importRules))
	for _, p := range list(t, "-deps=false", "-test=false", "./...") {
		name := strings.TrimPrefix(p.ImportPath, ours+"/")
		for i, rule := range importRules {
			used[i] = used[i] || in(name, rule.from)
			for _, path := range p.Imports {
				if rule.breaks(name, path) {
					t.Errorf("package %s imports %s: %s", name, path, rule.why)
				}
			}
		}
		if name == "host/supervisor" {
			goPluginOnlyIn(t, p)
		}
	}
	for i, rule := range importRules {
		if !used[i] {
			t.Errorf("no package is held to the rule %q: has its folder moved?", rule.why)
		}
	}
}

// goPluginOnlyIn looks at single files, those of other systems included.
func goPluginOnlyIn(t *testing.T, p listed) {
	t.Helper()
	for _, file := range slices.Concat(p.GoFiles, p.CgoFiles, p.IgnoredGoFiles) {
		if slices.Contains(goPluginFiles, file) {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			if path := strings.Trim(spec.Path.Value, "\"`"); in(path, []string{"github.com/hashicorp/go-plugin/"}) {
				t.Errorf("file host/supervisor/%s imports %s: only %v may", file, path, goPluginFiles)
			}
		}
	}
}

// TestImportRule_Breaks shows that the rules see what they are for.
func TestImportRule_Breaks(t *testing.T) {
	for _, c := range []struct {
		pkg, path string
		broken    bool
	}{
		{"sdk", ours + "/host/config", true},
		{"sdk/queue", ours + "/plugins/lock", true},
		{"sdk/sdktest", ours + "/sdk/store/memory", false},
		{"host", ours + "/sdk", true},
		{"host/server", ours + "/sdk/store", true},
		{"host/cmd/modhost", ours + "/sdk/wire", false},
		{"host", ours + "/sdk/wire/wirepb", false},
		{"host", ours + "/sdk/wired", true},
		{"host", ours + "/plugins/lock", true},
		{"plugins/lock", ours + "/host/config", true},
		{"plugins/lock", ours + "/plugins/leader", true},
		{"plugins/lock", ours + "/sdk/queue", false},
		{"plugins/lock", "go.etcd.io/etcd/client/v2", true},
		{"sdk/store", "go.etcd.io/etcd/client/v2", true},
		{"sdk/store/etcdv2", "go.etcd.io/etcd/client/v2", false},
		{"host/etcd", "go.etcd.io/etcd/server/v3/embed", false},
		{"host", "go.etcd.io/etcd/server/v3/embed", true},
		{"sdk/sdktest", "github.com/hashicorp/go-plugin", true},
		{"sdk", "github.com/hashicorp/go-plugin", false},
		{"host/server", "github.com/hashicorp/go-plugin/runner", true},
		{"sdk/queue", "github.com/hashicorp/go-hclog", true},
		{"sdk/queue", ours + "/sdk/store", false},
		{"sdk/store", ours + "/sdk/queue", false},
		{"sdk/queue", ours + "/sdk/store/memory", true},
		{"sdk/queue", "crypto/rand", false},
	} {
		broken := slices.ContainsFunc(importRules, func(r importRule) bool { return r.breaks(c.pkg, c.path) })
		if broken != c.broken {
			t.Errorf("%s imports %s: broken = %v, want %v", c.pkg, c.path, broken, c.broken)
		}
	}
}
