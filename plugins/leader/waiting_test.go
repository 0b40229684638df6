package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/sdktest"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// The second candidate hangs until the first one's term ends, by its TTL or by
// DELETE, and its own term begins there.
func TestLeader_SecondCandidateHangs(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(t *testing.T, m *sdktest.Module)
		took time.Duration
	}{
		"until the TTL is over": {func(*testing.T, *sdktest.Module) {}, time.Minute},
		"until the leader is withdrawn": {func(t *testing.T, m *sdktest.Module) {
			time.Sleep(20 * time.Second)
			m.Do("DELETE", "/a?name=foo").Expect(t, 200, "")
		}, 20 * time.Second},
		"until a renewed TTL is over": {func(t *testing.T, m *sdktest.Module) {
			time.Sleep(50 * time.Second)
			m.Do("PUT", "/a?ttl=60&name=foo").Index(t)
		}, 110 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *sdktest.Module) {
				first := m.Do("PUT", "/a?ttl=60&name=foo").Index(t)
				second := m.Begin("PUT", "/a?ttl=30&name=bar")
				tt.end(t, m)
				r := second.End()
				if r.Index(t) <= first || r.Took != tt.took {
					t.Errorf("second candidate: %v, want an index above %d after %v", r, first, tt.took)
				}
				if got, want := r.Header.Get("X-Leader-Valid-For"), fmt.Sprintf("%.3f", tt.took.Seconds()+29.87); got != want {
					t.Errorf("X-Leader-Valid-For %q, want %q: 29.87 s from now", got, want)
				}
				m.Do("GET", "/a").Expect(t, 200, "bar")
				m.Do("DELETE", "/a?name=foo").Expect(t, 404, "100")
			})
		})
	}
}

// GET names the leader until its TTL is over and not a moment longer, whoever
// waits.
func TestLeader_TermEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, m *sdktest.Module) {
		m.Do("PUT", "/a?ttl=60&name=foo").Index(t)
		time.Sleep(30 * time.Second)
		again := m.Do("PUT", "/a?ttl=60&name=foo")
		again.Index(t)
		if again.Took != 0 {
			t.Errorf("repeat by the leader: %v, want it at once", again)
		}
		time.Sleep(time.Minute - time.Millisecond)
		m.Do("GET", "/a").Expect(t, 200, "foo")
		time.Sleep(time.Millisecond)
		m.Do("GET", "/a").Expect(t, 200, "")
		m.Do("GET", "/a?field=index").Expect(t, 200, "")
		m.Do("PUT", "/a?ttl=60&name=bar&timeout=0").Index(t)
	})
}

// A leader's repeat renews at once with the same index, also while others wait.
func TestLeader_RepeatRenews(t *testing.T) {
	inBubble(t, func(t *testing.T, m *sdktest.Module) {
		s := setStage(t, m)
		for range 10 {
			r := m.Do("PUT", "/led?ttl=60&name=foo")
			if r.Index(t) != s.leader || r.Took != 0 || r.Header.Get("X-Leader-Valid-For") != full {
				t.Errorf("repeat: %v, %v, want %d at once", r, r.Header, s.leader)
			}
			time.Sleep(50 * time.Second)
		}
		if !s.waiting.Waits() {
			t.Fatalf("candidate: %v, want it to wait", s.waiting.End())
		}
		if r := s.waiting.End(); r.Index(t) != s.candidate || r.Took != 10*time.Second+9*50*time.Second+time.Minute {
			t.Errorf("candidate: %v, want %d when the last renewal has ended", r, s.candidate)
		}
	})
}

// All sessions of one name are told the same index at the same moment.
func TestLeader_SessionsAreToldTogether(t *testing.T) {
	inBubble(t, func(t *testing.T, m *sdktest.Module) {
		m.Do("PUT", "/a?ttl=60&name=foo").Index(t)
		var same []*sdktest.Call
		for range 5 {
			same = append(same, m.Begin("PUT", "/a?ttl=60&name=bar"))
			time.Sleep(time.Second)
		}
		other := m.Begin("PUT", "/a?ttl=60&name=baz")
		entries(t, m, 3)
		same[0].HangUp() // who was first of them
		synctest.Wait()
		entries(t, m, 3)
		m.Do("DELETE", "/a?name=foo").Expect(t, 200, "")
		index := same[1].End().Index(t)
		for i, c := range same[2:] {
			if r := c.End(); r.Index(t) != index || r.Took != time.Duration(3-i)*time.Second {
				t.Errorf("session %d: %v, want index %d at the same moment", i+2, r, index)
			}
		}
		if !other.Waits() {
			t.Errorf("two names lead at once: %v", other.End())
		}
		m.Do("DELETE", "/a?name=bar")
		if r := other.End(); r.Index(t) <= index {
			t.Errorf("next leader: %v, want an index above %d", r, index)
		}
	})
}

