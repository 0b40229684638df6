package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// What is shown means the same as what it was made of.
func TestFormat_LoadsAsTheSame(t *testing.T) {
	environment(t)
	for _, path := range append(inputs(t, "testdata/good"), inputs(t, "../../configs")...) {
		cfg, diags := Load(path)
		if cfg == nil {
			t.Fatal(lines(diags))
		}
		shown := filepath.Join(t.TempDir(), "shown.hcl")
		if err := os.WriteFile(shown, Format(cfg), 0o600); err != nil {
			t.Fatal(err)
		}
		again, diags := Load(shown)
		if again == nil {
			t.Fatalf("%s is shown as\n%s\n%s", path, Format(cfg), lines(diags))
		}
		changes, diags := Diff(cfg, again)
		if len(changes) > 0 || len(diags) > 0 {
			t.Errorf("%s is shown as\n%s\nwhich differs: %+v %s", path, Format(cfg), changes, lines(diags))
		}
	}
}

func TestJSON(t *testing.T) {
	cfg := loadText(t, "module \"a\" {\n  config {\n    size = 1\n  }\n}\n")
	text, err := JSON(cfg)
	var got struct {
		Listen string
		Module map[string]struct {
			Mounts []string
			Config string
			Limits struct {
				BodyBytes int64 `json:"body_bytes"`
			}
		}
	}
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	a := got.Module["a"]
	if err != nil || got.Listen != "127.0.0.1:4001" || a.Mounts[0] != "/mod/a" || a.Config != "\n    size = 1\n  " || a.Limits.BodyBytes != 1<<20 {
		t.Errorf("JSON = %s, %v", text, err)
	}
}
