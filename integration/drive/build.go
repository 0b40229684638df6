// Package drive builds modhost's programs and runs them as a user would: host
// processes with a config file, reached over HTTP, ended by signals. Nothing
// of modhost is imported, so what tests see is what users get.
package drive

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// RaceOptions are GORACE for programs with the race detector: a race ends them,
// and they do not wait a second for more of it at their end.
const RaceOptions = "halt_on_error=1 exitcode=66 atexit_sleep_ms=100"

// Programs is a folder with modhost, its plugins and the tests' etcd.
type Programs struct{ Dir string }

// memberProgram is the name of etcd in Programs.Dir.
const memberProgram = "etcd-member"

// A Build says how to build the programs.
type Build struct {
	Race bool // with the race detector

	// Faults are changes to the source, for programs that are broken on
	// purpose. The files in the tree stay as they are.
	Faults []Fault

	// Base is where programs are taken from that have nothing of Faults in
	// them, built the same way; the zero value: all are built.
	Base Programs
}

// A Fault replaces one piece of the source, which must be there exactly once.
type Fault struct {
	File     string // relative to the module's root
	Old, New string
}

// Root is the folder of go.mod, for tests in folders one or two below it.
func Root() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			panic("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// Make builds the programs into dir.
func (b Build) Make(dir string) (Programs, error) {
	p := Programs{Dir: dir}
	args := []string{"build"}
	if b.Race {
		// etcd's v2 store counts with atomics, and reads the counters without when
		// it is asked for them, as the dashboard does. That is not our race.
		args = append(args, "-race", "-gcflags=go.etcd.io/etcd/server/v3/etcdserver/api/v2store=-race=0")
	}
	if len(b.Faults) > 0 {
		overlay, err := b.overlay(dir)
		if err != nil {
			return p, err
		}
		args = append(args, "-overlay", overlay)
	}
	programs := map[string]string{"modhost": "./host/cmd/modhost", memberProgram: "./integration/drive/member"}
	plugins, err := filepath.Glob(filepath.Join(Root(), "plugins", "*"))
	if err != nil {
		return p, err
	}
	for _, path := range plugins {
		name := filepath.Base(path)
		programs["modhost-"+name] = "./plugins/" + name
	}
	for name, pkg := range programs {
		file := filepath.Join(dir, name)
		if b.Base.Dir != "" && !b.touches(name) {
			if err := os.Link(filepath.Join(b.Base.Dir, name), file); err != nil {
				return p, err
			}
			continue
		}
		args := append(args[:len(args):len(args)], "-o", file, pkg)
		if name == memberProgram { // it isn't what is tested
			args = []string{"build", "-o", file, pkg}
		}
		cmd := exec.Command("go", args...)
		cmd.Dir = Root()
		if out, err := cmd.CombinedOutput(); err != nil {
			return p, fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
	}
	return p, nil
}

// touches reports whether a program may have some of the faults in it.
func (b Build) touches(program string) bool {
	return slices.ContainsFunc(b.Faults, func(f Fault) bool {
		switch dir := f.File + "/"; {
		case program == memberProgram:
			return false
		case strings.HasPrefix(dir, "host/"):
			return program == "modhost"
		case strings.HasPrefix(dir, "sdk/wire/"):
			return true
		case strings.HasPrefix(dir, "plugins/"):
			return strings.HasPrefix(dir, "plugins/"+strings.TrimPrefix(program, "modhost-")+"/")
		default:
			return program != "modhost"
		}
	})
}

// apply returns the text of the file with the fault in it.
func (f Fault) apply(text []byte) ([]byte, error) {
	if n := strings.Count(string(text), f.Old); n != 1 {
		return nil, fmt.Errorf("%s has %q %d times, want once: the fault no longer fits the source", f.File, f.Old, n)
	}
	return []byte(strings.Replace(string(text), f.Old, f.New, 1)), nil
}

// Fits returns an error if one of the faults does not fit the source.
func (b Build) Fits() error {
	_, err := b.broken()
	return err
}

// broken returns the texts of the files that have faults, by path.
func (b Build) broken() (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, f := range b.Faults {
		path := filepath.Join(Root(), f.File)
		text, ok := files[path]
		var err error
		if !ok {
			if text, err = os.ReadFile(path); err != nil {
				return nil, err
			}
		}
		if files[path], err = f.apply(text); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// overlay writes the broken files beside the programs and returns the map of
// them that go build reads.
func (b Build) overlay(dir string) (string, error) {
	files, err := b.broken()
	if err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for path, text := range files {
		replace[path] = filepath.Join(dir, fmt.Sprintf("fault%d.go", len(replace)))
		if err := os.WriteFile(replace[path], text, 0o600); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}

// MustMake builds into a folder of the test.
func (b Build) MustMake(t testing.TB) Programs {
	t.Helper()
	p, err := b.Make(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return p
}
