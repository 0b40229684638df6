package main

import (
	"encoding/json"
	"fmt"
	"net/http"
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

func marshal(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLock_FirstComeFirstServed(t *testing.T) {
	inBubble(t, func(t *testing.T, c *client) {
		last := c.Do("POST", "/a?ttl=60").Index(t)
		var line []*sdktest.Call
		for i := range 20 {
			line = append(line, c.Begin("POST", fmt.Sprintf("/a?ttl=60&value=%d", i)))
		}
		for i, p := range line {
			for _, later := range line[i:] {
				if !later.Waits() {
					t.Fatalf("waiter before its turn: %v", later.End())
				}
			}
			c.Do("DELETE", fmt.Sprintf("/a?index=%d", last)).Expect(t, 200, "")
			next := p.End().Index(t)
			if next <= last {
				t.Fatalf("index %d after %d", next, last)
			}
			c.Do("GET", "/a").Expect(t, 200, strconv.Itoa(i))
			last = next
		}
	})
}

// A waiter waits for as long as its client does, and X-Lock-Valid-For is
// counted from when it came.
func TestLock_WaitsForHours(t *testing.T) {
	inBubble(t, func(t *testing.T, c *client) {
		const ttl = 5 * time.Hour
		c.Do("POST", fmt.Sprintf("/a?ttl=%d", ttl/time.Second)).Index(t)
		p := c.Begin("POST", "/a?ttl=60&timeout=31536000")
		time.Sleep(ttl - time.Millisecond)
		if !p.Waits() {
			t.Fatalf("answer %v", p.End())
		}
		r := p.End()
		r.Index(t)
		validFor, err := strconv.ParseFloat(r.Header.Get("X-Lock-Valid-For"), 64)
		if want := ttl.Seconds() + 59.84; r.Took != ttl || err != nil || validFor != want {
			t.Errorf("answer %v, valid for %v, want %v", r, validFor, want)
		}
		// What it promised is true to the last moment.
		time.Sleep(time.Duration(validFor*float64(time.Second)) - r.Took)
		if r := c.Do("GET", "/a"); r.Header.Get("X-Lock-State") != "held" {
			t.Errorf("state %v", r.Header)
		}
		time.Sleep(160 * time.Millisecond)
		if r := c.Do("GET", "/a"); r.Header.Get("X-Lock-State") != "free" {
			t.Errorf("state %v", r.Header)
		}
	})
}

func TestLock_TimeoutIsOver(t *testing.T) {
	inBubble(t, func(t *testing.T, c *client) {
		c.Do("POST", "/a?ttl=60").Index(t)
		p := c.Begin("POST", "/a?ttl=60&timeout=61")
		q := c.Begin("POST", "/a?ttl=60&timeout=119")
		p.End().Index(t)
		r := q.End()
		r.Expect(t, 423, "700")
		if _, cause := r.Failure(t); !strings.Contains(cause, "1s of its ttl left; your place in the line was 1 of 1") || r.Took != 119*time.Second {
			t.Errorf("answer %v", r)
		}
		c.lineLength(t, 1)
	})
}

// All sessions of one value are told the same index at the same moment.
func TestLock_SharedValue(t *testing.T) {
	inBubble(t, func(t *testing.T, c *client) {
		holder := c.Do("POST", "/a?ttl=60").Index(t)
		var same []*sdktest.Call
		for range 5 {
			same = append(same, c.Begin("POST", "/a?ttl=60&value=x"))
			time.Sleep(time.Second)
		}
		other := c.Begin("POST", "/a?ttl=60&value=y")
		c.lineLength(t, 3)
		same[4].HangUp()
		synctest.Wait()
		c.lineLength(t, 3)
		c.Do("DELETE", fmt.Sprintf("/a?index=%d", holder))
		index := same[0].End().Index(t)
		for i, p := range same[1:4] {
			if r := p.End(); r.Index(t) != index || r.Took != time.Duration(4-i)*time.Second {
				t.Errorf("session %d: %v, want index %d at the same moment", i+1, r, index)
			}
		}
		if !other.Waits() {
			t.Errorf("two values hold at once: %v", other.End())
		}
		c.Do("DELETE", "/a?value=x")
		other.End().Index(t)
	})
}

func TestLock_DrainStop(t *testing.T) {
	inBubble(t, func(t *testing.T, c *client) {
		s := setStage(t, c)
		anonymous := c.Begin("POST", "/held?ttl=60")
		c.Drain(sdk.DrainStop)
		for _, p := range []*sdktest.Call{s.waiting, anonymous, c.Begin("POST", "/held?ttl=60"), c.Begin("POST", "/free?ttl=60")} {
			r := p.End()
			r.Expect(t, 503, "703")
			if after := r.Header.Get("Retry-After"); after != "1" {
				t.Errorf("%v: Retry-After %q, want 1", r, after)
			}
		}
		synctest.Wait()
		c.lineLength(t, 1) // the grant stays
		c.Do("GET", "/held").Expect(t, 200, "bar")
		c.Do("PUT", "/held?ttl=60&value=bar").Expect(t, 200, "")
		c.Do("DELETE", "/held?value=bar").Expect(t, 200, "")
	})
}

// A process that is replaced loses no place in the line.
func TestLock_ReplacedKeepsPlaces(t *testing.T) {
	for name, change := range map[string]func(c *client){
		"once": func(c *client) { c.Replace() },
		"twice": func(c *client) {
			c.Replace()
			time.Sleep(time.Minute)
			c.Replace()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *client) {
				holder := c.Do("POST", "/a?ttl=3600").Index(t)
				calls := []*sdktest.Call{
					c.Begin("POST", "/a?ttl=60"), c.Begin("POST", "/a?ttl=60&value=x"), c.Begin("POST", "/a?ttl=60&timeout=3000"), c.Begin("POST", "/a?ttl=60&value=y"),
				}
				var want []store.Revision
				for _, e := range c.entries("q")[1:] {
					want = append(want, e.Created)
				}
				time.Sleep(time.Minute)
				change(c)
				time.Sleep(time.Minute)
				c.Do("DELETE", fmt.Sprintf("/a?index=%d", holder)).Expect(t, 200, "")
				for i, p := range calls {
					r := p.End()
					if got := r.Index(t); got != want[i] {
						t.Errorf("waiter %d has index %d, want %d as before", i, got, want[i])
					}
					if validFor, err := strconv.ParseFloat(r.Header.Get("X-Lock-Valid-For"), 64); err != nil || validFor != r.Took.Seconds()+59.84 {
						t.Errorf("waiter %d: valid for %v after %v, want 59.84 s more", i, validFor, r.Took)
					}
					c.Do("DELETE", fmt.Sprintf("/a?index=%d", r.Index(t))).Expect(t, 200, "")
				}
				c.lineLength(t, 0)
			})
		})
	}
}

