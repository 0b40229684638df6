package assets

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

// ui is the folder that the plugin embeds.
var ui = os.DirFS("../../ui")

func load(t *testing.T) *Files {
	t.Helper()
	f, err := Load(ui)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func page(t *testing.T, f *Files) (text string, header http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	f.Page(w, httptest.NewRequest("GET", "/", nil))
	return w.Body.String(), w.Header()
}

func static(f *Files, name string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/static/"+name, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.Static(w, r, name)
	return w
}

// The policy allows the page's import map by its hash, and nothing else that
// stands in a page.
func TestFiles_Policy(t *testing.T) {
	text, header := page(t, load(t))
	policy := header.Get("Content-Security-Policy")
	m := regexp.MustCompile(`(?s)<script type="importmap">(.*?)</script>`).FindStringSubmatch(text)
	if m == nil {
		t.Fatal("the page has no import map")
	}
	var imports struct{ Imports map[string]string }
	if err := json.Unmarshal([]byte(m[1]), &imports); err != nil || len(imports.Imports) == 0 {
		t.Errorf("import map: %v, %v", err, imports)
	}
	sum := sha256.Sum256([]byte(m[1]))
	if want := "script-src 'self' 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"; !strings.Contains(policy, want) {
		t.Errorf("policy %q has no %q", policy, want)
	}
	for _, want := range []string{"default-src 'none'", "style-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q has no %q", policy, want)
		}
	}
	for _, not := range []string{"unsafe", "http:", "https:", "*", "data:"} {
		if strings.Contains(policy, not) {
			t.Errorf("policy %q has %q", policy, not)
		}
	}
	if strings.Contains(text, "{{") {
		t.Error("the page has an unfilled place")
	}
}

// Every file that the page or another file names is there.
func TestFiles_ReferencesLeadSomewhere(t *testing.T) {
	f := load(t)
	text, _ := page(t, f)
	named := 0
	check := func(from, name string) {
		t.Helper()
		named++
		if f.static[name] == nil {
			t.Errorf("%s names %s, which is not there", from, name)
		}
	}
	for _, m := range regexp.MustCompile(`static/`+f.version+`/([^"]+)"`).FindAllStringSubmatch(text, -1) {
		check("index.html", m[1])
	}
	imports := regexp.MustCompile(`(?:from|import)\s*\(?\s*"(\.[^"]+)"`)
	sheets := regexp.MustCompile(`export const css = "([^"]+)"`)
	for name, file := range f.static {
		if strings.HasPrefix(name, "vendor/") || path.Ext(name) != ".js" {
			continue
		}
		for _, m := range imports.FindAllStringSubmatch(string(file.plain), -1) {
			check(name, path.Join(path.Dir(name), m[1]))
		}
		for _, m := range sheets.FindAllStringSubmatch(string(file.plain), -1) {
			check(name, m[1])
		}
	}
	if named < 20 {
		t.Errorf("only %d references were found; the patterns no longer fit", named)
	}
}

// Sources have no way around the escaping of texts, and ask nobody else.
func TestFiles_NoMarkupFromText(t *testing.T) {
	f := load(t)
	for name, file := range f.static {
		if strings.HasPrefix(name, "vendor/") || path.Ext(name) != ".js" {
			continue
		}
		for _, not := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "dangerouslySetInnerHTML", "document.write", "eval(", "new Function", "http://", "https://"} {
			if i := strings.Index(string(file.plain), not); i >= 0 {
				t.Errorf("%s: has %q", name, file.plain[i:min(i+60, len(file.plain))])
			}
		}
	}
}

