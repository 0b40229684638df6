package metrics

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/proto"

	"github.com/etcd-modules/modhost/host/supervisor"
)

// fakeModules are modules by their texts; one that has none is not ready.
type fakeModules map[string]func(context.Context) ([]byte, error)

func (f fakeModules) Modules() []supervisor.Status {
	var list []supervisor.Status
	for name, text := range f {
		s := supervisor.Status{Name: name, State: supervisor.Ready, Since: time.Unix(1000, 500e6), Version: "v1", Restarts: 2}
		if text == nil {
			s.State, s.Version = supervisor.Failed, ""
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b supervisor.Status) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (f fakeModules) Metrics(ctx context.Context, module string) ([]byte, error) {
	return f[module](ctx)
}

func says(text string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) { return []byte(text), ctx.Err() }
}

// A page is /metrics of a host under test.
type page struct {
	*Metrics
	t   *testing.T
	log strings.Builder
	get func() string
}

func newPage(t *testing.T, modules fakeModules) *page {
	p := &page{t: t}
	p.Metrics = New("v1.2.3", hclog.New(&hclog.LoggerOptions{Output: &p.log}))
	h := p.Handler(modules)
	p.get = func() string {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
			t.Fatalf("answer %d, %v: %s", w.Code, w.Header(), w.Body)
		}
		return w.Body.String()
	}
	return p
}

// families reads a text, which must be in good form.
func families(t testing.TB, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	f, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return f
}

// wants checks for lines; those that begin with ! must not be there.
func (p *page) wants(lines ...string) {
	p.t.Helper()
	text := p.get()
	families(p.t, text)
	for _, line := range lines {
		line, not := strings.CutPrefix(line, "!")
		if strings.Contains("\n"+text, "\n"+line) == not {
			p.t.Errorf("line %q is there: %t, in\n%s", line, !not, text)
		}
	}
}

// logged checks how many lines the log has, and what is in the last.
func (p *page) logged(n int, parts ...string) {
	p.t.Helper()
	lines := strings.Split(strings.TrimSpace(p.log.String()), "\n")
	if p.log.Len() == 0 {
		lines = nil
	}
	if len(lines) != n {
		p.t.Errorf("%d lines in the log, want %d:\n%s", len(lines), n, p.log.String())
		return
	}
	for _, part := range parts {
		if !strings.Contains(lines[n-1], part) {
			p.t.Errorf("log: %s; want %q in it", lines[n-1], part)
		}
	}
}

func TestHandler_AddsTheModuleToWhatModulesTell(t *testing.T) {
	p := newPage(t, fakeModules{
		"a": says("# HELP x_total X of a.\n# TYPE x_total counter\nx_total 1\nx_total{code=\"200\"} 2\n"),
		"b": says("# HELP x_total X of b.\n# TYPE x_total counter\nx_total 3\n" +
			"# HELP y Y.\n# TYPE y histogram\ny_bucket{le=\"1\"} 1\ny_bucket{le=\"+Inf\"} 2\ny_sum 4\ny_count 2\n"),
		"c": says(""),
	})
	p.wants(
		"# HELP x_total X of a.\n# TYPE x_total counter\nx_total{module=\"a\"} 1\nx_total{code=\"200\",module=\"a\"} 2\nx_total{module=\"b\"} 3\n",
		`y_bucket{module="b",le="1"} 1`+"\n",
		`modhost_module_scrape_errors_total{module="a"} 0`+"\n",
		`modhost_module_scrape_errors_total{module="c"} 0`+"\n",
		`!modhost_module_scrape_errors_total{module="a"} 1`,
	)
	p.logged(0)
}

func TestHandler_LabelOfOursIsExported(t *testing.T) {
	p := newPage(t, fakeModules{"a": says(`x{module="m",exported_module="e"} 1` + "\n" + `y{module="m"} 1` + "\n")})
	p.wants(
		`x{exported_exported_module="m",exported_module="e",module="a"} 1`+"\n",
		`y{exported_module="m",module="a"} 1`+"\n",
	)
}

