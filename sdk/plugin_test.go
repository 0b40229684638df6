package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
	"github.com/etcd-modules/modhost/sdk/wire"
	"github.com/etcd-modules/modhost/sdk/wire/wirepb"
)

type settings struct {
	Name    string         `hcl:"name,optional"`
	Wait    time.Duration  `hcl:"wait,optional"`
	Count   int            `hcl:"count,optional"`
	Tags    []string       `hcl:"tags,optional"`
	Limits  limits         `hcl:"limits,block"`
	Extra   *limits        `hcl:"extra,block"`
	Rules   []rule         `hcl:"rule,block"`
	Weights map[string]int `hcl:"weights,optional"`
}

type limits struct {
	Size int `hcl:"size,optional"`
	Rate int `hcl:"rate,optional"`
}

type rule struct {
	Label string `hcl:"label,label"`
	Path  string `hcl:"path"`
}

func (s *settings) Validate() error {
	var errs []error
	if s.Count < 0 {
		errs = append(errs, sdk.Invalid("count", "%d is negative; write 0 for none", s.Count))
	}
	if s.Wait > time.Hour {
		errs = append(errs, sdk.Invalid("wait", "%q is too long", s.Wait))
	}
	if s.Name == "nobody" {
		errs = append(errs, errors.New("nobody is nobody"))
	}
	return errors.Join(errs...)
}

func defaults() settings {
	return settings{Name: "default", Wait: time.Second, Limits: limits{1, 2}, Extra: &limits{3, 4}, Rules: []rule{{"a", "/"}}}
}

// plugin makes one, and says what its constructor got.
func plugin(t *testing.T, construct func(settings, *sdk.Env) (http.Handler, error), o sdk.Options) wire.Plugin {
	t.Helper()
	o.Logger = hclog.NewNullLogger()
	if o.OpenStore == nil {
		o.OpenStore = func(*wirepb.StoreConfig) (store.Store, error) { return memory.New(), nil }
	}
	return sdk.NewPlugin("test", defaults(), construct, o)
}

