package config

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

var update = flag.Bool("update", false, "write the golden files anew")

// environment is what the files in testdata find set.
func environment(t testing.TB) {
	t.Helper()
	for name, value := range map[string]string{
		"MODHOST_TEST_SET":  "a secret",
		"MODHOST_TEST_HOST": "127.0.0.1",
	} {
		if err := os.Setenv(name, value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Unsetenv(name) })
	}
}

// golden compares got with the golden file beside path.
func golden(t *testing.T, path, got string) {
	t.Helper()
	name := strings.TrimSuffix(path, ".hcl") + ".golden"
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("Load(%q):\n%s\nwant:\n%s", path, got, want)
	}
}

// inputs returns the folders in dir, and the files that are configs.
func inputs(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no inputs in %s: %v", dir, err)
	}
	var paths []string
	for _, p := range all {
		if ext := filepath.Ext(p); ext == ".hcl" || ext == "" {
			paths = append(paths, p)
		}
	}
	return paths
}

func TestLoad_Complaints(t *testing.T) {
	environment(t)
	for _, path := range inputs(t, "testdata/bad") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			cfg, diags := Load(path)
			if cfg != nil || !diags.HasErrors() {
				t.Fatalf("Load(%q) = %+v, %v; want an error", path, cfg, diags)
			}
			golden(t, path, lines(diags))
		})
	}
}

func TestLoad_Good(t *testing.T) {
	environment(t)
	for _, path := range inputs(t, "testdata/good") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			cfg, diags := Load(path)
			if len(diags) > 0 {
				t.Fatalf("Load(%q):\n%s", path, lines(diags))
			}
			golden(t, path, dump(t, cfg))
		})
	}
}

func TestLoad_SampleIsTheDefaults(t *testing.T) {
	sample, diags := Load("testdata/good/sample.hcl")
	if diags.HasErrors() {
		t.Fatal(lines(diags))
	}
	want := defaults()
	want.Etcd.Embedded = defaultEmbedded()
	lock := defaultModule("lock")
	lock.Mounts = []string{"/mod/lock", "/mod/v2/lock"}
	lock.Sound = true
	lock.Range, lock.Config = sample.Modules[0].Range, sample.Modules[0].Config
	want.Modules = []Module{lock}
	want.Admin.Listen = "unix:data/admin.sock"
	want.at = sample.at
	if !reflect.DeepEqual(sample, want) {
		t.Errorf("the sample means\n%s\nand the defaults are\n%s", dump(t, sample), dump(t, want))
	}
}

func TestLoad_ShippedConfigs(t *testing.T) {
	for _, path := range inputs(t, "../../configs") {
		if _, diags := Load(path); len(diags) > 0 {
			t.Errorf("Load(%q):\n%s", path, lines(diags))
		}
	}
}

func TestLoad_PathsThatAreNoConfig(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.hcl")
	if err := os.WriteFile(big, make([]byte, maxFile+1), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing.hcl"): "no such file or folder; check the path",
		big:                               "longer than 1 MiB, which no config is; name the right file",
		dir + "/big.hcl/x":                "not a directory; check the path",
	} {
		_, diags := Load(path)
		if got, want := lines(diags), "config \""+path+"\": "+want+"\n"; got != want {
			t.Errorf("Load(%q): %s, want %s", path, got, want)
		}
	}
}

func TestLoad_ComplaintsAreSortedAndWhole(t *testing.T) {
	environment(t)
	for _, path := range inputs(t, "testdata/bad") {
		_, diags := Load(path)
		if !sort.SliceIsSorted(diags, func(i, j int) bool {
			a, b := diags[i].Subject, diags[j].Subject
			return a != nil && b != nil && a.Filename == b.Filename && a.Start.Byte < b.Start.Byte
		}) {
			t.Errorf("Load(%q): complaints out of order:\n%s", path, lines(diags))
		}
		for _, d := range diags {
			if d.Summary == "" || d.Detail == "" || d.Subject == nil && !strings.Contains(path, "empty-folder") {
				t.Errorf("Load(%q): half a complaint: %+v", path, d)
			}
		}
	}
}