func TestHandler_LeavesOutWhatCollides(t *testing.T) {
	p := newPage(t, fakeModules{
		"a": says("# TYPE x counter\nx 1\n# TYPE go_goroutines gauge\ngo_goroutines 7\n# TYPE process_open_fds counter\nprocess_open_fds 7\n" +
			"modhost_http_requests_total{module=\"lock\"} 1e9\nmodhost_rpc_total 1e9\n# TYPE modhost_store_calls_total counter\nmodhost_store_calls_total 5\n"),
		"b": says("# TYPE x gauge\nx 2\ny 3\ntwice{a=\"1\"} 1\ntwice{a=\"1\"} 2\n"),
	})
	want := []string{
		`x{module="a"} 1` + "\n", `!x{module="b"}`, `y{module="b"} 3` + "\n", "!twice",
		`go_goroutines{module="a"} 7` + "\n", `!process_open_fds{module="a"}`, "process_open_fds ",
		`!modhost_http_requests_total{`, `!modhost_rpc_total`, `modhost_store_calls_total{module="a"} 5` + "\n",
		`modhost_module_scrape_errors_total{module="a"} 0` + "\n",
	}
	p.wants(want...)
	p.logged(5, "module=b", "metric=x", "another type")
	p.wants(want...) // each is said once
	p.logged(5)
}

func TestHandler_ModuleInBadFormIsCounted(t *testing.T) {
	texts := []string{"# TYPE x counter\n# TYPE x counter\nx 1\n", "x{ 1\n", "x one\n", "\x00\xff", "# TYPE x counter\nx{a=\"\xff\"} 1\n"}
	modules := fakeModules{"good": says("y 1\n")}
	p := newPage(t, modules)
	for i, text := range texts {
		modules["bad"] = says(text)
		p.wants(`y{module="good"} 1`+"\n", "!x", `modhost_module_scrape_errors_total{module="bad"} `+string(rune('1'+i))+"\n")
	}
	p.logged(1, "module=bad", "metrics of a module not gathered")
	modules["bad"] = says("x 1\n")
	p.wants(`x{module="bad"} 1` + "\n")
	modules["bad"] = says("x one\n")
	p.wants("!x{")
	p.logged(2, "module=bad")
}

func TestHandler_ModuleThatHangsOrFailsHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := func(ctx context.Context) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		p := newPage(t, fakeModules{
			"good": says("y 1\n"), "hangs": hangs, "hangs-too": hangs, "off": nil, "other": says("y 2\n"),
			"fails": func(context.Context) ([]byte, error) { return nil, errors.New("plugin gone") },
		})
		began := time.Now()
		p.wants(`y{module="good"} 1`+"\n", `y{module="other"} 2`+"\n",
			`modhost_module_scrape_errors_total{module="good"} 0`+"\n",
			`modhost_module_scrape_errors_total{module="hangs"} 1`+"\n",
			`modhost_module_scrape_errors_total{module="hangs-too"} 1`+"\n",
			`modhost_module_scrape_errors_total{module="fails"} 1`+"\n",
			`!modhost_module_scrape_errors_total{module="off"}`)
		if took := time.Since(began); took != moduleTime {
			t.Errorf("took %v, want %v", took, moduleTime)
		}
		p.logged(3)
	})
}

// The text encoder would stop in the middle of the page.
func TestMetrics_LeavesOutWhatCantBeShown(t *testing.T) {
	p := newPage(t, nil)
	all := make(map[string]*dto.MetricFamily)
	p.add(all, account{module: "a", families: map[string]*dto.MetricFamily{
		"x": {Name: proto.String("x"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{}}},
	}})
	if len(all) > 0 {
		t.Errorf("shown: %v", all)
	}
	p.logged(1, "module=a", "metric=x", "expected histogram")
}