// A candidate that hung up never leads.
func TestLeader_CandidateHangsUp(t *testing.T) {
	inBubble(t, func(t *testing.T, m *sdktest.Module) {
		m.Do("PUT", "/a?ttl=60&name=foo").Index(t)
		hungUp := m.Begin("PUT", "/a?ttl=60&name=bar")
		behind := m.Begin("PUT", "/a?ttl=60&name=baz")
		hungUp.HangUp()
		synctest.Wait() // not even a second
		entries(t, m, 2)
		m.Do("DELETE", "/a?name=foo")
		m.Do("GET", "/a").Expect(t, 200, "baz")
		if behind.Waits() {
			t.Error("the one behind waits for who is gone")
		}
	})
}

// The candidate hangs up while the write is under way by which it begins to
// lead.
func TestLeader_CandidateHangsUpDuringGrant(t *testing.T) {
	inBubble(t, func(t *testing.T, m *sdktest.Module) {
		m.Do("PUT", "/a?ttl=60&name=foo").Index(t)
		c := m.Begin("PUT", "/a?ttl=600&name=bar")
		applied := make(chan struct{})
		m.SetHook(func(op memory.Op, key string) memory.Fault {
			if strings.HasPrefix(key, "q/") && op == memory.OpSwap {
				return memory.Fault{Hold: applied}
			}
			return memory.Fault{}
		})
		m.Do("DELETE", "/a?name=foo")
		synctest.Wait()
		c.HangUp()
		synctest.Wait()
		close(applied)
		synctest.Wait()
		entries(t, m, 0)
		m.Do("GET", "/a").Expect(t, 200, "")
	})
}

// DELETE of a candidate ends its requests, and the leader is not touched.
func TestLeader_CandidateWithdrawn(t *testing.T) {
	inBubble(t, func(t *testing.T, m *sdktest.Module) {
		s := setStage(t, m)
		also := m.Begin("PUT", "/led?ttl=60&name=bar&timeout=1000")
		m.Do("DELETE", "/led?name=bar").Expect(t, 200, "")
		for _, c := range []*sdktest.Call{s.waiting, also} {
			r := c.End()
			r.Expect(t, 410, "701")
			if _, cause := r.Failure(t); !strings.Contains(cause, "you do not lead") {
				t.Errorf("cause %q, want it to say that bar does not lead", cause)
			}
		}
		entries(t, m, 1)
		m.Do("GET", "/led?field=index").Expect(t, 200, fmt.Sprint(s.leader))
		m.Do("PUT", "/led?ttl=60&name=foo&timeout=0").Expect(t, 200, fmt.Sprint(s.leader))
	})
}

// A time-out is over at its second, leaves nothing behind, and others of the
// same name go on waiting.
func TestLeader_Timeout(t *testing.T) {
	inBubble(t, func(t *testing.T, m *sdktest.Module) {
		s := setStage(t, m)
		for call, took := range map[string]time.Duration{
			"/led?ttl=9&name=bar&timeout=0": 0, "/led?ttl=9&name=bar&timeout=3": 3 * time.Second,
			"/led?ttl=9&name=baz&timeout=0": 0, "/led?ttl=9&name=baz&timeout=3": 3 * time.Second,
		} {
			r := m.Do("PUT", call)
			r.Expect(t, 423, "700")
			if r.Took != took {
				t.Errorf("%s: %v, want it after %v", call, r, took)
			}
		}
		entries(t, m, 2)
		if r := s.waiting.End(); r.Index(t) != s.candidate || r.Took != time.Minute {
			t.Errorf("candidate: %v, want %d after a minute", r, s.candidate)
		}
	})
}

