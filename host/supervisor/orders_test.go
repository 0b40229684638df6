package supervisor

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

// again applies the module's spec with a change.
func again(s *Supervisor, change func(*Spec)) {
	spec := s.module("mod").now.Load().spec
	change(&spec)
	s.Apply([]Spec{spec})
}

// settled waits until the module has done what it was told.
func settled(t *testing.T, s *Supervisor) Status {
	t.Helper()
	st, ok, err := s.Settle(t.Context(), "mod")
	if !ok || err != nil {
		t.Errorf("Settle = %v, %v", ok, err)
	}
	return st
}

// Not every change is a reason for a new process.
func TestOrders_OnlyWhatThePluginSeesNeedsANewProcess(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Spec)
		starts int
	}{
		{"where the config stands", func(s *Spec) { s.Config = &wirepb.ConfigBlock{Filename: "other", Line: 9} }, 1},
		{"limits", func(s *Spec) { s.Limits.Concurrency = 9 }, 1},
		{"restart", func(s *Spec) { s.RestartMax = 9; s.RestartWindow = time.Hour }, 1},
		{"drain timeout", func(s *Spec) { s.DrainTimeout = time.Hour }, 1},
		{"log level", func(s *Spec) { s.LogLevel = "trace" }, 1},
		{"overridden", func(s *Spec) { s.Overridden = true }, 1},
		{"config", func(s *Spec) { s.ConfigSum = "other" }, 2},
		{"mounts", func(s *Spec) { s.Mounts = []string{"/mod/other"} }, 2},
		{"args", func(s *Spec) { s.Args = []string{"x"} }, 2},
		{"env", func(s *Spec) { s.Env = []string{"A=b"} }, 2},
		{"command", func(s *Spec) { s.Path = "other" }, 2},
		{"sha256", func(s *Spec) { s.SHA256 = "other" }, 2},
		{"program built anew", func(s *Spec) { s.Program = "other" }, 2},
		{"privileges", func(s *Spec) { s.Privileges = []string{"keys"} }, 2},
		{"store", func(s *Spec) { s.Store = &wirepb.StoreConfig{Prefix: "/other"} }, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &memory{serve: hello}
			inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
				settled(t, s)
				again(s, c.change)
				st := settled(t, s)
				if m.starts() != c.starts || st.State != Ready {
					t.Errorf("%d starts, want %d; %+v", m.starts(), c.starts, st)
				}
				synctest.Wait()
				var want Spec
				c.change(&want)
				if got := m.last().level.Load(); want.LogLevel != "" && (got == nil || *got != want.LogLevel) {
					t.Errorf("the running process was told log level %v, want %q", got, want.LogLevel)
				}
			})
		})
	}
}

func TestOrders_RestartStartsBesideTheRunningProcess(t *testing.T) {
	m := &memory{serve: hello, startTakes: time.Second}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		settled(t, s)
		old := m.last()
		s.Restart(s.module("mod").now.Load().spec)
		synctest.Wait()
		begin(s, httptest.NewRequest("GET", "/", nil)).expect(t, 200, 0, "GET hello")
		settled(t, s)
		if m.starts() != 2 || m.last() == old {
			t.Errorf("%d starts, want 2", m.starts())
		}
		<-old.exited
	})
}

func TestOrders_RestartByHandEndsAFailureForGood(t *testing.T) {
	m := &memory{serve: hello, startErr: lastingf("no executable")}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		if st := settled(t, s); st.State != Failed {
			t.Fatalf("%+v", st)
		}
		again(s, func(*Spec) {})
		if st := settled(t, s); st.State != Failed || m.starts() != 1 {
			t.Errorf("%d starts after the same spec again, want 1; %+v", m.starts(), st)
		}
		m.startErr = nil
		s.Restart(s.module("mod").now.Load().spec)
		if st := settled(t, s); st.State != Ready || st.Reason != "" {
			t.Errorf("%+v", st)
		}
	})
}

// What a process does not see mends nothing, so it is no reason to try again.
func TestOrders_FailureForGoodOutlastsWhatAProcessDoesNotSee(t *testing.T) {
	m := &memory{serve: hello, startErr: lastingf("no executable")}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		settled(t, s)
		for _, change := range []func(*Spec){
			func(s *Spec) { s.LogLevel = "debug" },
			func(s *Spec) { s.Limits.Concurrency = 9 },
			func(s *Spec) { s.DrainTimeout = time.Hour },
		} {
			again(s, change)
			if st := settled(t, s); st.State != Failed || st.Reason != `module "mod": no executable` || m.starts() != 1 {
				t.Errorf("%d starts, want 1; %+v", m.starts(), st)
			}
		}
		again(s, func(s *Spec) { s.Enabled = false })
		settled(t, s)
		again(s, func(s *Spec) { s.Enabled = true })
		if settled(t, s); m.starts() != 2 {
			t.Errorf("%d starts after it was switched off and on, want 2", m.starts())
		}
		again(s, func(s *Spec) { s.Args = []string{"x"} })
		if settled(t, s); m.starts() != 3 {
			t.Errorf("%d starts after its config changed, want 3", m.starts())
		}
	})
}