// A scraper that leaves is not the modules' fault.
func TestHandler_ScraperLeaves(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m := New("", hclog.NewNullLogger())
	h := m.Handler(fakeModules{"a": func(ctx context.Context) ([]byte, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/metrics", nil))
	all, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == "modhost_module_scrape_errors_total" {
			t.Errorf("counted: %v", f)
		}
	}
}

func TestHandler_TellsOfModules(t *testing.T) {
	p := newPage(t, fakeModules{"a": says(""), "b": nil})
	p.wants(
		`modhost_module_state{module="a",state="ready"} 1`+"\n",
		`modhost_module_state{module="a",state="failed"} 0`+"\n",
		`modhost_module_state{module="b",state="failed"} 1`+"\n",
		`modhost_module_state_timestamp_seconds{module="a"} 1000.5`+"\n",
		`modhost_module_restarts_total{module="a"} 2`+"\n",
		`modhost_module_info{module="a",version="v1"} 1`+"\n",
		`!modhost_module_info{module="b"`,
		`modhost_build_info{go_version="go`,
		"go_goroutines ", "process_start_time_seconds ",
	)
}

func TestMetrics_Requests(t *testing.T) {
	p := newPage(t, nil)
	p.Began("lock")
	p.Began("lock")
	p.Began("lock")
	p.wants(`modhost_http_requests_in_flight{module="lock"} 3` + "\n")
	p.Ended("lock", "GET", 200, time.Second)
	p.Ended("lock", "BREW", 405, 2*time.Second)
	p.Ended("lock", "POST", 0, 3*time.Hour)
	p.Ended("", "GET", 404, time.Millisecond)
	p.wants(
		`modhost_http_requests_in_flight{module="lock"} 0`+"\n",
		`!modhost_http_requests_in_flight{module=""}`,
		`modhost_http_requests_total{code="200",method="GET",module="lock"} 1`+"\n",
		`modhost_http_requests_total{code="405",method="other",module="lock"} 1`+"\n",
		`modhost_http_requests_total{code="aborted",method="POST",module="lock"} 1`+"\n",
		`modhost_http_requests_total{code="404",method="GET",module=""} 1`+"\n",
		`modhost_http_request_duration_seconds_bucket{code="aborted",module="lock",le="3600"} 0`+"\n",
		`modhost_http_request_duration_seconds_bucket{code="aborted",module="lock",le="14400"} 1`+"\n",
	)
}

func TestMetrics_Reloads(t *testing.T) {
	p := newPage(t, nil)
	const at = "modhost_last_reload_success_timestamp_seconds "
	p.wants(`modhost_reloads_total{result="success"} 0`+"\n", `modhost_reloads_total{result="failure"} 0`+"\n")
	first := value(t, p.get(), at)
	p.Reloaded(false)
	if got := value(t, p.get(), at); got != first {
		t.Errorf("time of the last reload = %s after a bad one, want %s", got, first)
	}
	for value(t, p.get(), at) == first { // the clock goes on, maybe not at once
		p.Reloaded(true)
	}
	p.wants(`modhost_reloads_total{result="failure"} 1` + "\n")
}

func value(t *testing.T, text, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "\n"+name)
	if !ok {
		t.Fatalf("no %sin\n%s", name, text)
	}
	v, _, _ := strings.Cut(rest, "\n")
	return v
}

// exercise uses every metric once.
func (p *page) exercise() {
	p.Began("a")
	p.Ended("a", "GET", 200, time.Second)
	p.rpcs.WithLabelValues("a", "Serve", "OK").Inc()
	p.rpcDuration.WithLabelValues("a", "Serve").Observe(1)
}

func TestMetrics_NamesAreGoodAndReserved(t *testing.T) {
	p := newPage(t, fakeModules{"a": says("")})
	p.exercise()
	text := p.get()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		if strings.HasPrefix(problem.Metric, "modhost_") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
	n := 0
	for name, f := range families(t, text) {
		if !strings.HasPrefix(name, "modhost_") {
			continue
		}
		if n++; !reserved(name) || f.GetHelp() == "" {
			t.Errorf("%s: reserved %t, help %q", name, reserved(name), f.GetHelp())
		}
	}
	if n != 13 {
		t.Errorf("%d metrics of the host, want 13; is one not exercised?", n)
	}
}

func TestMetrics_ConcurrentUse(t *testing.T) {
	p := newPage(t, fakeModules{"a": says("x 1\n"), "b": says("x{ 1\n")})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				p.exercise()
				p.get()
			}
		})
	}
	all.Wait()
	p.wants(`modhost_http_requests_total{code="200",method="GET",module="a"} 160` + "\n")
}

// Whatever a module tells, the page stays readable and the host's own.
func FuzzHandler(f *testing.F) {
	for _, text := range []string{
		"x 1\n", "# TYPE x histogram\nx 1\n", "# TYPE x summary\nx{quantile=\"0.5\"} 1\n", "x{module=\"a\",module=\"b\"} 1\n",
		"# TYPE x histogram\nx_bucket{le=\"1\"} 1\n", "modhost_module_state 1\n", "go_goroutines 1\n", "# HELP x\nx NaN 123\n",
		"# TYPE x histogram\nx_sum 1\n# TYPE x_sum counter\nx_sum 1\n", "# TYPE x gaugehistogram\nx 1\n",
	} {
		f.Add(text)
	}
	modules := fakeModules{"good": says("y 1\n")}
	h := New("", hclog.NewNullLogger()).Handler(modules)
	f.Fuzz(func(t *testing.T, text string) {
		modules["bad"] = says(text)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		all := families(t, w.Body.String())
		if w.Code != 200 || all["modhost_module_state"] == nil || all["process_start_time_seconds"] == nil {
			t.Errorf("answer %d: %s", w.Code, w.Body)
		}
		for _, f := range all {
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					if reserved(f.GetName()) && l.GetName() == "exported_module" {
						t.Errorf("the module speaks for the host: %v", f)
					}
				}
			}
		}
	})
}