func TestLoad_DeepNesting(t *testing.T) {
	for _, open := range []string{"(", "[", "a {\n", "{a=", "-", "!", `"${`, "a ? b : ", "env(", "a[", "%{ if", "(-\n", "1 + ", "(1)+", "a.a", "[0]", ".*"} {
		path := filepath.Join(t.TempDir(), "deep.hcl")
		text := "a = " + strings.Repeat(open, (64<<10)/len(open))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, diags := Load(path); len(diags) != 1 || diags[0].Summary != "nesting" {
			t.Errorf("a file full of %q: %s", open, lines(diags))
		}
	}
}

func TestLoad_NoSecretInComplaints(t *testing.T) {
	_, diags := Load("testdata/bad/endpoints.hcl")
	if got := lines(diags); strings.Contains(got, "secret") {
		t.Errorf("complaints repeat a password:\n%s", got)
	}
}

// The plugin parses the block's source anew at the position that Load gives.
func TestLoad_BlockSourceParsesAtItsPosition(t *testing.T) {
	environment(t)
	for _, path := range []string{"testdata/good/block.hcl", "testdata/good/folder", "testdata/good/sample.hcl"} {
		cfg, diags := Load(path)
		if diags.HasErrors() {
			t.Fatal(lines(diags))
		}
		for _, m := range cfg.Modules {
			b := m.Config
			if b.Source == nil {
				continue
			}
			file, diags := hclsyntax.ParseConfig(b.Source, b.Filename, hcl.Pos{Line: b.Line, Column: b.Column, Byte: b.Byte})
			if diags.HasErrors() {
				t.Fatalf("%s: %v", path, diags)
			}
			whole, err := os.ReadFile(b.Filename)
			if err != nil {
				t.Fatal(err)
			}
			for name, a := range file.Body.(*hclsyntax.Body).Attributes {
				r := a.NameRange
				if got := string(whole[r.Start.Byte:r.End.Byte]); got != name {
					t.Errorf("%s: attribute %q has the position of %q", path, name, got)
				}
				line := strings.Split(string(whole), "\n")[r.Start.Line-1]
				if at := []rune(line)[r.Start.Column-1:]; !strings.HasPrefix(string(at), name) {
					t.Errorf("%s: attribute %q is not at line %d column %d", path, name, r.Start.Line, r.Start.Column)
				}
			}
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/*/*.hcl", "testdata/*/*/*.hcl"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			src, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	path := filepath.Join(f.TempDir(), "fuzz.hcl")
	f.Fuzz(func(t *testing.T, src []byte) {
		if err := os.WriteFile(path, src, 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, diags := Load(path)
		if (cfg == nil) != diags.HasErrors() {
			t.Errorf("Load = %v, %v; want one of the two", cfg, diags)
		}
		for _, d := range diags {
			if strings.Contains(Describe(d), "\n") {
				t.Errorf("complaint of several lines: %q", Describe(d))
			}
		}
	})
}

// lines returns the complaints as the user sees them.
func lines(diags hcl.Diagnostics) string {
	var b strings.Builder
	for _, d := range diags {
		b.WriteString(Describe(d) + "\n")
	}
	return b.String()
}

// dump returns cfg as readable JSON.
func dump(t *testing.T, cfg *Config) string {
	t.Helper()
	type block struct {
		Block
		Source string
		JSON   json.RawMessage
	}
	type module struct {
		Module
		Config block
		Range  string
	}
	out := struct {
		*Config
		Modules []module
	}{Config: cfg}
	for _, m := range cfg.Modules {
		out.Modules = append(out.Modules, module{m, block{m.Config, string(m.Config.Source), m.Config.JSON}, m.Range.String()})
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}
