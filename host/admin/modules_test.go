package admin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/etcd-modules/modhost/host/supervisor"
	"github.com/etcd-modules/modhost/sdk/wire"
)

// watched is a backend whose listing a test changes.
type watched struct {
	fake
	listings chan []supervisor.Status
	left     chan struct{} // closed when the follower has left
	metrics  string
}

func (b *watched) Watch(ctx context.Context, f func([]supervisor.Status) error) error {
	defer close(b.left)
	for {
		select {
		case list, more := <-b.listings:
			if !more {
				return nil
			}
			if err := f(list); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (b *watched) Metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	io.WriteString(w, b.metrics) //nolint:errcheck // the test sees
}

// hostClient is what a plugin asks with, and by an operator's socket, too.
func hostClient(t *testing.T, h http.Handler) *wire.HostClient {
	t.Helper()
	path := filepath.Join(short(t), "s")
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = mustListen(t, path)
	s.Start()
	t.Cleanup(s.Close)
	return wire.NewHostClient("", wire.DialUnix(path))
}

// both are the two ways in.
func both(t *testing.T, story func(t *testing.T, b *watched, c *wire.HostClient)) {
	for name, handler := range map[string]func(Backend) http.Handler{
		"operator": func(b Backend) http.Handler { return Handler(b, "", hclog.NewNullLogger()) },
		"plugin":   func(b Backend) http.Handler { return ModulesHandler(b, "p", hclog.NewNullLogger()) },
	} {
		t.Run(name, func(t *testing.T) {
			b := &watched{fake: fake{modules: listing}, listings: make(chan []supervisor.Status), left: make(chan struct{})}
			story(t, b, hostClient(t, handler(b)))
		})
	}
}

func TestHostClient_Follow(t *testing.T) {
	both(t, func(t *testing.T, b *watched, c *wire.HostClient) {
		got := make(chan []wire.ModuleStatus)
		done := make(chan error)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() {
			done <- c.Follow(ctx, func(list []wire.ModuleStatus) error { got <- list; return nil })
		}()
		for _, list := range [][]supervisor.Status{listing, listing[:1], {}, listing} { // each is there at once
			b.listings <- list
			if told := <-got; !reflect.DeepEqual(told, list) {
				t.Errorf("told %+v, want %+v", told, list)
			}
		}
		close(b.listings)
		if err := <-done; err != nil {
			t.Errorf("Follow = %v at the end of the host", err)
		}
	})
}

func TestHostClient_FollowEnds(t *testing.T) {
	both(t, func(t *testing.T, b *watched, c *wire.HostClient) {
		go func() { b.listings <- listing }()
		full := errors.New("full")
		if err := c.Follow(t.Context(), func([]wire.ModuleStatus) error { return full }); err != full {
			t.Errorf("Follow = %v, want %v", err, full)
		}
		<-b.left // the host has seen it
	})
	both(t, func(t *testing.T, b *watched, c *wire.HostClient) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { b.listings <- listing }()
		err := c.Follow(ctx, func([]wire.ModuleStatus) error { cancel(); return nil })
		if err != context.Canceled {
			t.Errorf("Follow = %v, want %v", err, context.Canceled)
		}
		<-b.left
	})
}

func TestHostClient_Module(t *testing.T) {
	both(t, func(t *testing.T, b *watched, c *wire.HostClient) {
		b.ends = []supervisor.End{
			{Time: time.Unix(1e9, 0).UTC(), PID: 7, Reason: "ended: exit status 2; it said \"x\"", Exit: "exit status 2"},
			{Time: time.Unix(1e9, 1).UTC(), Reason: "two\nlines", Ordered: true},
		}
		want, _ := b.Module("lock")
		if got, err := c.Module(t.Context(), "lock"); err != nil || !reflect.DeepEqual(got, want) || len(got.Ends) != 2 {
			t.Errorf("Module = %+v, %v; want %+v", got, err, want)
		}
		var answer *wire.Error
		if _, err := c.Module(t.Context(), "a/b?"); !errors.As(err, &answer) || answer.Code != wire.CodeNoSuchModule || !strings.Contains(answer.Cause, `"a/b?"`) {
			t.Errorf("Module = %v", err)
		}
	})
}

func TestHostClient_Metrics(t *testing.T) {
	both(t, func(t *testing.T, b *watched, c *wire.HostClient) {
		b.metrics = "# TYPE a_total counter\na_total{module=\"lock\"} 3\na_total{module=\"x\"} 4\n# TYPE b gauge\nb 0.5\n"
		got, err := c.Metrics(t.Context())
		if err != nil || len(got) != 2 || len(got["a_total"].GetMetric()) != 2 || got["b"].GetMetric()[0].GetGauge().GetValue() != 0.5 {
			t.Errorf("Metrics = %v, %v", got, err)
		}
		b.metrics = "what?"
		if got, err := c.Metrics(t.Context()); err == nil {
			t.Errorf("Metrics = %v of what are none", got)
		}
	})
}

// A parameter that is neither is no listing.
func TestHandler_FollowWhat(t *testing.T) {
	w := httptest.NewRecorder()
	Handler(&fake{modules: listing}, "", hclog.NewNullLogger()).ServeHTTP(w, httptest.NewRequest("GET", "/v1/modules?follow=perhaps", nil))
	if w.Code != 400 || !strings.Contains(w.Body.String(), "follow is") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
