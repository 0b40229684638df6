package host

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/supervisor"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with testdata/NAME.golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant:\n%s", file, got, want)
	}
}

// folder is a config of several files, one for each module, so that positions
// stay when a module is added.
type folder struct {
	dir  string
	host string // what host.hcl says beside the plugin folder and etcd
}

func newFolder(t *testing.T) *folder {
	t.Helper()
	if err := buildPlugin(); err != nil {
		t.Fatal(err)
	}
	f := &folder{dir: t.TempDir()}
	f.write(t, "host", "log_level = \"debug\"\n")
	return f
}

// write makes name.hcl say text, or removes it if there is none.
func (f *folder) write(t *testing.T, name, text string) {
	t.Helper()
	if name == "host" {
		f.host = text
		text += fmt.Sprintf(`
listen     = "127.0.0.1:0"
plugin_dir = %q
data_dir   = %q
etcd {
  embedded {
    listen = "127.0.0.1:0"
  }
}
`, pluginFolder, filepath.Join(f.dir, "data"))
	}
	path := filepath.Join(f.dir, name+".hcl")
	err := os.Remove(path)
	if text != "" {
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// module writes the block of a module that runs the test plugin, unless its
// body has a command.
func (f *folder) module(t *testing.T, name, body string) {
	t.Helper()
	if !strings.Contains(body, "command") {
		body = "  command = \"modhost-test\"\n" + body
	}
	f.write(t, name, fmt.Sprintf("module %q {\n%s}\n", name, body))
}

func (f *folder) load(t *testing.T) *config.Config {
	t.Helper()
	cfg, diags := config.Load(f.dir)
	for _, d := range diags {
		t.Error(config.Describe(d))
	}
	if cfg == nil {
		t.FailNow()
	}
	return cfg
}

// told returns what a client of the host is told: the status, the headers that
// matter, the body.
func (r *running) told(t *testing.T, req *http.Request) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: limit}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%s %s\n%s\n", req.Method, req.URL.Path, res.Status)
	for _, name := range []string{"Content-Type", "Retry-After", "X-Content-Type-Options"} {
		if v := res.Header.Get(name); v != "" {
			text += name + ": " + v + "\n"
		}
	}
	if res.Header.Get("X-Request-Id") == "" {
		t.Errorf("%s: no request id", req.URL.Path)
	}
	return text + "\n" + strings.TrimSuffix(string(body), "\n") + "\n"
}

