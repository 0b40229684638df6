package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/go-hclog"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

func TestLock_ClientHangsUp(t *testing.T) {
	for _, tt := range []struct {
		name   string
		target string
		shared bool
	}{
		{"anonymous", "/a?ttl=60", false},
		{"with a value", "/a?ttl=60&value=x", false},
		{"with a time-out", "/a?ttl=60&timeout=50", false},
		{"shared", "/a?ttl=60&value=x", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *client) {
				holder := c.Do("POST", "/a?ttl=600").Index(t)
				gone := c.Begin("POST", tt.target)
				behind := c.Begin("POST", "/a?ttl=60&value=y")
				want := 2
				if tt.shared {
					c.Begin("POST", tt.target)
					want = 3
				}
				gone.HangUp()
				synctest.Wait() // not even a second
				c.lineLength(t, want)
				c.Do("DELETE", fmt.Sprintf("/a?index=%d", holder))
				if behind.Waits() != tt.shared {
					t.Error("the one behind waits for who is gone, or goes ahead of who stays")
				}
			})
		})
	}
}

// The client hangs up while the write that grants is under way.
func TestLock_ClientHangsUpDuringGrant(t *testing.T) {
	for name, wait := range map[string]bool{"on a free lock": false, "in the line": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *client) {
				var holder store.Revision
				if wait {
					holder = c.Do("POST", "/a?ttl=60").Index(t)
				}
				applied := make(chan struct{})
				hold := func() {
					c.SetHook(func(op memory.Op, key string) memory.Fault {
						if strings.HasPrefix(key, "q/") && (op == memory.OpCreate || op == memory.OpSwap) {
							return memory.Fault{Hold: applied}
						}
						return memory.Fault{}
					})
				}
				if !wait {
					hold()
				}
				p := c.Begin("POST", "/a?ttl=600")
				if wait {
					hold()
					c.Do("DELETE", fmt.Sprintf("/a?index=%d", holder))
				}
				synctest.Wait()
				c.lineLength(t, 1)
				if c.Do("GET", "/a").Header.Get("X-Lock-State") != "held" {
					t.Fatal("not granted")
				}
				p.HangUp()
				synctest.Wait()
				close(applied)
				synctest.Wait()
				c.lineLength(t, 0)
			})
		})
	}
}

// unflushed is an answer that does not reach the client's connection.
type unflushed struct{ *httptest.ResponseRecorder }

func (unflushed) FlushError() error { return errors.New("connection reset by peer") }

// unwritten is one whose connection fails earlier, or a handler's defect.
type unwritten struct{ unflushed }

func (unwritten) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// direct makes the module without host and wire.
func direct(t *testing.T) (http.Handler, *memory.Store) {
	t.Helper()
	s := memory.New()
	h, err := New(Config{}, &sdk.Env{Store: s.Sub(""), Logger: hclog.NewNullLogger(), ProcessID: "p"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.(interface{ Close(context.Context) error }).Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return h, s
}

func entriesOf(t *testing.T, s store.Store) int {
	t.Helper()
	list, err := s.List(context.Background(), "q", store.Linearizable)
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Entries)
}

// A grant that reached nobody does not stay; one that somebody else may rely
// on does.
func TestLock_UndeliveredGrant(t *testing.T) {
	for name, lost := range map[string]func(*httptest.ResponseRecorder) http.ResponseWriter{
		"not flushed": func(r *httptest.ResponseRecorder) http.ResponseWriter { return unflushed{r} },
		"not written": func(r *httptest.ResponseRecorder) http.ResponseWriter { return unwritten{unflushed{r}} },
	} {
		post := func(h http.Handler, target string, delivered bool) {
			rec := httptest.NewRecorder()
			var w http.ResponseWriter = rec
			if !delivered {
				w = lost(rec)
			}
			h.ServeHTTP(w, httptest.NewRequest("POST", target, nil))
		}
		for _, tt := range []struct {
			name  string
			story func(t *testing.T, h http.Handler, s *memory.Store) (left int)
		}{
			{"a new one is released", func(t *testing.T, h http.Handler, s *memory.Store) int {
				post(h, "/a?ttl=60", false)
				return 0
			}},
			{"delivered, it stays", func(t *testing.T, h http.Handler, s *memory.Store) int {
				post(h, "/a?ttl=60", true)
				return 1
			}},
			{"a repeat's failure takes nothing", func(t *testing.T, h http.Handler, s *memory.Store) int {
				post(h, "/a?ttl=60&value=x", true)
				post(h, "/a?ttl=60&value=x", false)
				return 1
			}},
			{"a waiter's is released", func(t *testing.T, h http.Handler, s *memory.Store) int {
				post(h, "/a?ttl=1", true)
				post(h, "/a?ttl=60", false)
				return 0
			}},
			{"one of two is told", func(t *testing.T, h http.Handler, s *memory.Store) int {
				post(h, "/a?ttl=1", true)
				done := make(chan struct{})
				go func() {
					defer close(done)
					post(h, "/a?ttl=60&value=x", true)
				}()
				post(h, "/a?ttl=60&value=x", false)
				<-done
				return 1
			}},
			{"renewed meanwhile, it stays", func(t *testing.T, h http.Handler, s *memory.Store) int {
				var once atomic.Bool
				s.SetHook(nil)
				w := &meanwhile{unflushed{httptest.NewRecorder()}, func() {
					if once.CompareAndSwap(false, true) {
						rec := httptest.NewRecorder()
						h.ServeHTTP(rec, httptest.NewRequest("PUT", "/a?ttl=60&value=x", nil))
						if rec.Code != 200 {
							t.Errorf("renewal: %d", rec.Code)
						}
					}
				}}
				h.ServeHTTP(w, httptest.NewRequest("POST", "/a?ttl=60&value=x", nil))
				synctest.Wait()
				return 1
			}},
		} {
			t.Run(name+", "+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h, s := direct(t)
					left := tt.story(t, h, s)
					synctest.Wait()
					if n := entriesOf(t, s); n != left {
						t.Errorf("%d entries left, want %d", n, left)
					}
				})
			})
		}
	}
}

// meanwhile has something else happen before a flush fails.
type meanwhile struct {
	unflushed
	do func()
}

func (m *meanwhile) FlushError() error {
	m.do()
	return m.unflushed.FlushError()
}
