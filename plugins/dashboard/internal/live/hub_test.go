package live

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/store"
)

// A message is one event.
type message struct {
	Topic string
	Data  json.RawMessage
	Error *sdk.Error
}

// A reader reads a stream that a hub writes into a pipe: no network, so that a
// bubble's clock runs.
type reader struct {
	t     *testing.T
	lines *bufio.Reader
	stop  context.CancelFunc
	over  chan struct{}
}

// A pipeWriter is an http.ResponseWriter.
type pipeWriter struct {
	net.Conn
	header http.Header
}

func (w pipeWriter) Header() http.Header { return w.header }
func (w pipeWriter) WriteHeader(int)     {}
func (w pipeWriter) FlushError() error   { return nil }

func stream(t *testing.T, h *Hub, topics ...string) *reader {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", "http://x/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	q := r.URL.Query()
	for _, topic := range topics {
		q.Add("topic", topic)
	}
	r.URL.RawQuery = q.Encode()
	server, client := net.Pipe()
	rd := &reader{t: t, lines: bufio.NewReader(client), stop: stop, over: make(chan struct{})}
	go func() {
		defer close(rd.over)
		defer server.Close() //nolint:errcheck // in memory
		h.ServeHTTP(pipeWriter{server, make(http.Header)}, r)
	}()
	t.Cleanup(func() {
		stop()
		client.Close() //nolint:errcheck // in memory
		<-rd.over
	})
	return rd
}

// next is the next event but for pulses.
func (r *reader) next() message {
	r.t.Helper()
	for {
		m := r.event()
		if m.Topic != "pulse" {
			return m
		}
	}
}

func (r *reader) event() message {
	r.t.Helper()
	for {
		line, err := r.lines.ReadString('\n')
		if err != nil {
			r.t.Fatal(err)
		}
		text, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var m message
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			r.t.Fatalf("event %q: %v", text, err)
		}
		return m
	}
}

func hub(source func(string) (Source, error)) *Hub {
	return &Hub{
		Source: source,
		Hello:  func(*http.Request) any { return "hello" },
		Pulse:  func() (any, <-chan struct{}) { return time.Now().Unix(), nil },
	}
}

func TestHub_SendsTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v Var[int]
		h := hub(func(topic string) (Source, error) {
			if topic != "n" {
				return nil, sdk.NewError(sdk.CodeRequestInvalid, "no such topic")
			}
			return Follow(&v, 100*time.Millisecond, func(n int) any { return n }), nil
		})
		r := stream(t, h, "n", "wrong")
		if m := r.next(); m.Topic != "hello" || string(m.Data) != `"hello"` {
			t.Errorf("first event: %+v", m)
		}
		for range 2 {
			switch m := r.next(); m.Topic {
			case "n":
				if string(m.Data) != "0" {
					t.Errorf("event: %+v", m)
				}
			case "wrong":
				if m.Error == nil || m.Error.Cause != "no such topic" {
					t.Errorf("event: %+v", m)
				}
			}
		}
		// Changes that come at once are one event, with the last of them.
		for n := range 5 {
			v.Set(n + 1)
		}
		for m := r.next(); ; m = r.next() {
			if m.Topic == "n" {
				if string(m.Data) != "5" {
					t.Errorf("event: %+v", m)
				}
				break
			}
		}
	})
}

// A pulse comes each second, whatever the topics do.
func TestHub_Pulses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := stream(t, hub(nil))
		r.next()
		began := time.Now()
		for range 60 {
			if m := r.event(); m.Topic != "pulse" {
				t.Fatalf("event: %+v", m)
			}
		}
		if took := time.Since(began); took < 59*time.Second || took > 61*time.Second {
			t.Errorf("60 pulses in %v", took)
		}
	})
}

// What a pulse must say at once does not wait for the next second.
func TestHub_UrgentPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v Var[int]
		h := hub(nil)
		h.Pulse = func() (any, <-chan struct{}) { n, changed := v.Get(); return n, changed }
		r := stream(t, h)
		r.next()
		r.event()
		began := time.Now()
		v.Set(1)
		if m := r.event(); m.Topic != "pulse" || string(m.Data) != "1" || !time.Now().Equal(began) {
			t.Errorf("event: %+v after %v, want the new pulse at once", m, time.Since(began))
		}
	})
}

// A topic that fails says why, and goes on by itself.
func TestHub_SourceFailsAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		h := hub(func(string) (Source, error) {
			return func(ctx context.Context, send func(any) error) error {
				tries++
				if tries < 3 {
					return fmt.Errorf("read: %w", store.ErrUnavailable)
				}
				if err := send("good"); err != nil {
					return err
				}
				<-ctx.Done()
				return ctx.Err()
			}, nil
		})
		r := stream(t, h, "a")
		r.next()
		for range 2 {
			if m := r.next(); m.Error == nil || m.Error.Code != sdk.CodeStoreUnavailable {
				t.Errorf("event: %+v", m)
			}
		}
		if m := r.next(); string(m.Data) != `"good"` {
			t.Errorf("event: %+v", m)
		}
	})
}

// Streams end with the module, and with their client; their sources with them.
func TestHub_Ends(t *testing.T) {
	for name, end := range map[string]func(r *reader, ending chan struct{}){
		"module": func(r *reader, ending chan struct{}) { close(ending) },
		"client": func(r *reader, _ chan struct{}) { r.stop() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				ending := make(chan struct{})
				h := hub(func(string) (Source, error) {
					return func(ctx context.Context, send func(any) error) error {
						<-ctx.Done()
						ended <- ctx.Err()
						return ctx.Err()
					}, nil
				})
				h.Ending = ending
				r := stream(t, h, "a")
				r.next()
				r.event()
				synctest.Wait()
				if n, _ := h.Streams(); n != 1 {
					t.Errorf("%d streams", n)
				}
				end(r, ending)
				<-r.over
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Errorf("the source ended with %v", err)
				}
				if n, _ := h.Streams(); n != 0 {
					t.Errorf("%d streams", n)
				}
			})
		})
	}
}

// One slow client holds up nobody but itself, and sees the latest state.
func TestHub_SlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v Var[int]
		h := hub(func(string) (Source, error) {
			return Follow(&v, time.Millisecond, func(n int) any { return n }), nil
		})
		slow, quick := stream(t, h, "n"), stream(t, h, "n")
		quick.next()
		for n := range 100 {
			v.Set(n)
			for string(quick.next().Data) != fmt.Sprint(n) {
			}
		}
		slow.next()
		seen := 0
		for string(slow.next().Data) != "99" {
			seen++
		}
		if seen > 3 {
			t.Errorf("the slow one was sent %d old states", seen)
		}
	})
}

// goneWriter is an http.ResponseWriter of a client that is gone.
type goneWriter struct{ header http.Header }

func (w goneWriter) Header() http.Header       { return w.header }
func (w goneWriter) WriteHeader(int)           {}
func (w goneWriter) Write([]byte) (int, error) { return 0, net.ErrClosed }

// A browser that changes its topics opens a stream while the one before ends. How
// many there are must be right then: who believes that there is none stops to work.
func TestHub_CountsStreamsThatComeAndGoTogether(t *testing.T) {
	h := hub(nil)
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://x/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 5000 {
		var running sync.WaitGroup
		for range 4 {
			running.Go(func() { h.ServeHTTP(goneWriter{make(http.Header)}, r) })
		}
		running.Wait()
		if n, _ := h.Streams(); n != 0 {
			t.Fatalf("%d streams are left", n)
		}
	}
}