// The default cut-off: the sixth crash within five minutes is the last.
func TestOrders_CrashLoopIsCutOff(t *testing.T) {
	m := &memory{serve: hello}
	inBubble(t, m, func(s *Spec) { s.RestartMax, s.RestartWindow = 5, 5*time.Minute }, func(t *testing.T, s *Supervisor) {
		settled(t, s)
		for i := range 20 { // well apart: that is no loop
			time.Sleep(time.Minute + time.Second)
			m.last().kill()
			if st := settled(t, s); st.State != Ready {
				t.Fatalf("crash %d, one a minute: %+v", i, st)
			}
		}
		time.Sleep(10 * time.Minute)
		for i := range 6 {
			if st := settled(t, s); st.State != Ready {
				t.Fatalf("after crash %d: %+v", i, st)
			}
			time.Sleep(2 * healthyTime)
			m.last().kill()
			synctest.Wait()
		}
		st := settled(t, s)
		want := `module "mod": ended: fake exit; that was more than 5 times within 5m0s, so it is not started again; mend it, then run "modhost module restart mod"`
		if st.State != Failed || st.Reason != want {
			t.Errorf("after crash 6: %s %s, want failed with\n%s", st.State, st.Reason, want)
		}
		starts := m.starts()
		time.Sleep(24 * time.Hour)
		if m.starts() != starts {
			t.Error("started again by itself")
		}
		begin(s, httptest.NewRequest("GET", "/", nil)).expect(t, 503, 0, "")

		again(s, func(s *Spec) { s.RestartMax = 6 })
		if st := settled(t, s); st.State != Ready {
			t.Errorf("with another restart.max: %+v", st)
		}
		again(s, func(s *Spec) { s.RestartMax = 5 })
		for range 6 {
			m.last().kill()
			settled(t, s)
			time.Sleep(2 * healthyTime)
		}
		if st := settled(t, s); st.State != Failed {
			t.Fatalf("%+v", st)
		}

		s.Restart(s.module("mod").now.Load().spec)
		if st := settled(t, s); st.State != Ready {
			t.Errorf("restarted by hand: %+v", st)
		}
		m.last().kill()
		if st := settled(t, s); st.State != Ready {
			t.Errorf("the crashes before the restart by hand count: %+v", st)
		}
	})
}

// A new process that does not come up leaves the old one serving; going back
// to what that was started with needs no process.
func TestOrders_FailedReplacementLeavesTheOldOneServing(t *testing.T) {
	m := &memory{serve: hello}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		settled(t, s)
		good := s.module("mod").now.Load().spec
		m.startErr = errors.New("no luck")
		again(s, func(s *Spec) { s.Args = []string{"bad"} })
		st := settled(t, s)
		want := `module "mod": the process with the settings before goes on, since the new one did not start: no luck`
		if st.State != Ready || st.PID != 1 || st.Reason != want {
			t.Errorf("%+v, want ready with %s", st, want)
		}
		begin(s, httptest.NewRequest("GET", "/", nil)).expect(t, 200, 0, "GET hello")
		again(s, func(s *Spec) { s.Limits.Concurrency = 1 })
		settled(t, s)
		starts := m.starts()
		s.Apply([]Spec{good})
		if st := settled(t, s); m.starts() != starts || st.State != Ready || st.Reason != "" {
			t.Errorf("%d starts after going back, want %d; %+v", m.starts(), starts, st)
		}
	})
}

