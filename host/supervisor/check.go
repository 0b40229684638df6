package supervisor

import (
	"context"
	"errors"
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
// is touched. The findings are in the order of specs. After Drain or Close nobody
// is asked any more, which the findings say.
func (s *Supervisor) Check(ctx context.Context, specs []Spec) []Finding {
	findings := make([]Finding, len(specs))
	if !s.begin() {
		for i, spec := range specs {
			findings[i] = Finding{Module: spec.Name, Err: errEnding}
		}
		return findings
	}
	defer s.running.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.checking, cancel)()
	// Not the gate of the modules: nobody waits for one of these to serve.
	g := newGate()
	var wg sync.WaitGroup
	for i, spec := range specs {
		wg.Go(func() {
			leave, err := g.enter(ctx)
			var diags []*wirepb.Diagnostic
			if err == nil {
				defer leave()
				diags, err = s.check(ctx, spec)
			}
			if err != nil && s.checking.Err() != nil {
				err = errEnding
			}
			findings[i] = Finding{spec.Name, diags, err}
		})
	}
	wg.Wait()
	return findings
}

var errEnding = errors.New("can't be asked: the host is ending; try again when it runs")

// begin lets Close wait for what starts processes beside the modules. False if
// it is too late for that; else s.running.Done must follow.
func (s *Supervisor) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ending {
		s.running.Add(1)
	}
	return !s.ending
}