// The time-out goes on where it was in the process before.
func TestLock_TimeoutSpansProcesses(t *testing.T) {
	inBubble(t, func(t *testing.T, c *client) {
		c.Do("POST", "/a?ttl=3600").Index(t)
		p := c.Begin("POST", "/a?ttl=60&timeout=100")
		time.Sleep(time.Minute)
		c.Replace()
		r := p.End()
		r.Expect(t, 423, "700")
		if r.Took != 100*time.Second {
			t.Errorf("answered after %v, want 1m40s", r.Took)
		}
		c.lineLength(t, 1)
	})
}

func TestLock_StoreUnavailable(t *testing.T) {
	// The store gives up after three seconds, as drivers do at the latest.
	down := func(memory.Op, string) memory.Fault {
		after := make(chan struct{})
		time.AfterFunc(3*time.Second, func() { close(after) })
		return memory.Fault{Pause: after, Refuse: store.ErrUnavailable}
	}
	for _, call := range []string{
		"POST /free?ttl=60", "POST /free?ttl=60&timeout=0", "POST /free?ttl=60&value=x&timeout=60", "POST /held?ttl=60", "POST /held?ttl=60&timeout=0", "POST /held?ttl=60&value=bar",
		"PUT /held?ttl=60&index=HOLDER", "PUT /held?ttl=60&value=bar", "PUT /free?ttl=60&value=bar", "PUT /held?ttl=60&value=next",
		"GET /held", "GET /held?field=index", "GET /free", "HEAD /held", "DELETE /held?index=HOLDER", "DELETE /held?value=bar", "DELETE /free?value=bar",
	} {
		t.Run(call, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *client) {
				s := setStage(t, c)
				c.SetHook(down)
				method, target, _ := strings.Cut(s.fill(call), " ")
				r := c.Do(method, target)
				if method == "HEAD" {
					r.Body = ""
				} else {
					r.Expect(t, 503, "702")
				}
				if r.Status != 503 || r.Took > 5*time.Second || r.Header.Get("Retry-After") != "1" || r.Header.Get("X-Lock-State") != "" {
					t.Errorf("answer %v, %v; want 503 within 5s", r, r.Header)
				}
				if !s.waiting.Waits() {
					t.Errorf("the waiter lost its place: %v", s.waiting.End())
				}
				c.SetHook(nil)
				if r := s.waiting.End(); r.Index(t) != s.waiter {
					t.Errorf("the waiter's answer %v, want %d", r, s.waiter)
				}
			})
		})
	}
}

