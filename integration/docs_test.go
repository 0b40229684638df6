package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A block is a fenced block of a Markdown file. What is done with it depends
// on its kind:
//
//	sh       runs with bash, as it stands, in the order of the file. It must end with 0 and
//	         print what the next block, if that is output, shows; else nothing
//	output   what the sh block before it prints, see [matches]
//	hcl      is a config that modhost config check likes
//	go       is a plugin's whole main.go. It is built and, with the hcl block that follows as its
//	         part of the config, mounted in the host that the rest of the file runs against
//	console, text and others are for people only
type block struct {
	kind, text string
	line       int // of the fence
}

func blocksOf(t *testing.T, file string) []block {
	t.Helper()
	var blocks []block
	var open *block
	for i, line := range strings.Split(readFile(t, file), "\n") {
		kind, fence := strings.CutPrefix(line, "```")
		switch {
		case open == nil && fence:
			open = &block{kind: kind, line: i + 1}
		case fence:
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: the block has no end", file, open.line)
	}
	return blocks
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(drive.Root(), file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// narrow takes the padding out of tables.
func narrow(text string) string {
	text = regexp.MustCompile(`\b {2,}`).ReplaceAllString(text, " ")
	return regexp.MustCompile(`(?m) +$`).ReplaceAllString(text, "")
}

// inexact is what may differ from the output shown: times and numbers. The
// status and the code of an error are no such numbers.
var inexact = regexp.MustCompile(`HTTP/1\.1 \d+|"errorCode":\d+|\d{4}-\d\d-\d\dT[\d:.]+Z|\b\d+(?:\.\d+)?`)

// matches reports whether printed is what shown says. "..." stands for any
// text within a line and, alone on a line, for any lines. Numbers are examples,
// but where shown has the same whole number twice, as it has for an index,
// printed must have so, too.
// How wide the columns of a table are does not matter.
func matches(shown, printed string) error {
	shown, printed = narrow(shown), narrow(printed)
	var pattern strings.Builder
	var numbers []string // what shown has in place of each group
	plain := func(s string) { pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(s), `\.\.\.`, `.*`)) }
	for line := range strings.Lines(strings.TrimSpace(shown) + "\n") {
		if line == "...\n" {
			pattern.WriteString(`(?:.*\n)*?`)
			continue
		}
		at := 0
		for _, m := range inexact.FindAllStringIndex(line, -1) {
			found := line[m[0]:m[1]]
			plain(line[at:m[0]])
			at = m[1]
			switch {
			case found[0] == 'H' || found[0] == '"':
				plain(found)
			case strings.Contains(found, "T"):
				pattern.WriteString(`\d{4}-\d\d-\d\dT[\d:.]+Z`)
			case strings.Contains(found, "."):
				pattern.WriteString(`\d+(?:\.\d+)?`)
			default:
				pattern.WriteString(`(\d+)`)
				numbers = append(numbers, found)
			}
		}
		plain(line[at:])
	}
	printed = strings.TrimSpace(strings.ReplaceAll(printed, "\r", "")) + "\n"
	groups := regexp.MustCompile(`\A` + pattern.String() + `\z`).FindStringSubmatch(printed)
	if groups == nil {
		return fmt.Errorf("printed:\n%s\nwant:\n%s", printed, shown)
	}
	same := make(map[string]string)
	for i, want := range numbers {
		if got, ok := same[want]; ok && got != groups[i+1] {
			return fmt.Errorf("what is %s everywhere in the output shown is %s and %s in\n%s", want, got, groups[i+1], printed)
		}
		same[want] = groups[i+1]
	}
	return nil
}

func TestDocs_Matches(t *testing.T) {
	for _, test := range []struct {
		shown, printed string
		ok             bool
	}{
		{"4", "17", true},
		{"4", "", false},
		{"4\n4", "17\n17", true},
		{"4\n4", "17\n18", false},
		{`{"errorCode":700,"index":4}`, `{"errorCode":700,"index":19}`, true},
		{`{"errorCode":700,"index":4}`, `{"errorCode":701,"index":4}`, false},
		{"HTTP/1.1 200 OK\n...\nX-Lock-Token: 4\n...\n4", "HTTP/1.1 200 OK\r\nA: b\r\nX-Lock-Token: 17\r\n\r\n17", true},
		{"HTTP/1.1 200 OK\n...\n4", "HTTP/1.1 423 Locked\n4", false},
		{`"valid_for":59.9,"at":"2026-01-31T12:00:00Z"`, `"valid_for":58,"at":"2027-11-01T00:00:00Z"`, true},
		{`{"name":"lock",...}`, `{"name":"lock","pid":17}`, true},
		{`{"name":"lock",...}`, `{"name":"leader","pid":17}`, false},
		{"alice", "alice and bob", false},
		{"NAME  PID   FOR\nlock  4711  12s", "NAME    PID    FOR\nlock    12345  1s  ", true},
		{"NAME  PID   FOR\nlock  4711  12s", "NAME    PID    FOR\nlock    12345  1m1s", false},
	} {
		if err := matches(test.shown, test.printed); (err == nil) != test.ok {
			t.Errorf("matches(%q, %q) = %v, want ok %v", test.shown, test.printed, err, test.ok)
		}
	}
}

// TestDocs_CommandsRun does what the documentation shows, at the documented
// address: a .curlrc leads curl from there to the host, which is on a free
// port.
func TestDocs_CommandsRun(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"README.md", "plugins/lock/README.md", "plugins/leader/README.md", "plugins/dashboard/README.md"} {
		t.Run(strings.ReplaceAll(file, "/", "-"), func(t *testing.T) {
			home := t.TempDir()
			var host *drive.Host
			use := func(h *drive.Host) {
				t.Helper()
				host = h
				address := strings.TrimPrefix(h.URL, "http://")
				rc := fmt.Sprintf("connect-to = \"127.0.0.1:4001:%s\"\n", address) +
					"no-progress-meter\n" // nor has a terminal one
				if err := os.WriteFile(filepath.Join(home, ".curlrc"), []byte(rc), 0o600); err != nil {
					t.Fatal(err)
				}
				// A curl that ignores the file would find another host or none.
				out, err := shell(t, h, home, "curl -s http://127.0.0.1:4001/mod/")
				if pid := strconv.Itoa(h.Module("lock").PID); err != nil || !strings.Contains(out, `"pid":`+pid) {
					t.Fatalf("curl does not find the host by its .curlrc: %v\n%s", err, out)
				}
			}
			use(programs(t).Start(t, drive.Embedded+drive.Elections+drive.Dashboard("")))
			blocks := blocksOf(t, file)
			for i, b := range blocks {
				switch b.kind {
				case "go":
					use(withPlugin(t, b, blocks[i+1]))
				case "sh":
					shown := ""
					if i+1 < len(blocks) && blocks[i+1].kind == "output" {
						shown = blocks[i+1].text
					}
					out, err := shell(t, host, home, b.text)
					if err == nil {
						err = matches(shown, out)
					}
					if err != nil {
						t.Errorf("%s:%d: %v\n%s", file, b.line, err, out)
					}
				case "output":
					if i == 0 || blocks[i-1].kind != "sh" {
						t.Errorf("%s:%d: output of what?", file, b.line)
					}
				}
			}
		})
	}
}

