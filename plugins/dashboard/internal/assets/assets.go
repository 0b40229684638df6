// Package assets serves the page and its files. They are what stands in the
// repository: nothing is built, only compressed. A file's address has the hash
// of all files in it, so that browsers may keep it for ever, and a page never
// runs with the files of another version.
package assets

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/etcd-modules/modhost/sdk"
)

// Files are one version of the page and its files. Safe for concurrent use.
type Files struct {
	version string
	page    *file
	policy  string // Content-Security-Policy
	static  map[string]*file
}

// A file is compressed when it is first asked for.
type file struct {
	kind  string
	plain []byte
	once  sync.Once
	small []byte
}

// kinds are the media types, by suffix. What is not here is not served.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".mjs":  "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".json": "application/json",
	".txt":  "text/plain; charset=utf-8",
}

// inline finds the contents of scripts within the page: the import map.
var inline = regexp.MustCompile(`(?s)<script[^>]*type="importmap"[^>]*>(.*?)</script>`)

// Load reads index.html and what is below static in ui. {{static}} in the page
// stands for where the files are.
func Load(ui fs.FS) (*Files, error) {
	f := &Files{static: make(map[string]*file)}
	sum := sha256.New()
	err := fs.WalkDir(ui, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		kind, ok := kinds[path.Ext(name)]
		if !ok {
			return fmt.Errorf("%s: no media type is known for it", name)
		}
		text, err := fs.ReadFile(ui, name)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n", name, len(text))
		sum.Write(text)
		f.static[strings.TrimPrefix(name, "static/")] = &file{kind: kind, plain: text}
		return nil
	})
	if err != nil {
		return nil, err
	}
	page, err := fs.ReadFile(ui, "index.html")
	if err != nil {
		return nil, err
	}
	sum.Write(page)
	f.version = hex.EncodeToString(sum.Sum(nil))[:16]
	page = bytes.ReplaceAll(page, []byte("{{static}}"), []byte("static/"+f.version))
	f.page = &file{kind: kinds[".html"], plain: page}
	var hashes string
	for _, m := range inline.FindAllSubmatch(page, -1) {
		hash := sha256.Sum256(m[1])
		hashes += " 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
	}
	f.policy = "default-src 'none'; script-src 'self'" + hashes + "; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; worker-src 'self'; " +
		"base-uri 'self'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types modhost"
	return f, nil
}

// Version names these files.
func (f *Files) Version() string { return f.version }

// Page answers with the page, which is never kept.
func (f *Files) Page(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", f.policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	f.page.serve(w, r)
}

// Static answers with the file of that name below static, version included.
// Which files there are is no secret.
func (f *Files) Static(w http.ResponseWriter, r *http.Request, name string) {
	version, name, _ := strings.Cut(name, "/")
	file := f.static[name]
	if file == nil || version != f.version {
		sdk.WriteError(w, sdk.NewError(sdk.CodeNoSuchRoute, "no such file in this version of the dashboard; load the page anew"))
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	// A worker is bound by the policy of its own file.
	w.Header().Set("Content-Security-Policy", f.policy)
	file.serve(w, r)
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Add("Vary", "Accept-Encoding")
	body := f.plain
	if acceptsGzip(r) {
		f.once.Do(f.compress)
		body = f.small
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		w.Write(body) //nolint:errcheck // the client is gone, nobody left to tell
	}
}

func (f *file) compress() {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil { // the level is a constant
		panic(err)
	}
	z.Write(f.plain) //nolint:errcheck // into memory
	z.Close()        //nolint:errcheck
	f.small = b.Bytes()
}

// acceptsGzip reads Accept-Encoding as far as browsers and curl write it.
func acceptsGzip(r *http.Request) bool {
	for _, line := range r.Header.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(line, ",") {
			coding, params, _ := strings.Cut(part, ";")
			if strings.TrimSpace(coding) == "gzip" && strings.ReplaceAll(params, " ", "") != "q=0" {
				return true
			}
		}
	}
	return false
}
