package supervisor

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// crowded runs a story with n modules, named by their numbers, whose starts take
// so long, on a machine on which two may be under way.
func crowded(t *testing.T, n int, takes time.Duration, story func(t *testing.T, m *memory, s *Supervisor)) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{startTakes: takes, serve: hello}
		s := newSupervisor(hclog.NewNullLogger(), nil, nil, newForker())
		s.launch = make(gate, 2).before(m.launch)
		var specs []Spec
		for i := range n {
			specs = append(specs, Spec{Name: fmt.Sprint(i), Enabled: true})
		}
		s.Apply(specs)
		story(t, m, s)
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// The last of many modules is ready when all have taken their time, and none had
// less of it for the others.
//
// These stories sleep on the clock of their bubble, which takes no time.
func TestGate_ManyModulesStartOneAfterTheOther(t *testing.T) {
	crowded(t, 50, time.Second, func(t *testing.T, m *memory, s *Supervisor) {
		for n := 0; n < 50; n += 2 {
			synctest.Wait()
			if got := m.starts(); got != n+2 {
				t.Fatalf("%d starts when %d modules should be ready", got, n)
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		for _, st := range s.Modules() {
			if st.State != Ready || st.Restarts != 0 {
				t.Errorf("%+v, want it ready at the first try", st)
			}
		}
	})
}

// Plugins that hang at their start keep the others waiting for a moment only.
func TestGate_HangingStartsAreLeftBehind(t *testing.T) {
	crowded(t, 4, time.Hour, func(t *testing.T, m *memory, s *Supervisor) {
		synctest.Wait()
		if got := m.starts(); got != 2 {
			t.Errorf("%d starts at first, want 2", got)
		}
		time.Sleep(gateTime)
		synctest.Wait()
		if got := m.starts(); got != 4 {
			t.Errorf("%d starts after %v, want 4", got, gateTime)
		}
	})
}

// A module that has crashed starts at once, whatever else is starting.
func TestGate_CrashedModuleDoesNotWait(t *testing.T) {
	crowded(t, 1, 0, func(t *testing.T, m *memory, s *Supervisor) {
		synctest.Wait()
		time.Sleep(2 * healthyTime)
		first := m.last()
		m.startTakes = time.Hour
		s.Apply([]Spec{{Name: "0", Enabled: true}, {Name: "1", Enabled: true}, {Name: "2", Enabled: true}, {Name: "3", Enabled: true}})
		synctest.Wait()
		if got := m.starts(); got != 3 {
			t.Fatalf("%d starts, want 3: one waits", got)
		}
		m.startTakes = 0
		first.kill()
		synctest.Wait()
		if st := s.Modules()[0]; st.State != Ready || st.Restarts != 1 {
			t.Errorf("%+v, want it ready again at once", st)
		}
	})
}

// A start that waits at the gate can be given up.
func TestGate_WaitingStartIsGivenUp(t *testing.T) {
	crowded(t, 3, time.Hour, func(t *testing.T, m *memory, s *Supervisor) {
		synctest.Wait()
		waits := map[string]bool{"0": true, "1": true, "2": true}
		for _, a := range m.started() {
			delete(waits, a.spec.Name)
		}
		var specs []Spec
		for _, st := range s.Modules() {
			specs = append(specs, Spec{Name: st.Name, Enabled: !waits[st.Name]})
		}
		s.Apply(specs)
		synctest.Wait()
		for _, st := range s.Modules() {
			if waits[st.Name] && st.State != Disabled || !waits[st.Name] && st.State != Starting {
				t.Errorf("%+v, want only %v disabled", st, waits)
			}
		}
		if got := m.starts(); got != 2 || len(waits) != 1 {
			t.Errorf("%d starts, want 2", got)
		}
	})
}