// What a process does not see is no reason to start one that has failed before.
func TestOrders_WhatTheHostLooksAtStartsNothing(t *testing.T) {
	change := func(s *Spec) {
		s.LogLevel, s.Limits.Concurrency, s.DrainTimeout = "trace", s.Limits.Concurrency+1, time.Minute
	}
	t.Run("failed for good", func(t *testing.T) {
		m := &memory{serve: hello, startErr: lastingf("no executable")}
		inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
			settled(t, s)
			again(s, change)
			if st := settled(t, s); m.starts() != 1 || st.State != Failed || st.Reason != `module "mod": no executable` {
				t.Errorf("%d starts, want 1; %+v", m.starts(), st)
			}
		})
	})
	t.Run("its successor has failed", func(t *testing.T) {
		m := &memory{serve: hello}
		inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
			settled(t, s)
			m.startErr = errors.New("no luck")
			again(s, func(s *Spec) { s.Args = []string{"bad"} })
			before := settled(t, s)
			again(s, change)
			if st := settled(t, s); m.starts() != 2 || st.PID != 1 || st.Reason != before.Reason || before.Reason == "" {
				t.Errorf("%d starts, want 2; %+v", m.starts(), st)
			}
			synctest.Wait()
			if got := m.last().level.Load(); got == nil || *got != "trace" {
				t.Errorf("the running process was told log level %v, want trace", got)
			}
		})
	})
	t.Run("in backoff", func(t *testing.T) {
		m := &memory{serve: hello, startErr: errors.New("no luck")}
		inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
			before := settled(t, s)
			starts := m.starts()
			again(s, change)
			synctest.Wait()
			if st := s.Modules()[0]; m.starts() != starts || st.State != Backoff || st.Reason != before.Reason {
				t.Errorf("%d starts, want %d; %+v", m.starts(), starts, st)
			}
		})
	})
	t.Run("its program is another since a crash", func(t *testing.T) {
		m := &memory{serve: hello}
		inBubble(t, m, func(s *Spec) { s.Path, s.Program = "/dev/null", "older" }, func(t *testing.T, s *Supervisor) {
			settled(t, s)
			again(s, change)
			if st := settled(t, s); m.starts() != 1 || st.State != Ready {
				t.Errorf("%d starts, want 1; %+v", m.starts(), st)
			}
		})
	})
}

// What was tried last, in vain or not, is not tried again for an order that
// does not ask for it.
func TestOrders_WantedAppliedAgainTouchesNothing(t *testing.T) {
	m := &memory{serve: hello}
	path := filepath.Join(t.TempDir(), "program")
	build := func() {
		t.Helper()
		if err := os.WriteFile(path+".new", nil, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil { // another inode: another program
			t.Fatal(err)
		}
	}
	build()
	inBubble(t, m, func(s *Spec) { s.Path, s.Program = path, Fingerprint(path) }, func(t *testing.T, s *Supervisor) {
		nothing := func(what string) {
			t.Helper()
			before, starts := settled(t, s), m.starts()
			spec, ok := s.Wanted("mod")
			if spec.Program != Fingerprint(path) || !ok {
				t.Errorf("%s: wanted is %q, %v", what, spec.Program, ok)
			}
			s.Apply([]Spec{spec})
			if st := settled(t, s); m.starts() != starts || st.Reason != before.Reason {
				t.Errorf("%s: %d starts, want %d; %+v, was %+v", what, m.starts(), starts, st, before)
			}
		}
		nothing("started")
		build()
		m.last().kill()
		synctest.Wait()
		nothing("built anew before a crash")
		build()
		m.startErr = errors.New("no luck")
		again(s, func(s *Spec) { s.Program, s.Args = Fingerprint(path), []string{"x"} })
		if st := settled(t, s); st.Reason == "" {
			t.Fatalf("%+v", st)
		}
		nothing("replacement failed")
		if _, ok := s.Wanted("other"); ok {
			t.Error("Wanted knows an unknown module")
		}
	})
}

func TestOrders_DisabledAnswersAtOnceWhileItDrains(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	m := &memory{serve: func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-leave
	}}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		entered, leave = make(chan struct{}), make(chan struct{}) // the bubble's own
		settled(t, s)
		waiting := begin(s, httptest.NewRequest("GET", "/", nil))
		<-entered
		again(s, func(s *Spec) { s.Enabled = false })
		synctest.Wait()
		if st := s.Modules()[0]; st.State != Draining || st.Enabled {
			t.Errorf("%+v, want draining", st)
		}
		if d := m.last().drain.Load(); d == nil || d.Reason != wire.DrainStop || d.Why != `module "mod" was disabled` || d.Left != time.Second {
			t.Errorf("told %+v", d)
		}
		begin(s, httptest.NewRequest("GET", "/", nil)).expect(t, 404, 0, `{"errorCode":708,"message":"Module disabled","cause":"module \"mod\" is disabled; run \"modhost module enable mod\" or set enabled = true in its block","index":0}`+"\n")

		again(s, func(s *Spec) { s.Enabled = true }) // while the old one drains
		synctest.Wait()
		if st := s.Modules()[0]; st.State != Ready || m.starts() != 2 {
			t.Errorf("%d starts, %+v, want ready", m.starts(), st)
		}
		close(leave)
		waiting.expect(t, 200, 0, "")
		again(s, func(s *Spec) { s.Enabled = false })
		if st := settled(t, s); st.State != Disabled || st.PID != 0 {
			t.Errorf("%+v, want disabled", st)
		}
		if _, ok, err := s.Settle(t.Context(), "other"); ok || err != nil {
			t.Errorf("Settle of an unknown module = %v, %v", ok, err)
		}
	})
}