// configure returns "line:column summary: detail" of each diagnostic.
func configure(t *testing.T, p wire.Plugin, source string) []string {
	t.Helper()
	resp, err := p.Configure(t.Context(), &wirepb.ConfigureRequest{
		Module: "test", Mounts: []string{"/mod/test"},
		Config: &wirepb.ConfigBlock{Source: []byte(source), Filename: "m.hcl", Line: 7, Column: 11, Byte: 100, Env: map[string]string{"WHO": "world"}},
		Ended:  []*wirepb.EndedProcess{{ProcessId: "p1"}}, ProcessId: "p2", Privileges: []string{"keys"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range resp.GetDiagnostics() {
		out = append(out, fmt.Sprintf("%s:%d:%d %s: %s", d.GetFilename(), d.GetLine(), d.GetColumn(), d.GetSummary(), d.GetDetail()))
	}
	return out
}

func TestConfigure_Decodes(t *testing.T) {
	for _, tt := range []struct {
		name, source string
		want         func(*settings)
	}{
		{"empty keeps defaults", "", func(*settings) {}},
		{"attributes", "\n name = \"x\"\n wait = \"1m30s\"\n count = 2 + 1\n tags = [\"a\"]\n weights = { a = 1 }\n", func(s *settings) {
			s.Name, s.Wait, s.Count, s.Tags, s.Weights = "x", 90*time.Second, 3, []string{"a"}, map[string]int{"a": 1}
		}},
		{"env", "\n name = \"hello ${env(\"WHO\")}\"\n", func(s *settings) { s.Name = "hello world" }},
		{"blocks keep defaults within", "\n limits {\n size = 9\n }\n extra {\n rate = 8\n }\n", func(s *settings) {
			s.Limits.Size, s.Extra = 9, &limits{3, 8}
		}},
		{"a list of blocks replaces", "\n rule \"x\" {\n path = \"/x\"\n }\n rule \"y\" {\n path = \"/y\"\n }\n", func(s *settings) {
			s.Rules = []rule{{"x", "/x"}, {"y", "/y"}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got settings
			p := plugin(t, func(s settings, _ *sdk.Env) (http.Handler, error) { got = s; return http.NotFoundHandler(), nil }, sdk.Options{})
			if diags := configure(t, p, tt.source); len(diags) > 0 {
				t.Fatalf("diagnostics: %q", diags)
			}
			want := defaults()
			tt.want(&want)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("config = %+v, want %+v", got, want)
			}
		})
	}
}

func TestConfigure_Complains(t *testing.T) {
	for _, tt := range []struct {
		name, source string
		want         []string
	}{
		{"typo", "\n  nam = \"x\"\n", []string{`m.hcl:8:3 Unsupported argument: An argument named "nam" is not expected here. Did you mean "name"?`}},
		{"typo on the first line", ` cout = 1 `, []string{`m.hcl:7:12 Unsupported argument: An argument named "cout" is not expected here. Did you mean "count"?`}},
		{"unknown block", "\n\n limit {\n }\n", []string{`m.hcl:9:2 Unsupported block type: Blocks of type "limit" are not expected here. Did you mean "limits"?`}},
		{"wrong type", "\n count = \"many\"\n", []string{`m.hcl:8:10 Unsuitable value type: Unsuitable value for "count": a number is required.`}},
		{"no duration", "\n wait = \"10\"\n", []string{`m.hcl:8:9 Unsuitable value type: Unsuitable value for "wait": "10" is no duration; write it like "1m30s".`}},
		{"missing in a block", "\n rule \"x\" {\n }\n", []string{`m.hcl:8:11 Missing required argument: The argument "path" is required, but no definition was found.`}},
		{"twice", "\n limits {}\n limits {}\n", []string{`m.hcl:9:2 Duplicate limits block: Only one limits block is allowed; put all of it into one.`}},
		{"unset variable", "\n name = env(\"NOT\")\n", []string{`m.hcl:8:14 Invalid function argument: Invalid value for "name" parameter: environment variable "NOT" is not set; set it for the host.`}},
		{"validate", "\n count = -1\n wait = \"2h\"\n", []string{
			`m.hcl:8:10 Invalid value for "count": -1 is negative; write 0 for none`,
			`m.hcl:9:9 Invalid value for "wait": "2h0m0s" is too long`,
		}},
		{"validate the whole", "\n name = \"nobody\"\n", []string{`m.hcl:7:11 Invalid config: nobody is nobody`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := plugin(t, func(settings, *sdk.Env) (http.Handler, error) {
				t.Error("constructor called")
				return nil, nil
			}, sdk.Options{})
			if got := configure(t, p, tt.source); strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("diagnostics\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestConfigure_ConstructorFails(t *testing.T) {
	for name, tt := range map[string]struct {
		construct func(settings, *sdk.Env) (http.Handler, error)
		want      string
	}{
		"error":   {func(settings, *sdk.Env) (http.Handler, error) { return nil, errors.New("no luck") }, "no luck"},
		"panic":   {func(settings, *sdk.Env) (http.Handler, error) { panic("boom") }, "its constructor panicked: boom; the stack is in the log"},
		"nothing": {func(settings, *sdk.Env) (http.Handler, error) { return nil, nil }, "its constructor returned no handler"},
	} {
		t.Run(name, func(t *testing.T) {
			closed := &closeStore{Store: memory.New()}
			p := plugin(t, tt.construct, sdk.Options{OpenStore: func(*wirepb.StoreConfig) (store.Store, error) { return closed, nil }})
			if got := configure(t, p, ""); len(got) != 1 || got[0] != ":0:0 module can't start: "+tt.want {
				t.Errorf("diagnostics = %q, want %q", got, tt.want)
			}
			if closed.n != 1 {
				t.Errorf("store closed %d times, want once", closed.n)
			}
		})
	}
}

type closeStore struct {
	store.Store
	n int
}

func (s *closeStore) Close() error { s.n++; return nil }

type closing struct {
	http.Handler
	store *closeStore
	order *[]int
}

func (c closing) Close(context.Context) error { *c.order = append(*c.order, c.store.n); return nil }

func TestPlugin_LifeCycle(t *testing.T) {
	var env *sdk.Env
	var order []int
	exited := false
	s := &closeStore{Store: memory.New()}
	p := plugin(t, func(_ settings, e *sdk.Env) (http.Handler, error) {
		env = e
		return closing{http.NotFoundHandler(), s, &order}, nil
	}, sdk.Options{OpenStore: func(*wirepb.StoreConfig) (store.Store, error) { return s, nil }, Exit: func() { exited = true }})

	rec := httptest.NewRecorder()
	p.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	if rec.Code != 503 {
		t.Errorf("before Configure: %d, want 503", rec.Code)
	}
	if resp, err := p.Configure(t.Context(), &wirepb.ConfigureRequest{CheckOnly: true}); err != nil || len(resp.GetDiagnostics()) > 0 || env != nil {
		t.Errorf("check only: %v, %v, constructed %t", resp, err, env != nil)
	}
	if diags := configure(t, p, ""); len(diags) > 0 {
		t.Fatal(diags)
	}
	if env.Name != "test" || env.Mounts[0] != "/mod/test" || env.ProcessID != "p2" || env.Ended[0] != "p1" || env.Privileges[0] != "keys" {
		t.Errorf("Env = %+v", env)
	}
	if diags := configure(t, p, ""); len(diags) != 1 {
		t.Errorf("second Configure: %q, want a complaint", diags)
	}
	select {
	case <-env.Draining():
		t.Error("draining before Drain")
	default:
	}
	p.Drain(wire.Drain{Reason: sdk.DrainReplace, Why: "new config", Left: time.Second})
	<-env.Draining()
	if env.DrainReason() != sdk.DrainReplace || env.DrainCause() != "new config" {
		t.Errorf("DrainReason = %v, %q", env.DrainReason(), env.DrainCause())
	}
	p.Drain(wire.Drain{Reason: sdk.DrainStop, Why: "disabled", Left: time.Second})
	if env.DrainReason() != sdk.DrainStop || env.DrainCause() != "disabled" {
		t.Errorf("DrainReason = %v, %q", env.DrainReason(), env.DrainCause())
	}
	if err := errors.Join(p.Close(t.Context()), p.Close(t.Context())); err != nil || len(order) != 1 || order[0] != 0 || s.n != 1 {
		t.Errorf("Close = %v, handler closed %v, store %d times; want the handler before the store, each once", err, order, s.n)
	}
	p.HostGone()
	if !exited {
		t.Error("Exit not called when the host is gone")
	}
}

// What a module calls resumable in its constructor is what the host is told.
func TestPlugin_ResumableMethods(t *testing.T) {
	p := plugin(t, func(_ settings, e *sdk.Env) (http.Handler, error) {
		e.Resumable("POST", "PATCH")
		e.Resumable("PUT")
		return http.NotFoundHandler(), nil
	}, sdk.Options{})
	resp, err := p.Configure(t.Context(), &wirepb.ConfigureRequest{})
	if want := []string{"POST", "PATCH", "PUT"}; err != nil || !reflect.DeepEqual(resp.GetResumableMethods(), want) {
		t.Errorf("Configure = %v, %v, want %q", resp, err, want)
	}
}
