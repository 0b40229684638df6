package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
)

// died is a handler whose process is killed while it waits.
func died(t *testing.T, h **host, resumable bool, before func(w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if resumable {
			if err := wire.FromContext(r.Context()).Resumable(); err != nil {
				t.Errorf("Resumable = %v", err)
			}
		}
		if before != nil {
			before(w, r)
		}
		time.Sleep(time.Second) // on the fake clock: what was sent arrives
		go (*h).processes[0].kill()
		<-r.Context().Done()
	}
}

// second answers with what a resumed request looks like.
func second(w http.ResponseWriter, r *http.Request) {
	x := wire.FromContext(r.Context())
	fmt.Fprint(w, x.RequestID(), " ", x.Attempt(), " ", time.Since(x.Received()), " ", sumOf(r.Body))
}

func TestRequest_ResumedAfterTheProcessDied(t *testing.T) {
	for _, size := range []int64{0, 65, 100 << 10, wire.ReplayLimit} {
		for name, before := range map[string]func(w http.ResponseWriter, r *http.Request){
			"body read":   func(w http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body) },
			"body unread": nil,
		} {
			t.Run(fmt.Sprint(size, " ", name), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var h *host
					h = newHost(t, died(t, &h, true, before), second)
					resp, err := h.client.Post("http://host/", "", &pattern{n: size})
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					b, _ := io.ReadAll(resp.Body)
					if want := "id-1 1 1s " + sumOf(&pattern{n: size}); string(b) != want {
						t.Errorf("answer %q, want %q", b, want)
					}
					if resp.Close {
						t.Error("the connection is closed")
					}
					if got := h.served(); !errors.Is(got[0], wire.ErrGone) || got[1] != nil {
						t.Errorf("Serve = %v, want ErrGone, then nil", got)
					}
				})
			})
		}
	}
}

// The process dies while the client is still sending.
func TestRequest_ResumedInMidUpload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var h *host
		h = newHost(t, died(t, &h, true, func(w http.ResponseWriter, r *http.Request) {
			io.ReadFull(r.Body, make([]byte, 3))
		}), second)
		pr, pw := io.Pipe()
		go func() {
			io.WriteString(pw, "abc")
			time.Sleep(time.Minute)
			io.WriteString(pw, "def")
			pw.Close()
		}()
		r, _ := http.NewRequest("PUT", "http://host/", pr)
		_, body := h.send(t, r)
		if want := "id-1 1 1s " + sumOf(bytes.NewReader([]byte("abcdef"))); body != want {
			t.Errorf("answer %q, want %q", body, want)
		}
	})
}

func TestRequest_NotResumed(t *testing.T) {
	for _, tt := range []struct {
		name, method string
		size         int64
		resumable    bool
		before       func(w http.ResponseWriter, r *http.Request)
		attempts     int
	}{
		{"not marked", "POST", 10, false, nil, 1},
		{"GET needs no mark", "GET", 0, false, nil, 2},
		{"body over the limit", "POST", wire.ReplayLimit + 1, true, func(w http.ResponseWriter, r *http.Request) {
			io.ReadAll(r.Body)
		}, 1},
		{"a byte was answered", "POST", 10, true, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "x")
			http.NewResponseController(w).Flush()
		}, 1},
		{"GET with a byte answered", "GET", 0, true, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "x")
			http.NewResponseController(w).Flush()
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var h *host
				h = newHost(t, died(t, &h, tt.resumable, tt.before), second)
				r, _ := http.NewRequest(tt.method, "http://host/", &pattern{n: tt.size})
				if tt.size == 0 {
					r.Body = http.NoBody
				}
				resp, err := h.client.Do(r)
				if err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				if got := h.served(); len(got) != tt.attempts || !errors.Is(got[0], wire.ErrGone) {
					t.Errorf("Serve = %v, want ErrGone and %d attempts", got, tt.attempts)
				}
			})
		})
	}
}

func TestRequest_Handover(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			x := wire.FromContext(r.Context())
			if err := x.Handover(); err == nil {
				t.Error("Handover of a request not marked resumable succeeded")
			}
			if err := errors.Join(x.Resumable(), x.Resumable(), x.Handover(), x.Handover()); err != nil {
				t.Errorf("Resumable, Handover = %v", err)
			}
			if _, err := io.WriteString(w, "no"); err == nil {
				t.Error("Write after Handover succeeded")
			}
		}, second)
		_, body := h.do(t, "POST", "/", "body")
		if want := "id-1 1 0s " + sumOf(bytes.NewReader([]byte("body"))); body != want {
			t.Errorf("answer %q, want %q", body, want)
		}
		if got := h.served(); got[0] != wire.ErrHandover {
			t.Errorf("Serve = %v, want ErrHandover first", got)
		}
	})
}