func TestOrders_SettleGivesUpWithItsContext(t *testing.T) {
	m := &memory{serve: hello, startTakes: time.Second}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if st, ok, err := s.Settle(ctx, "mod"); !ok || err != context.DeadlineExceeded || st.State != Starting {
			t.Errorf("Settle = %+v, %v, %v", st, ok, err)
		}
	})
}

// A request for a mount that only the next process knows of waits for it, one
// for a mount that is gone does not.
func TestOrders_NewMountWaitsForItsProcess(t *testing.T) {
	m := &memory{serve: hello}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		settled(t, s)
		m.startTakes = time.Second
		again(s, func(s *Spec) { s.Mounts = []string{"/mod/new"} })
		synctest.Wait()
		fresh := beginAt(s, "/mod/new", httptest.NewRequest("GET", "/", nil))
		beginAt(s, "/mod/mod", httptest.NewRequest("GET", "/", nil)).expect(t, 200, 0, "GET hello")
		fresh.expect(t, 200, time.Second, "GET hello")
		settled(t, s)
		beginAt(s, "/mod/mod", httptest.NewRequest("GET", "/", nil)).expect(t, 404, 0, "")
	})
}

// So does one that comes before the order was looked at.
func TestOrders_NewMountWaitsFromTheOrderOn(t *testing.T) {
	m := &memory{serve: hello}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		settled(t, s)
		m.startTakes = time.Second
		again(s, func(s *Spec) { s.Mounts = []string{"/mod/new"} })
		fresh := beginAt(s, "/mod/new", httptest.NewRequest("GET", "/", nil))
		fresh.expect(t, 200, time.Second, "GET hello")
	})
}

func TestOrders_RemovedModuleSaysSo(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	m := &memory{serve: func(http.ResponseWriter, *http.Request) { close(entered); <-leave }}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		entered, leave = make(chan struct{}), make(chan struct{})
		settled(t, s)
		waiting := begin(s, httptest.NewRequest("GET", "/", nil))
		<-entered
		s.Apply(nil)
		synctest.Wait()
		if d := m.last().drain.Load(); d == nil || d.Why != `module "mod" was removed from the config` {
			t.Errorf("told %+v", d)
		}
		begin(s, httptest.NewRequest("GET", "/", nil)).expect(t, 404, 0, "")
		close(leave)
		waiting.expect(t, 200, 0, "")
	})
}

// Orders that come when a module has ended change nothing, and are settled.
func TestOrders_NothingIsWaitedForAfterTheEnd(t *testing.T) {
	m := &memory{serve: hello}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		settled(t, s)
		s.Drain()
		settled(t, s)
		s.Restart(s.module("mod").now.Load().spec)
		s.Drain()
		if st := s.Modules()[0]; st.Reason != "the host is ending" {
			t.Errorf("%+v", st)
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if st, ok, err := s.Settle(ctx, "mod"); !ok || err != nil || st.State != Disabled || time.Since(began) != 0 {
			t.Errorf("Settle = %+v, %v, %v after %v", st, ok, err, time.Since(began))
		}
	})
}

// With little time to drain there is none to find out that a process hangs:
// one that is slow with its pong is still closed in order.
func TestOrders_ShortDrainEndsInOrder(t *testing.T) {
	for _, drain := range []time.Duration{0, 100 * time.Millisecond, time.Second} {
		entered := make(chan struct{})
		m := &memory{serve: func(_ http.ResponseWriter, r *http.Request) { close(entered); <-r.Context().Done() }}
		inBubble(t, m, func(s *Spec) { s.DrainTimeout = drain }, func(t *testing.T, s *Supervisor) {
			entered = make(chan struct{}) // the bubble's own
			settled(t, s)
			begin(s, httptest.NewRequest("GET", "/", nil))
			<-entered
			m.mute.Store(true)
			began := time.Now()
			again(s, func(s *Spec) { s.Enabled = false })
			settled(t, s)
			if took := time.Since(began); !m.last().closed.Load() || took != drain {
				t.Errorf("drain timeout %s: closed in order %v, after %s", drain, m.last().closed.Load(), took)
			}
		})
	}
}