func (r *running) request(t *testing.T, method, path string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// listed returns the listing by name.
func (r *running) listed(t *testing.T) map[string]supervisor.Status {
	t.Helper()
	_, body := get(t, r.url+"/mod/")
	var list []supervisor.Status
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	m := map[string]supervisor.Status{}
	for _, s := range list {
		m[s.Name] = s
	}
	return m
}

// until waits for what must come: it looks again and again, up to a deadline.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// programs writes files that are no plugins and returns their folder.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	plugin, err := os.ReadFile(filepath.Join(pluginFolder, "modhost-test"))
	if err != nil {
		t.Fatal(err)
	}
	foreign := slices.Clone(plugin)
	if bytes.HasPrefix(foreign, []byte("\x7fELF")) {
		binary.LittleEndian.PutUint16(foreign[18:], 0xfeed) // a machine that there is not
	}
	for name, content := range map[string][]byte{
		"plain": plugin, "text": []byte("I am no program.\n"), "script": []byte("#!/no/such/interpreter\n"), "foreign": foreign,
	} {
		mode := os.FileMode(0o700)
		if name == "plain" {
			mode = 0o600
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Whatever is wrong with the program of a module: the listing, the clients of the
// module and config check say what, and the module beside it serves.
func TestHost_WrongPrograms(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the golden files have Linux's words")
	}
	t.Parallel() // most of it is waiting for what hangs
	f := newFolder(t)
	dir := programs(t)
	const once = "  restart {\n    max    = 1\n    window = \"1h\"\n  }\n"
	sum := strings.Repeat("0", 64)
	cases := map[string]string{
		"missing":             "  command = \"modhost-missing\"\n",
		"missing-path":        fmt.Sprintf("  command = %q\n", dir+"/nowhere/program"),
		"folder":              fmt.Sprintf("  command = %q\n", dir+"/folder"),
		"not-executable":      fmt.Sprintf("  command = %q\n", dir+"/plain"),
		"text":                fmt.Sprintf("  command = %q\n", dir+"/text"),
		"no-interpreter":      fmt.Sprintf("  command = %q\n", dir+"/script"),
		"other-machine":       fmt.Sprintf("  command = %q\n", dir+"/foreign"),
		"wrong-sum":           fmt.Sprintf("  sha256  = %q\n", sum),
		"exits":               "  args    = [\"exit\"]\n",
		"exits-with-message":  "  args    = [\"exit-3\"]\n" + once,
		"killed":              "  args    = [\"killed\"]\n" + once,
		"panics":              "  args    = [\"panic\"]\n" + once,
		"rubbish":             "  args    = [\"rubbish\"]\n",
		"protocol":            "  args    = [\"protocol\"]\n",
		"no-grpc":             "  args    = [\"netrpc\"]\n",
		"bad-config":          "  args    = [\"config\"]\n",
		"exits-in-configure":  "  args    = [\"die-in-configure\"]\n" + once,
		"killed-in-configure": "  args    = [\"killed-in-configure\"]\n" + once,
		"hangs":               "  args    = [\"silent\"]\n",
		"hangs-in-configure":  "  args    = [\"hang-in-configure\"]\n",
	}
	for name, body := range cases {
		f.module(t, name, body)
	}
	f.module(t, "good", "")
	plugin, err := os.ReadFile(filepath.Join(pluginFolder, "modhost-test"))
	if err != nil {
		t.Fatal(err)
	}
	right := sha256.Sum256(plugin)
	f.module(t, "right-sum", fmt.Sprintf("  sha256  = %q\n", strings.ToUpper(hex.EncodeToString(right[:]))))

	cfg := f.load(t)
	checked := make(chan string, 1)
	go func() {
		diags, err := Check(t.Context(), cfg, hclog.NewNullLogger(), "test")
		text := ""
		for _, d := range diags {
			text += config.Describe(d) + "\n"
		}
		if err != nil {
			text += err.Error()
		}
		checked <- text
	}()
	r := run(t, cfg)
	hanging := []string{"hangs", "hangs-in-configure"}
	early, late := map[string]string{}, map[string]string{}
	for _, name := range hanging {
		early[name] = r.told(t, r.request(t, "GET", "/mod/"+name, nil))
	}
	until(t, "all but what hangs have failed", func() bool {
		list := r.listed(t)
		for name := range cases {
			if !slices.Contains(hanging, name) && list[name].State != supervisor.Failed {
				return false
			}
		}
		return list["good"].State == supervisor.Ready && list["right-sum"].State == supervisor.Ready
	})
	serves := func() {
		t.Helper()
		wantGet(t, r.url+"/mod/good/x", 200, "GET x")
		wantGet(t, r.url+"/mod/right-sum/x", 200, "GET x")
	}
	serves()
	until(t, "what hangs was given up", func() bool {
		list := r.listed(t)
		return list["hangs"].Reason != "" && list["hangs-in-configure"].Reason != ""
	})
	list := r.listed(t)
	for _, name := range hanging { // before they are given up once more
		late[name] = r.told(t, r.request(t, "GET", "/mod/"+name, nil))
	}
	serves()
	found := <-checked
	for name := range cases {
		t.Run(name, func(t *testing.T) {
			got := fmt.Sprintf("listing: %s, %s\n\n", list[name].State, list[name].Reason)
			if slices.Contains(hanging, name) {
				got += "at first: " + early[name] + "\nlater: " + late[name]
			} else {
				got += r.told(t, r.request(t, "GET", "/mod/"+name, nil))
			}
			got += "\nconfig check:\n"
			for _, line := range strings.SplitAfter(found, "\n") {
				if strings.Contains(line, "/"+name+".hcl:") || name == "bad-config" && strings.Contains(line, "\"bad-config\"") {
					got += line
				}
			}
			golden(t, filepath.Join("programs", name), strings.NewReplacer(
				f.dir, "$CONFIG", dir, "$DIR", pluginFolder, "$PLUGINS", hex.EncodeToString(right[:]), "$SUM").Replace(got))
		})
	}
	for _, name := range []string{"good", "right-sum"} {
		if s := r.listed(t)[name]; s.State != supervisor.Ready || s.Restarts != 0 || strings.Contains(found, "/"+name+".hcl:") {
			t.Errorf("%s: %+v; config check: %s", name, s, found)
		}
	}
}

// The answers of the host for what exceeds a module's limits and for modules
// that can't answer, to the letter.
func TestHost_AnswersOfItsOwn(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.module(t, "limited", "  limits {\n    concurrency  = 1\n    body_bytes   = 10\n    header_bytes = 300\n  }\n")
	f.module(t, "slow", "  limits {\n    request_timeout = \"150ms\"\n  }\n")
	f.module(t, "crashes", "")
	f.module(t, "off", "  enabled = false\n")
	f.module(t, "good", "")
	r := run(t, f.load(t))
	if ready := r.awaitReady(t); len(ready) != 4 {
		t.Fatalf("ready: %v", ready)
	}
	// One request stays until the host ends. The looks for it may keep it out.
	waiter, ended := r.request(t, "POST", "/mod/limited/wait", nil), make(chan int)
	go func() {
		for {
			res, err := http.DefaultTransport.RoundTrip(waiter)
			if err != nil {
				ended <- 0
				return
			}
			res.Body.Close()
			if res.StatusCode != http.StatusTooManyRequests {
				ended <- res.StatusCode
				return
			}
		}
	}()
	busy := func() bool {
		status, _ := get(t, r.url+"/mod/limited/x")
		return status == http.StatusTooManyRequests
	}
	until(t, "the waiting request was let in", busy)
	for _, c := range []struct {
		name, method, path string
	}{
		{"429", "GET", "/mod/limited/x"},
		{"502", "POST", "/mod/crashes/crash"},
		{"503-timeout", "POST", "/mod/slow/stuck"},
		{"404-disabled", "GET", "/mod/off/x"},
		{"404-nothing", "GET", "/mod/nothing"},
		{"404-outside", "GET", "/nothing"},
		{"405-listing", "POST", "/mod/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			golden(t, filepath.Join("answers", c.name), r.told(t, r.request(t, c.method, c.path, nil)))
		})
	}
	r.stop()
	if status := <-ended; status != http.StatusServiceUnavailable {
		t.Errorf("who waited at the end was answered %d, want 503", status)
	}
	if err := r.end(t); err != nil {
		t.Errorf("Run = %v", err)
	}
}

// What is too large is answered before it is read, or as soon as it is.
func TestHost_AnswersToWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.module(t, "limited", "  limits {\n    body_bytes   = 10\n    header_bytes = 300\n  }\n")
	r := run(t, f.load(t))
	r.awaitReady(t)
	for _, c := range []struct {
		name   string
		body   io.Reader
		header string
	}{
		{"413-announced", strings.NewReader("eleven byte"), ""},
		{"413-streamed", io.MultiReader(strings.NewReader("eleven byte")), ""},
		{"431", nil, strings.Repeat("x", 300)},
		{"200-ten-bytes", io.MultiReader(strings.NewReader("ten bytes!")), "short"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := r.request(t, "POST", "/mod/limited/read", c.body)
			req.Header.Set("X-Large", c.header)
			golden(t, filepath.Join("answers", c.name), r.told(t, req))
		})
	}
}
