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
	"strings"
	"testing"
)

// Programs is a folder with modhost and its plugins.
type Programs struct{ Dir string }

// A Build says how to build the programs.
type Build struct {
	Race bool // with the race detector

	// Faults are changes to the source, for programs that are broken on
	// purpose. The files in the tree stay as they are.
	Faults []Fault
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
		args = append(args, "-race")
	}
	if len(b.Faults) > 0 {
		overlay, err := b.overlay(dir)
		if err != nil {
			return p, err
		}
		args = append(args, "-overlay", overlay)
	}
	programs := map[string]string{"modhost": "./host/cmd/modhost"}
	plugins, err := filepath.Glob(filepath.Join(Root(), "plugins", "*"))
	if err != nil {
		return p, err
	}
	for _, path := range plugins {
		name := filepath.Base(path)
		programs["modhost-"+name] = "./plugins/" + name
	}
	for name, pkg := range programs {
		cmd := exec.Command("go", append(args[:len(args):len(args)], "-o", filepath.Join(dir, name), pkg)...)
		cmd.Dir = Root()
		if out, err := cmd.CombinedOutput(); err != nil {
			return p, fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
	}
	return p, nil
}

// overlay writes the broken files beside the programs and returns the map of
// them that go build reads.
func (b Build) overlay(dir string) (string, error) {
	replace := make(map[string]string)
	for i, f := range b.Faults {
		path := filepath.Join(Root(), f.File)
		from := path
		if broken, ok := replace[path]; ok {
			from = broken
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if n := strings.Count(string(text), f.Old); n != 1 {
			return "", fmt.Errorf("%s has %q %d times, want once: the fault no longer fits the source", f.File, f.Old, n)
		}
		broken := filepath.Join(dir, fmt.Sprintf("fault%d.go", i))
		if err := os.WriteFile(broken, []byte(strings.Replace(string(text), f.Old, f.New, 1)), 0o600); err != nil {
			return "", err
		}
		replace[path] = broken
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
