package modules

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/wire"
)

func TestAllOff(t *testing.T) {
	list := []sdk.ModuleStatus{
		{Name: "a", State: wire.Ready}, {Name: "b", State: wire.Disabled}, {Name: "c", State: wire.Failed, Enabled: true},
		{Name: "d", State: wire.Disabled, Overridden: true}, {Name: "e", State: wire.Backoff},
	}
	for _, tt := range []struct {
		names  []string
		module string // "-": not off
		reason string
	}{
		{[]string{"a"}, "-", ""},
		{[]string{"b", "a"}, "-", ""},
		{[]string{"e"}, "-", ""},
		{[]string{"b", "c"}, "b", `module "b" is disabled in the config`},
		{[]string{"c"}, "c", `module "c" has failed`},
		{[]string{"x", "d"}, "d", `module "d" is switched off`},
		{[]string{"x", "y"}, "", `the config has no module "x" or "y"`},
	} {
		got := AllOff(list, tt.names)
		if tt.module == "-" && got != nil || tt.module != "-" && (got == nil || *got != Off{tt.module, tt.reason}) {
			t.Errorf("AllOff(%q) = %+v, want %q %q", tt.names, got, tt.module, tt.reason)
		}
	}
}

// host is a host that tells what comes in listings.
type host struct {
	listings chan []sdk.ModuleStatus // closed: it breaks off
	asked    []string
}

func (h *host) Follow(ctx context.Context, f func([]sdk.ModuleStatus) error) error {
	for {
		select {
		case list, ok := <-h.listings:
			if !ok {
				return errors.New("broken off")
			}
			if err := f(list); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (h *host) Module(_ context.Context, name string) (sdk.ModuleDetail, error) {
	h.asked = append(h.asked, name)
	return sdk.ModuleDetail{ModuleStatus: sdk.ModuleStatus{Name: name, State: wire.Ready, PID: 1}, Command: "/bin/" + name}, nil
}

func TestList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{listings: make(chan []sdk.ModuleStatus)}
		l := NewList(h)
		ctx, end := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() {
			defer close(over)
			l.Run(ctx)
		}()
		defer func() {
			end()
			<-over
		}()
		row := func(name string, pid int) sdk.ModuleStatus {
			return sdk.ModuleStatus{Name: name, State: wire.Ready, PID: pid}
		}
		h.listings <- []sdk.ModuleStatus{row("a", 1), row("b", 1)}
		synctest.Wait()
		s, _ := l.State()
		if len(s.Modules) != 2 || s.Details["a"].Command != "/bin/a" || fmt.Sprint(h.asked) != "[a b]" {
			t.Errorf("state = %+v after asking for %v, want both with their details", s, h.asked)
		}
		h.listings <- []sdk.ModuleStatus{row("a", 1), row("b", 2)}
		synctest.Wait()
		if fmt.Sprint(h.asked) != "[a b b]" {
			t.Errorf("asked for %v, want the details of the one that has changed", h.asked)
		}
		h.listings <- []sdk.ModuleStatus{row("a", 1)}
		synctest.Wait()
		if s, _ := l.State(); len(s.Modules) != 1 || len(s.Details) != 1 {
			t.Errorf("state = %+v, want one module only", s)
		}
		close(h.listings)
		synctest.Wait()
		if s, _ := l.State(); s.Err == nil || len(s.Modules) != 1 {
			t.Errorf("state = %+v, want what was known and why there is no more", s)
		}
	})
}

func TestTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := make(chan string)
		source := Tail(func(ctx context.Context, f func(sdk.LogLine) error) error {
			for text := range lines {
				if err := f(sdk.LogLine{Text: text, Level: "info", Time: time.Now()}); err != nil {
					return err
				}
			}
			return nil
		})
		var sent []Lines
		over := make(chan error)
		go func() {
			over <- source(t.Context(), func(data any) error {
				sent = append(sent, data.(Lines))
				return nil
			})
		}()
		for i := range 250 {
			lines <- fmt.Sprint(i)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(sent) != 1 || !sent[0].All || len(sent[0].Lines) != mostLines || sent[0].Lines[mostLines-1].Text != "249" {
			t.Fatalf("sent %d times, want the last %d lines at once", len(sent), mostLines)
		}
		lines <- "more"
		time.Sleep(time.Second)
		synctest.Wait()
		if len(sent) != 2 || sent[1].All || len(sent[1].Lines) != 1 {
			t.Errorf("sent = %+v, want one line more", sent[1:])
		}
		close(lines)
		if err := <-over; err == nil {
			t.Error("the source has ended without an error, want that the log is over")
		}
	})
}