// X-Lock-Valid-For never outlives what the store keeps, however slow it is.
func TestLock_SlowStore(t *testing.T) {
	for _, tt := range []struct {
		slow, ttl time.Duration
		status    int
	}{
		{0, 2 * time.Second, 200},
		{500 * time.Millisecond, 2 * time.Second, 200},
		{1500 * time.Millisecond, 2 * time.Second, 200}, // renewed before it is told
		{3 * time.Second, 2 * time.Second, 410},
		{40 * time.Second, time.Minute, 200},
	} {
		t.Run(fmt.Sprint(tt.slow), func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *client) {
				c.SetHook(func(op memory.Op, key string) memory.Fault {
					if op != memory.OpCreate || tt.slow == 0 {
						return memory.Fault{}
					}
					late := make(chan struct{})
					time.AfterFunc(tt.slow, func() { close(late) })
					return memory.Fault{Hold: late}
				})
				sent := time.Now()
				r := c.Do("POST", fmt.Sprintf("/a?ttl=%d", tt.ttl/time.Second))
				if r.Status != tt.status {
					t.Fatalf("answer %v, want %d", r, tt.status)
				}
				if r.Status != 200 {
					r.Expect(t, 410, "701")
					c.lineLength(t, 0)
					return
				}
				seconds, err := strconv.ParseFloat(r.Header.Get("X-Lock-Valid-For"), 64)
				validFor := time.Duration(seconds * float64(time.Second))
				if err != nil || validFor-time.Since(sent) < tt.ttl/2-time.Second/4 {
					t.Errorf("valid for %v, of which %v are over", validFor, time.Since(sent))
				}
				time.Sleep(validFor - time.Since(sent))
				if c.Do("GET", "/a").Header.Get("X-Lock-State") != "held" {
					t.Errorf("free after %v, valid for %v", time.Since(sent), validFor)
				}
			})
		})
	}
}

// A crash of the process costs a waiter nothing: its request goes on in the
// next one, in its old place.
func TestLock_CrashKeepsThePlace(t *testing.T) {
	inBubble(t, func(t *testing.T, c *client) {
		last := c.Do(http.MethodPost, "/a?ttl=60").Index(t)
		calls := []*sdktest.Call{c.Begin(http.MethodPost, "/a?ttl=60"), c.Begin(http.MethodPost, "/a?ttl=60")}
		c.lineLength(t, 3)
		c.Restart()
		time.Sleep(20 * time.Second) // what was not resumed would be cleared by now
		c.lineLength(t, 3)
		for _, next := range calls {
			if !next.Waits() {
				t.Fatalf("answered %v before its turn", next.End())
			}
			c.Do(http.MethodDelete, fmt.Sprintf("/a?index=%d", last)).Expect(t, http.StatusOK, "")
			got := next.End().Index(t)
			if got <= last {
				t.Errorf("index %d granted after %d", got, last)
			}
			last = got
		}
	})
}