// shell runs text as a file of its own would be run, in the host's working
// directory.
func shell(t *testing.T, h *drive.Host, home, text string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), drive.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", text)
	cmd.Dir = h.Dir
	path := programs(t).Dir + string(os.PathListSeparator) + os.Getenv("PATH")
	cmd.Env = []string{"PATH=" + path, "HOME=" + home, "LC_ALL=C", "MODHOST_CONFIG=modhost.hcl"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// withPlugin starts a host that has a documented plugin.
func withPlugin(t *testing.T, source, config block) *drive.Host {
	t.Helper()
	return programs(t).Start(t, fmt.Sprintf("plugin_dir = %q\n", buildPlugin(t, source, config))+drive.Embedded+config.text)
}

// buildPlugin builds a documented plugin, as if it had a folder below plugins,
// and returns a folder with it and those that are bundled.
func buildPlugin(t *testing.T, source, config block) string {
	t.Helper()
	name := regexp.MustCompile(`module "([a-z]+)"`).FindStringSubmatch(config.text)
	if config.kind != "hcl" || name == nil {
		t.Fatalf("the go block in line %d is not followed by its module block", source.line)
	}
	dir := t.TempDir()
	main := filepath.Join(dir, "main.go")
	if err := os.WriteFile(main, []byte(source.text), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(drive.Root(), "plugins", name[1], "main.go"): main,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"),
		"-o", filepath.Join(dir, "modhost-"+name[1]), "./plugins/"+name[1])
	cmd.Dir = drive.Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	bundled, err := filepath.Glob(filepath.Join(programs(t).Dir, "modhost-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range bundled {
		if filepath.Base(path) == "modhost-"+name[1] { // the scripts have one of their own
			continue
		}
		if err := os.Symlink(path, filepath.Join(dir, filepath.Base(path))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDocs_ConfigsAreValid(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, where, file string) {
		t.Helper()
		out, err := exec.Command(filepath.Join(programs(t).Dir, "modhost"), "config", "check", "--config", file).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", where, err, out)
		}
	}
	for _, doc := range markdown(t) {
		blocks := blocksOf(t, doc)
		for i, b := range blocks {
			if b.kind != "hcl" {
				continue
			}
			text := b.text
			if i > 0 && blocks[i-1].kind == "go" {
				text += fmt.Sprintf("\nplugin_dir = %q\n", buildPlugin(t, blocks[i-1], b))
			}
			file := filepath.Join(t.TempDir(), "modhost.hcl")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			check(t, fmt.Sprintf("%s:%d", doc, b.line), file)
		}
	}
	samples, err := filepath.Glob(filepath.Join(drive.Root(), "configs", "*.hcl"))
	if err != nil || len(samples) == 0 {
		t.Errorf("no sample configs: %v", err)
	}
	for _, file := range samples {
		check(t, filepath.Base(file), file)
	}
}

// markdown lists the documentation, relative to the root.
func markdown(t *testing.T) []string {
	t.Helper()
	var files []string
	root := os.DirFS(drive.Root())
	err := fs.WalkDir(root, ".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (strings.HasPrefix(e.Name(), ".") && path != "." || e.Name() == "testdata" || e.Name() == "node_modules" || path == "bin"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".md"):
			files = append(files, path)
		}
		return nil
	})
	if err != nil || !slices.Contains(files, "README.md") {
		t.Fatalf("found %q: %v", files, err)
	}
	return files
}

// headings turns headings into what links say to them.
var headings = regexp.MustCompile(`(?m)^#+ (.*)$`)

func TestDocs_LinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]*)(?:#([^)]*))?\)`)
	for _, file := range markdown(t) {
		for _, m := range link.FindAllStringSubmatch(readFile(t, file), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			to := file
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(file), m[1])
			}
			if _, err := os.Stat(filepath.Join(drive.Root(), to)); err != nil {
				t.Errorf("%s: link to %s: %v", file, m[1], err)
				continue
			}
			if m[2] == "" {
				continue
			}
			var names []string
			for _, h := range headings.FindAllStringSubmatch(readFile(t, to), -1) {
				names = append(names, strings.ReplaceAll(strings.ToLower(h[1]), " ", "-"))
			}
			if !slices.Contains(names, m[2]) {
				t.Errorf("%s: link to #%s of %s, which has %q", file, m[2], to, names)
			}
		}
	}
}

