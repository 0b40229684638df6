package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// mount is one mount of one module and where it was written.
type mount struct {
	path, module string
	at           hcl.Range
}

// mountsOf gives m its default mount if it has none, and notes its mounts
// for the check across modules.
func (d *decoder) mountsOf(m *Module, b *hclsyntax.Block) {
	a := b.Body.Attributes["mounts"]
	if a == nil {
		m.Mounts = []string{"/mod/" + m.Name}
		if moduleName(m.Name) == "" { // else the name has its complaint
			d.mounts = append(d.mounts, mount{m.Mounts[0], m.Name, b.LabelRanges[0]})
		}
		return
	}
	if len(m.Mounts) == 0 {
		if t, ok := a.Expr.(*hclsyntax.TupleConsExpr); ok && len(t.Exprs) == 0 {
			d.complain(a.Expr.Range(), fmt.Sprintf("module %q: mounts", m.Name),
				fmt.Sprintf("is empty; write [\"/mod/%s\"], or enabled = false to switch the module off", m.Name))
		}
		return
	}
	for i, path := range m.Mounts {
		d.mounts = append(d.mounts, mount{path, m.Name, element(a.Expr, i)})
	}
}

// checkMounts looks at each mount and at each pair of them.
func (d *decoder) checkMounts() {
	var good []mount
	for _, m := range d.mounts {
		why := mountPath(m)
		for i := 0; i < len(good) && why == ""; i++ {
			why = clash(m, good[i])
		}
		if why != "" {
			d.complain(m.at, fmt.Sprintf("module %q: mounts %q", m.module, m.path), why)
			continue
		}
		good = append(good, m)
	}
}

// clash demands that m and the earlier mount g have no request in common.
func clash(m, g mount) string {
	switch {
	case m.path == g.path:
		return fmt.Sprintf("already taken by module %q at %s; choose another", g.module, position(g.at))
	case strings.HasPrefix(m.path, g.path+"/"):
		return fmt.Sprintf("lies within %q of module %q at %s; choose another", g.path, g.module, position(g.at))
	case strings.HasPrefix(g.path, m.path+"/"):
		return fmt.Sprintf("holds %q of module %q at %s; choose another", g.path, g.module, position(g.at))
	}
	return ""
}

// mountPath demands a clean path below /mod/.
func mountPath(m mount) string {
	example := "/mod/" + m.module
	if strings.Trim(m.path, "/") == "mod" {
		return fmt.Sprintf("not below /mod/; write for example %q", example)
	}
	if why := cleanPath(m.path, example, "/"+strings.Trim(m.path, "/")); why != "" {
		return why
	}
	switch {
	case !strings.HasPrefix(m.path, "/mod/"):
		return fmt.Sprintf("not below /mod/; write for example %q", example)
	case m.path == "/mod/v2":
		return fmt.Sprintf("is reserved for the paths of the v2 API; write for example %q", "/mod/v2/"+m.module)
	}
	return ""
}
