package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/host"
)

// limit is far more than any of this takes on a slow machine.
const limit = 60 * time.Second

// TestMain lets the test binary be modhost itself, for tests with signals.
func TestMain(m *testing.M) {
	if os.Getenv("MODHOST_TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// call runs a command in this process.
func call(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, streams{&o, &e})
	return code, o.String(), e.String()
}

// write makes a config in a folder of its own and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "modhost.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// small is a config that starts anywhere.
func small(t *testing.T) string {
	return write(t, fmt.Sprintf(`
listen   = "127.0.0.1:0"
data_dir = %q
etcd {
  embedded {
    listen = "127.0.0.1:0"
  }
}`, filepath.Join(t.TempDir(), "data")))
}

func TestRun_CodesAndMessages(t *testing.T) {
	bad := write(t, "lisen = 1\nlog_level = \"loud\"\n")
	good := write(t, "module \"b\" {\n  enabled = false\n}\n")
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	taken := write(t, fmt.Sprintf("listen = %q\n", busy.Addr()))
	file := write(t, "")
	noFolder := write(t, fmt.Sprintf("listen = \"127.0.0.1:0\"\ndata_dir = %q\n", file))
	complaints := bad + `:1:1: lisen: unknown attribute; did you mean "listen"?` + "\n" +
		bad + `:2:13: log_level "loud": no such value; write one of trace, debug, info, warn, error` + "\n"
	for _, test := range []struct {
		args     string
		code     int
		out, err string
	}{
		{"config check --config " + good, 0, good + ": ok; modules: b (disabled)\n", ""},
		{"config check --config " + bad, 2, "", complaints},
		{"serve --config " + bad, 2, "", complaints},
		{"serve --config /nowhere", 2, "", "config \"/nowhere\": no such file or folder; check the path\n"},
		{"serve --config " + taken, 1, "", fmt.Sprintf("modhost: listen %q: the port is in use by another process; stop that one, or set another port or port 0\n", busy.Addr())},
		{"serve --config " + noFolder, 1, "", fmt.Sprintf("modhost: data_dir %q: there is a file in its place; move that away or set another data_dir\n", file)},
		{"serv", 2, "", "modhost: unknown command \"serv\"; did you mean \"serve\"?; run \"modhost --help\"\n"},
		{"xyz", 2, "", "modhost: unknown command \"xyz\"; run \"modhost --help\"\n"},
		{"config chek", 2, "", "modhost config: unknown command \"chek\"; did you mean \"check\"?; run \"modhost config --help\"\n"},
		{"serve now", 2, "", "modhost serve: takes no argument \"now\"; run \"modhost serve --help\"\n"},
		{"serve --port 1", 2, "", "modhost serve: unknown flag: --port; run \"modhost serve --help\"\n"},
		{"version --output xml", 2, "", "modhost version: invalid argument \"xml\" for \"--output\" flag: neither text nor json; run \"modhost version --help\"\n"},
		{"completion elvish", 2, "", "modhost completion: unknown command \"elvish\"; run \"modhost completion --help\"\n"},
		{"completion bash now", 2, "", "modhost completion bash: takes no argument \"now\"; run \"modhost completion bash --help\"\n"},
		{"help xyz", 2, "", "modhost help: unknown command \"xyz\"; run \"modhost help --help\"\n"},
		{"help module xyz", 2, "", "modhost help: unknown command \"xyz\"; run \"modhost help --help\"\n"},
		{"help module list now", 2, "", "modhost help: unknown command \"now\"; run \"modhost help --help\"\n"},
		{"module show", 2, "", "modhost module show: the module's name is missing; \"modhost module list\" shows them; run \"modhost module show --help\"\n"},
		{"module restart a b", 2, "", "modhost module restart: takes one module, not also \"b\"; run \"modhost module restart --help\"\n"},
		{"log-level loud", 2, "", "modhost log-level: \"loud\" is no level; use one of trace, debug, info, warn, error; run \"modhost log-level --help\"\n"},
		{"log-level info warn", 2, "", "modhost log-level: takes one level, not also \"warn\"; run \"modhost log-level --help\"\n"},
		{"module list --config /nowhere", 2, "", "config \"/nowhere\": no such file or folder; name the one that the host was started with\n"},
		{"config reload --config /nowhere", 2, "", "config \"/nowhere\": no such file or folder; name the one that the host was started with\n"},
	} {
		t.Run(test.args, func(t *testing.T) {
			code, out, err := call(t, strings.Fields(test.args)...)
			if code != test.code || out != test.out || err != test.err {
				t.Errorf("modhost %s: code %d, out %q, err %q;\nwant %d, %q, %q", test.args, code, out, err, test.code, test.out, test.err)
			}
		})
	}
}

func TestConfig_WhereItIsFound(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	code, _, err := call(t, "config", "check")
	if code != 2 || !strings.Contains(err, "use --config FILE or set MODHOST_CONFIG") {
		t.Errorf("without a config: code %d, %s", code, err)
	}
	for _, name := range []string{"modhost.hcl", "env.hcl", "flag.hcl"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := func(file string, args ...string) {
		t.Helper()
		if _, out, err := call(t, append([]string{"config", "check"}, args...)...); !strings.HasPrefix(out, file+": ok") {
			t.Errorf("used %s%s, want %s", out, err, file)
		}
	}
	want("modhost.hcl")
	t.Setenv("MODHOST_CONFIG", "env.hcl")
	want("env.hcl")
	want("flag.hcl", "--config", "flag.hcl")
}

func TestConfigCheck_JSON(t *testing.T) {
	bad := write(t, "\n lisen = 1\n")
	code, out, err := call(t, "config", "check", "--output", "json", "--config", bad)
	var got struct {
		OK         bool
		Complaints []struct {
			File         string
			Line, Column int
			What, Why    string
		}
	}
	if jsonErr := json.Unmarshal([]byte(out), &got); jsonErr != nil || code != 2 || err != "" {
		t.Fatalf("code %d, err %q, out %s: %v", code, err, out, jsonErr)
	}
	if c := got.Complaints; got.OK || len(c) != 1 || c[0].File != bad || c[0].Line != 2 || c[0].Column != 2 || c[0].What != "lisen" {
		t.Errorf("printed %s", out)
	}
}

func TestVersion(t *testing.T) {
	if code, out, _ := call(t, "version"); code != 0 || !strings.HasPrefix(out, "modhost ") {
		t.Errorf("version: %d %s", code, out)
	}
	_, out, _ := call(t, "version", "--output", "json")
	var v struct {
		Version  string
		Protocol int
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Version == "" || v.Protocol == 0 {
		t.Errorf("version --output json: %s: %v", out, err)
	}
}

func TestServe_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, log bytes.Buffer
	if code := run(ctx, []string{"serve", "--config", small(t)}, streams{&out, &log}); code != 0 {
		t.Errorf("code %d, want 0:\n%s", code, log.String())
	}
}

func TestServe_SignalEndsItInOrder(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "serve", "--config", small(t))
			cmd.Env = append(os.Environ(), "MODHOST_TEST_MAIN=1")
			log, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var all strings.Builder
			for lines := bufio.NewScanner(log); lines.Scan(); {
				all.WriteString(lines.Text() + "\n")
				if strings.Contains(lines.Text(), "listening") {
					if err := cmd.Process.Signal(sig); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("ended with %v:\n%s", err, all.String())
			}
		})
	}
}

func TestPrintReady(t *testing.T) {
	var out bytes.Buffer
	printReady(&out, []host.Ready{{Module: "lock", URL: "http://127.0.0.1:4001/mod/lock"}, {Module: "dashboard", URL: "http://127.0.0.1:4001/mod/dashboard"}})
	want := "lock       http://127.0.0.1:4001/mod/lock\ndashboard  http://127.0.0.1:4001/mod/dashboard\n"
	if out.String() != want {
		t.Errorf("printed:\n%s, want:\n%s", out.String(), want)
	}
}
