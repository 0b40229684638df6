package supervisor

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Stories in a bubble sleep on its clock, which takes no time.

func TestModule_MutePluginIsReplaced(t *testing.T) {
	m := &memory{serve: hello}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		time.Sleep(time.Minute)
		if m.starts() != 1 {
			t.Fatalf("%d starts of a healthy module, want 1", m.starts())
		}
		m.mute.Store(true)
		time.Sleep((missedMost + 1) * pingEvery)
		m.mute.Store(false)
		synctest.Wait()
		if st := s.Modules()[0]; m.starts() != 2 || st.State != Ready || st.Restarts != 1 {
			t.Errorf("%d starts, want 2; %+v", m.starts(), st)
		}
	})
}

func TestModule_OneLatePongIsForgiven(t *testing.T) {
	m := &memory{serve: hello}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		for range 5 {
			m.mute.Store(true)
			time.Sleep(2 * pingEvery)
			m.mute.Store(false)
			time.Sleep(2 * pingEvery)
		}
		if m.starts() != 1 {
			t.Errorf("%d starts, want 1", m.starts())
		}
	})
}

func TestModule_CrashesBackOffAndFail(t *testing.T) {
	m := &memory{startErr: errors.New("no luck")}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		synctest.Wait()
		st := s.Modules()[0]
		if st.State != Backoff || m.starts() != 2 || st.Reason != `module "mod": no luck` {
			t.Errorf("after the first restart: %d starts, %+v", m.starts(), st)
		}
		time.Sleep(10 * time.Second)
		st = s.Modules()[0]
		if st.State != Failed || m.starts() != 6 || st.Restarts != 5 {
			t.Errorf("in the end: %d starts, %+v", m.starts(), st)
		}
		time.Sleep(time.Hour)
		if m.starts() != 6 {
			t.Errorf("a failed module was started again")
		}

		m.startErr = nil
		s.Apply([]Spec{{Name: "mod", Enabled: true, Args: []string{"changed"}}})
		synctest.Wait()
		if st = s.Modules()[0]; st.State != Ready || st.Reason != "" {
			t.Errorf("after a change: %+v", st)
		}
	})
}

func TestModule_EqualSpecIsUntouched(t *testing.T) {
	m := &memory{serve: hello}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		synctest.Wait()
		for range 3 {
			s.Apply([]Spec{s.module("mod").now.Load().spec})
			synctest.Wait()
		}
		if m.starts() != 1 {
			t.Errorf("%d starts, want 1", m.starts())
		}
	})
}

func TestModule_LateOrdersWinOverAStartUnderWay(t *testing.T) {
	m := &memory{startTakes: time.Second, serve: hello}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		synctest.Wait()
		s.Apply([]Spec{{Name: "mod", Enabled: true, Args: []string{"second"}}})
		synctest.Wait()
		s.Apply([]Spec{{Name: "mod", Enabled: true, Args: []string{"third"}}})
		time.Sleep(time.Second)
		synctest.Wait()
		st := s.Modules()[0]
		if v := s.module("mod").now.Load(); st.State != Ready || v.spec.Args[0] != "third" {
			t.Errorf("%+v with %v", st, v.spec.Args)
		}
		if got := m.started()[m.starts()-1].spec.Args[0]; got != "third" {
			t.Errorf("last start is of %q", got)
		}
	})
}

func TestModule_RemovedFromTheConfig(t *testing.T) {
	m := &memory{serve: hello}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		synctest.Wait()
		p := m.last()
		s.Apply(nil)
		synctest.Wait()
		select {
		case <-p.exited:
		default:
			t.Errorf("its process still runs")
		}
		if len(s.Modules()) != 0 {
			t.Errorf("Modules() = %v", s.Modules())
		}
	})
}

func TestModule_TellsTheEndedProcesses(t *testing.T) {
	m := &memory{serve: hello}
	inBubble(t, m, func(s *Spec) { s.RestartMax = 0 }, func(t *testing.T, s *Supervisor) {
		for i := range 40 {
			time.Sleep(2 * healthyTime)
			all := m.started()
			told := all[i].ended
			if want := min(i, rememberedEnds); len(told) != want || want > 0 && told[want-1] != all[i-1].id {
				t.Fatalf("start %d was told %v", i, told)
			}
			m.last().kill()
			synctest.Wait()
		}
	})
}
