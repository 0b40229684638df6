package supervisor

import (
	"context"
	"runtime"
	"sync"

	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// A Finding is what a module's own plugin has to say about its config.
type Finding struct {
	Module      string
	Diagnostics []*wirepb.Diagnostic // warnings too; positions are those of the user's file

	// Err says why the plugin could not be asked: no executable, no plugin, a
	// wrong sum and so on. It reads "what: why; remedy" without the module.
	Err error
}

// checker asks a plugin about the config in a Spec; see [pluginLauncher.check].
type checker func(ctx context.Context, spec Spec) ([]*wirepb.Diagnostic, error)

// Check has the plugin of each Spec judge its config, in a process that is
// started for that alone and has ended when Check returns. Nothing of what runs
// is touched. The findings are in the order of specs.
func (s *Supervisor) Check(ctx context.Context, specs []Spec) []Finding {
	findings := make([]Finding, len(specs))
	// More at a time than there are processors only makes each slower, up to
	// where it counts as hanging.
	slots := make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, spec := range specs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			diags, err := s.check(ctx, spec)
			findings[i] = Finding{spec.Name, diags, err}
		})
	}
	wg.Wait()
	return findings
}