func TestLeader_DrainStop(t *testing.T) {
	inBubble(t, func(t *testing.T, m *sdktest.Module) {
		s := setStage(t, m)
		m.Drain(sdk.DrainStop)
		for _, c := range []*sdktest.Call{s.waiting, m.Begin("PUT", "/led?ttl=60&name=baz"), m.Begin("PUT", "/vacant?ttl=60&name=foo")} {
			r := c.End()
			r.Expect(t, 503, "703")
			if _, cause := r.Failure(t); !strings.HasPrefix(cause, "the test drains the module; your place") || r.Header.Get("Retry-After") != "1" {
				t.Errorf("%v, Retry-After %q: want why the module is drained, and 1", r, r.Header.Get("Retry-After"))
			}
		}
		synctest.Wait()
		entries(t, m, 1) // the leader leads on
		m.Do("GET", "/led").Expect(t, 200, "foo")
		m.Do("DELETE", "/led?name=foo").Expect(t, 200, "")
	})
}

// A process that is replaced, or that crashes, loses no candidate's place.
func TestLeader_NextProcessKeepsPlaces(t *testing.T) {
	for name, change := range map[string]func(m *sdktest.Module){
		"replaced": (*sdktest.Module).Replace,
		"crashed":  (*sdktest.Module).Restart,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *sdktest.Module) {
				leader := m.Do("PUT", "/a?ttl=3600&name=foo").Index(t)
				calls := map[string][]*sdktest.Call{}
				names := []string{"x", "y", "x", "z", "y"}
				for _, n := range names {
					calls[n] = append(calls[n], m.Begin("PUT", "/a?ttl=60&name="+n))
				}
				limited := m.Begin("PUT", "/a?ttl=60&name=late&timeout=100")
				var want []store.Revision
				for _, e := range entries(t, m, 5)[1:] {
					want = append(want, e.Created)
				}
				time.Sleep(time.Minute)
				change(m)
				time.Sleep(20 * time.Second) // what was not resumed would be cleared by now
				entries(t, m, 5)
				m.Do("GET", "/a?field=index").Expect(t, 200, fmt.Sprint(leader))
				r := limited.End()
				r.Expect(t, 423, "700")
				if r.Took != 100*time.Second {
					t.Errorf("time-out: %v, want it 100 s after the beginning", r)
				}
				last := "foo"
				for i, n := range []string{"x", "y", "z"} {
					m.Do("DELETE", "/a?name="+last).Expect(t, 200, "")
					for _, c := range calls[n] {
						r := c.End()
						if got := r.Index(t); got != want[i] {
							t.Errorf("%s has index %d, want %d as before", n, got, want[i])
						}
						if validFor, err := strconv.ParseFloat(r.Header.Get("X-Leader-Valid-For"), 64); err != nil || validFor != r.Took.Seconds()+59.84 {
							t.Errorf("%s: valid for %v after %v, want 59.84 s more", n, validFor, r.Took)
						}
					}
					last = n
				}
				m.Do("DELETE", "/a?name="+last).Expect(t, 200, "")
				entries(t, m, 0)
			})
		})
	}
}

// With the store away nothing is said of who leads, and candidates keep their
// places.
func TestLeader_StoreUnavailable(t *testing.T) {
	for _, call := range []string{
		"PUT /vacant?ttl=60&name=foo", "PUT /led?ttl=60&name=foo", "PUT /led?ttl=60&name=baz&timeout=0", "GET /led", "GET /vacant?field=index", "DELETE /led?name=foo",
	} {
		t.Run(call, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *sdktest.Module) {
				s := setStage(t, m)
				m.SetHook(func(memory.Op, string) memory.Fault {
					after := make(chan struct{})
					time.AfterFunc(3*time.Second, func() { close(after) })
					return memory.Fault{Pause: after, Refuse: store.ErrUnavailable}
				})
				method, target, _ := strings.Cut(call, " ")
				r := m.Do(method, target)
				r.Expect(t, 503, "702")
				if _, cause := r.Failure(t); !strings.HasPrefix(cause, "nothing can be said of the election: ") || r.Took > 5*time.Second || r.Header.Get("X-Leader-State") != "" {
					t.Errorf("answer %v, %v; want 503 within 5s", r, r.Header)
				}
				m.SetHook(nil)
				if r := s.waiting.End(); r.Index(t) != s.candidate {
					t.Errorf("candidate: %v, want %d", r, s.candidate)
				}
			})
		})
	}
}
