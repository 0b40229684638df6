package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxFile bounds a config file, in bytes: a wrong path (a disk image, a log)
// is not read whole.
const maxFile = 1 << 20

// Load reads the file at path, or all *.hcl files of the folder at path as if
// they were one. The Config is nil if the diagnostics hold an error. They are
// sorted by file and position; those about a path as a whole have no Subject.
func Load(path string) (*Config, hcl.Diagnostics) {
	cfg, diags := Examine(path)
	if diags.HasErrors() {
		return nil, diags
	}
	return cfg, diags
}

// Examine is Load for who wants to know all that is wrong: beside errors the
// Config is what could be made of the rest, for the plugins of those modules that
// are Sound to look at. It must not be run. It is nil if a file can't be read or
// parsed.
func Examine(path string) (*Config, hcl.Diagnostics) {
	names, err := files(path)
	if err != nil {
		return nil, hcl.Diagnostics{{
			Severity: hcl.DiagError,
			Summary:  fmt.Sprintf("config %q", path),
			Detail:   err.Error(),
		}}
	}
	d := newDecoder()
	d.files(names)
	d.check()
	Sort(d.diags)
	if d.broken {
		return nil, d.diags
	}
	return d.cfg, d.diags
}

// AdminOf returns where a host with the config at path takes orders. It makes
// the best of a config that is broken: that is when one has to ask the host what
// still runs.
func AdminOf(path string) Admin {
	d := newDecoder()
	d.lenient = true
	if names, err := files(path); err == nil {
		d.files(names)
	}
	d.checkAdmin()
	return d.cfg.Admin
}

// files reads and decodes all of names.
func (d *decoder) files(names []string) {
	for _, name := range names {
		src, err := read(name)
		if err != nil {
			d.diags = append(d.diags, &hcl.Diagnostic{
				Severity: hcl.DiagError,
				Summary:  fmt.Sprintf("config %q", name),
				Detail:   err.Error(),
			})
			d.broken = true
			continue
		}
		d.parse(name, src)
	}
}

// parse adds the content of one file.
func (d *decoder) parse(name string, src []byte) {
	diags := nesting(src, name)
	var file *hcl.File
	if diags == nil {
		file, diags = hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	}
	d.diags = append(d.diags, diags...)
	if diags.HasErrors() && (file == nil || !d.lenient) {
		// What the parser kept of a broken file would give complaints
		// that vanish when the break is mended.
		d.broken = true
		return
	}
	d.src = src
	d.top.decode(d, file.Body.(*hclsyntax.Body))
}

// files returns the names of the files that path stands for, sorted.
func files(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, explain(err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, explain(err)
	}
	var names []string
	for _, e := range entries {
		if n := e.Name(); !e.IsDir() && strings.HasSuffix(n, ".hcl") && !strings.HasPrefix(n, ".") {
			names = append(names, filepath.Join(path, n))
		}
	}
	if len(names) == 0 {
		return nil, errors.New("the folder holds no *.hcl file; name another folder or a file")
	}
	return names, nil
}

// read returns the content of a file of at most maxFile bytes.
func read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, explain(err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, explain(err)
	}
	if len(src) > maxFile {
		return nil, fmt.Errorf("longer than %d MiB, which no config is; name the right file", maxFile>>20)
	}
	return src, nil
}

// explain turns an error of the file system into "why; remedy".
func explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("no such file or folder; check the path")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("no permission to read it; change its mode or the user")
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("%w; check the path", err)
}

// Sort orders diagnostics by file and position, those without one first.
func Sort(diags hcl.Diagnostics) {
	slices.SortStableFunc(diags, func(a, b *hcl.Diagnostic) int {
		s, t := a.Subject, b.Subject
		if s == nil || t == nil {
			return cmp.Compare(placed(s), placed(t))
		}
		return cmp.Or(cmp.Compare(s.Filename, t.Filename),
			cmp.Compare(s.Start.Line, t.Start.Line), cmp.Compare(s.Start.Column, t.Start.Column))
	})
}

// placed is 0 for no position, else 1.
func placed(r *hcl.Range) int {
	if r == nil {
		return 0
	}
	return 1
}