// TestDocs_ErrorCodes compares the tables in the READMEs of the modules that
// have a queue, code by code, with what the module and the host use and with
// the one table of codes.
func TestDocs_ErrorCodes(t *testing.T) {
	known := codes(t)
	for _, folder := range []string{"plugins/lock", "plugins/leader"} {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			_, text, _ := strings.Cut(readFile(t, folder+"/README.md"), "\nGiven by the module:\n")
			text, _, _ = strings.Cut(text, "\n## ")
			module, host, ok := strings.Cut(text, "\nGiven by the host in the module's place:\n")
			if !ok {
				t.Fatal("the README does not have its two tables of errors")
			}
			given := make(map[int]bool)
			for _, from := range []string{folder, "sdk/queuehttp"} {
				for name := range used(t, from, "sdk") {
					given[known[name].number] = true
				}
			}
			documented := table(t, module, known)
			for _, code := range slices.Sorted(maps.Keys(given)) {
				if !documented[code] {
					t.Errorf("the module gives %d, which its table does not have", code)
				}
			}
			for _, code := range slices.Sorted(maps.Keys(documented)) {
				if !given[code] {
					t.Errorf("the table has %d, which the module does not give", code)
				}
			}
			table(t, host, known)
		})
	}
}

// table reads a table of errors: code, HTTP status, text. Each code must be
// known and have that status.
func table(t *testing.T, text string, known map[string]code) map[int]bool {
	t.Helper()
	statuses := make(map[int]int)
	for _, c := range known {
		statuses[c.number] = c.status
	}
	documented := make(map[int]bool)
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \| (\d+) \|`).FindAllStringSubmatch(text, -1) {
		number, _ := strconv.Atoi(row[1])
		status, _ := strconv.Atoi(row[2])
		documented[number] = true
		if want, ok := statuses[number]; !ok {
			t.Errorf("code %d does not exist", number)
		} else if status != want {
			t.Errorf("code %d has status %d, the table says %d", number, want, status)
		}
	}
	if len(documented) == 0 {
		t.Error("the table is empty")
	}
	return documented
}

// A code is an errorCode and the HTTP status that goes with it.
type code struct{ number, status int }

// codes reads all codes by name from their source: the numbers from the
// constants, the statuses from the cases of method status.
func codes(t *testing.T) map[string]code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(drive.Root(), "sdk", "wire", "errors.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]code)
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Names) == 1 && len(v.Values) == 1 && strings.HasPrefix(v.Names[0].Name, "Code") {
			number, _ := strconv.Atoi(v.Values[0].(*ast.BasicLit).Value)
			known[v.Names[0].Name] = code{number, http.StatusInternalServerError}
		}
		return true
	})
	statuses := make(map[string]int) // of net/http, by name
	for status := range 600 {
		statuses["Status"+strings.ReplaceAll(http.StatusText(status), " ", "")] = status
	}
	cases := 0
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != "status" {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if c, ok := n.(*ast.CaseClause); ok {
				status := statuses[c.Body[0].(*ast.ReturnStmt).Results[0].(*ast.SelectorExpr).Sel.Name]
				for _, e := range c.List {
					name := e.(*ast.Ident).Name
					known[name] = code{known[name].number, status}
					cases++
				}
			}
			return true
		})
	}
	if cases == 0 {
		t.Fatal("found no codes with a status in sdk/wire/errors.go")
	}
	return known
}

// used returns the names of the codes that the files of a folder, but for its
// tests, take from package pkg.
func used(t *testing.T, folder, pkg string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(drive.Root(), folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(s.Sel.Name, "Code") && len(s.Sel.Name) > len("Code") {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
					names[s.Sel.Name] = true
				}
			}
			return true
		})
	}
	return names
}
