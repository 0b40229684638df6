package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The help of every command is what its golden file says. The texts about the
// shells are cobra's own.
func TestHelp_Texts(t *testing.T) {
	seen := map[string]bool{}
	for _, path := range paths(command(streams{})) {
		if strings.HasPrefix(path, "completion ") {
			continue
		}
		name := strings.ReplaceAll(strings.TrimSpace("modhost "+path), " ", "-")
		seen[name+".golden"] = true
		t.Run(name, func(t *testing.T) {
			code, got, err := call(t, append(strings.Fields(path), "--help")...)
			if code != 0 || err != "" {
				t.Fatalf("code %d, %s", code, err)
			}
			file := filepath.Join("testdata", "help", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(file)
			if readErr != nil || got != string(want) {
				t.Errorf("printed:\n%s\nwant (%v):\n%s", got, readErr, want)
			}
			if code, same, err := call(t, append([]string{"help"}, strings.Fields(path)...)...); code != 0 || err != "" || same != got {
				t.Errorf("modhost help %s: code %d, %s, printed:\n%s", path, code, err, same)
			}
			for _, line := range strings.Split(got, "\n") {
				if len(line) > 100 || strings.TrimRight(line, " ") != line {
					t.Errorf("too long, or ends with space: %q", line)
				}
			}
		})
	}
	files, err := os.ReadDir(filepath.Join("testdata", "help"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[f.Name()] {
			t.Errorf("%s is of no command", f.Name())
		}
	}
}

// paths returns what is typed after modhost for each command, "" for modhost
// itself.
func paths(root *cobra.Command) []string {
	list := []string{""}
	for _, c := range root.Commands() {
		for _, p := range paths(c) {
			list = append(list, strings.TrimSpace(c.Name()+" "+p))
		}
	}
	return list
}

// A command that only holds others prints its help.
func TestHelp_OfCommandsThatHoldOthers(t *testing.T) {
	for _, path := range []string{"", "module", "config", "completion"} {
		_, want, _ := call(t, append(strings.Fields(path), "--help")...)
		if code, out, err := call(t, strings.Fields(path)...); code != 0 || out != want || err != "" {
			t.Errorf("modhost %s: code %d, %s%s", path, code, out, err)
		}
	}
}