func TestFiles_Static(t *testing.T) {
	f := load(t)
	w := static(f, f.version+"/vendor/preact.mjs", "Accept-Encoding", "br, gzip;q=0.8")
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" || w.Header().Get("Content-Encoding") != "gzip" ||
		!strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Vary") != "Accept-Encoding" {
		t.Errorf("answer = %d %v", w.Code, w.Header())
	}
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	small, err := io.ReadAll(z)
	plain := static(f, f.version+"/vendor/preact.mjs").Body.Bytes()
	want, _ := fs.ReadFile(ui, "static/vendor/preact.mjs")
	if err != nil || string(small) != string(want) || string(plain) != string(want) {
		t.Error("the file came through changed")
	}
	for _, name := range []string{"other/app.js", f.version + "/nothing.js", f.version + "/../index.html", "", f.version} {
		if w := static(f, name); w.Code != 404 || w.Header().Get("Cache-Control") != "" {
			t.Errorf("%q: answer = %d %v", name, w.Code, w.Header())
		}
	}
	if w := static(f, f.version+"/app.js", "Accept-Encoding", "gzip; q=0, br"); w.Header().Get("Content-Encoding") != "" {
		t.Error("compressed for who does not want it")
	}
}

// Another content is another version; a file of no known kind is refused.
func TestLoad(t *testing.T) {
	files := fstest.MapFS{"index.html": {Data: []byte("{{static}}")}, "static/a.js": {Data: []byte("1")}}
	a, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []string{"index.html", "static/a.js"} {
		was := files[change]
		files[change] = &fstest.MapFile{Data: append([]byte("x"), was.Data...)}
		if b, err := Load(files); err != nil || b.Version() == a.Version() {
			t.Errorf("%s changed: version %q stays, %v", change, a.Version(), err)
		}
		files[change] = was
	}
	files["static/a.exe"] = &fstest.MapFile{}
	if _, err := Load(files); err == nil || !strings.Contains(err.Error(), "static/a.exe") {
		t.Errorf("Load = %v", err)
	}
}

// A part is a package that a vendored file is made of.
type part struct{ Name, Version, Licence, Integrity string }

// manifest is vendor/manifest.json.
type manifest struct {
	Files, Test map[string]struct {
		SHA256 string
		Of     []part
	}
}

// The vendored files are those of the manifest, made of what the lock file
// pins, with licences that allow it and whose texts are there.
func TestVendor(t *testing.T) {
	var m manifest
	decode(t, "static/vendor/manifest.json", &m)
	var lock struct {
		Packages map[string]struct{ Version, License, Integrity string }
	}
	decode(t, "bundle/package-lock.json", &lock)
	licences, err := fs.ReadFile(ui, "static/vendor/LICENCES.txt")
	if err != nil {
		t.Fatal(err)
	}
	check := func(where fs.FS, dir, name, sum string, of []part) {
		t.Helper()
		text, err := fs.ReadFile(where, dir+name)
		if err != nil || fmt.Sprintf("%x", sha256.Sum256(text)) != sum {
			t.Errorf("%s is not what the manifest says (%v)", name, err)
		}
		if len(of) == 0 {
			t.Errorf("%s: made of nothing", name)
		}
		for _, p := range of {
			pinned := lock.Packages["node_modules/"+p.Name]
			if p.Version != pinned.Version || p.Integrity != pinned.Integrity || p.Licence != pinned.License || p.Integrity == "" {
				t.Errorf("%s: the manifest has %+v, the lock file %+v", name, p, pinned)
			}
			switch p.Licence {
			case "MIT", "Apache-2.0", "ISC", "MPL-2.0":
			default:
				t.Errorf("%s: licence of %s is %q", name, p.Name, p.Licence)
			}
			if head := p.Name + "\n" + strings.Repeat("=", len(p.Name)) + "\n"; !strings.Contains("\n"+string(licences), "\n"+head) {
				t.Errorf("LICENCES.txt has nothing of %s", p.Name)
			}
		}
	}
	for name, f := range m.Files {
		check(ui, "static/vendor/", name, f.SHA256, f.Of)
	}
	for name, f := range m.Test {
		check(os.DirFS("../../../../integration/browser/testdata"), "", name, f.SHA256, f.Of)
	}
	entries, err := fs.ReadDir(ui, "static/vendor")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := m.Files[e.Name()]; !ok && e.Name() != "manifest.json" && e.Name() != "LICENCES.txt" {
			t.Errorf("vendor/%s is not in the manifest", e.Name())
		}
	}
}

func decode(t *testing.T, name string, to any) {
	t.Helper()
	text, err := fs.ReadFile(ui, name)
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}