// A caller that tries again regardless must not send half a request.
func TestClient_ServeRefusesWhatCannotBeResumed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			x := wire.FromContext(r.Context())
			if x.Attempt() > 0 {
				t.Error("asked again")
			}
			io.ReadAll(r.Body)
			if err := errors.Join(x.Resumable(), x.Handover()); err != nil {
				t.Errorf("Handover = %v", err)
			}
		})
		r := mustRequest(t)
		r.Method, r.Body, r.ContentLength = "POST", io.NopCloser(&pattern{n: 1 << 20}), 1<<20
		q := wire.NewRequest(discard{}, r, "id", "/", time.Now())
		defer q.Close()
		client := h.processes[0].client
		if err := client.Serve(q); err != wire.ErrHandover || q.CanResume() {
			t.Errorf("Serve = %v, CanResume %t, want ErrHandover and false", err, q.CanResume())
		}
		if err := client.Serve(q); !errors.Is(err, wire.ErrGone) {
			t.Errorf("second Serve = %v, want ErrGone", err)
		}
	})
}

func TestExchange_TooLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			x := wire.FromContext(r.Context())
			w.WriteHeader(200)
			if why, yes := x.ReadOnly(); why != "" || yes || x.User() != "" || x.SignedIn() {
				t.Error("nil Exchange knows who asks, or that nothing may be changed")
			}
			if x.Resumable() == nil || x.Handover() == nil {
				t.Error("Resumable or Handover succeeded after WriteHeader")
			}
		})
		h.do(t, "GET", "/", "")
	})
}

func TestExchange_NilIsUsable(t *testing.T) {
	x := wire.FromContext(t.Context())
	if x != nil || x.RequestID() != "" || x.Mount() != "" || x.Attempt() != 0 || !x.Received().IsZero() {
		t.Error("nil Exchange knows something")
	}
	if x.Resumable() == nil || x.Handover() == nil {
		t.Error("nil Exchange can be resumed")
	}
}

func TestLifeline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		drains, levels, gone := make(chan wire.Drain, 2), make(chan string, 1), make(chan struct{})
		p := startProcess(t, &fakePlugin{
			drain:    func(d wire.Drain) { drains <- d },
			logLevel: func(level string) { levels <- level },
			hostGone: func() { close(gone) },
		})
		l, err := p.client.Lifeline(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		replace := wire.Drain{Reason: wire.DrainReplace, Why: "new config", Left: time.Minute}
		stop := wire.Drain{Reason: wire.DrainStop, Left: time.Second}
		if err := errors.Join(l.Ping(t.Context()), l.Drain(replace), l.SetLogLevel("debug"), l.Drain(stop), l.Ping(t.Context())); err != nil {
			t.Fatal(err)
		}
		if a, b := <-drains, <-drains; a != replace || b != stop {
			t.Errorf("drains = %v, %v", a, b)
		}
		if level := <-levels; level != "debug" {
			t.Errorf("log level = %q, want debug", level)
		}
		l.Close()
		<-gone
		<-l.Done()
		if err := l.Ping(t.Context()); !errors.Is(err, wire.ErrGone) {
			t.Errorf("Ping after Close = %v, want ErrGone", err)
		}
		l.Close()
	})
}

func TestLifeline_PluginGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startProcess(t, &fakePlugin{})
		l, err := p.client.Lifeline(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.kill()
		<-l.Done()
		if _, err := p.client.Info(t.Context(), "v1"); !errors.Is(err, wire.ErrGone) {
			t.Errorf("Info = %v, want ErrGone", err)
		}
	})
}

func TestClient_InfoConfigureClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startProcess(t, &fakePlugin{})
		info, err := p.client.Info(t.Context(), "v1")
		if err != nil || info.GetName() != "fake" {
			t.Errorf("Info = %v, %v", info, err)
		}
		if err := p.client.Close(t.Context()); err != nil {
			t.Errorf("Close = %v", err)
		}
		synctest.Wait()
	})
}
