package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A scrape is what /metrics said once.
type scrape struct {
	text     string
	families map[string]*dto.MetricFamily
}

func scraped(t testing.TB, h *drive.Host) scrape {
	t.Helper()
	resp, err := http.Get(h.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET /metrics = %s, %v: %s", resp.Status, err, text)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return scrape{string(text), families}
}

// value returns the sum of a metric's values, or of a histogram's counts, over
// all labels but those given, as name="value"; -1 if there is none.
func (s scrape) value(name string, labels ...string) float64 {
	sum, found := 0.0, false
	for _, m := range s.families[name].GetMetric() {
		has := make(map[string]bool)
		for _, l := range m.GetLabel() {
			has[fmt.Sprintf("%s=%q", l.GetName(), l.GetValue())] = true
		}
		match := true
		for _, l := range labels {
			match = match && has[l]
		}
		if match {
			sum, found = sum+m.GetCounter().GetValue()+m.GetGauge().GetValue()+float64(m.GetHistogram().GetSampleCount()), true
		}
	}
	if !found {
		return -1
	}
	return sum
}

// busy lets a lock go through all that there is, but for an expiry, and takes
// two grants for it.
func busy(t *testing.T, h *drive.Host) {
	t.Helper()
	l := h.Lock(t, "metrics")
	index := l.Take("value", "x")
	l.Refused(423, 700, http.MethodPost, "ttl", 60, "value", "y", "timeout", 0)
	l.Refused(423, 700, http.MethodPost, "ttl", 60, "value", "y", "timeout", 1)
	l.Must(http.MethodPut, "ttl", 600, "value", "x")
	leaves := l.Queue(1)
	leaves.HangUp()
	l.AwaitWaiting(0)
	waits := l.Queue(1)
	l.Release(index)
	l.Release(waits.Granted())
	resp, err := http.Get(h.URL + "/mod/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close() //nolint:errcheck // nothing is read
}

func TestMetrics_OfHostAndModule(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded)
	busy(t, h)
	var s scrape
	drive.Eventually(t, func() error { // the count of a request may come after its answer
		s = scraped(t, h)
		if n := s.value("modhost_http_requests_in_flight", `module="lock"`); n != 0 {
			return fmt.Errorf("%v requests in flight", n)
		}
		if s.value("modhost_queue_mirror_lag_seconds", `module="lock"`) < 1 {
			return errors.New("no mirror lag, want some")
		}
		return nil
	})
	for _, c := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{2, "modhost_queue_grants_total", nil},
		{2, "modhost_queue_wait_seconds", nil},
		{2, "modhost_queue_releases_total", nil},
		{2, "modhost_queue_hold_seconds", nil},
		{1, "modhost_queue_refusals_total", nil},
		{1, "modhost_queue_timeouts_total", nil},
		{1, "modhost_queue_abandoned_total", nil},
		{1, "modhost_queue_renewals_total", nil},
		{0, "modhost_queue_expiries_total", nil},
		{0, "modhost_queue_locks_held", nil},
		{0, "modhost_queue_entries_waiting", nil},
		{2, "modhost_http_requests_total", []string{`method="POST"`, `code="200"`}},
		{2, "modhost_http_requests_total", []string{`method="POST"`, `code="423"`}},
		{1, "modhost_http_requests_total", []string{`method="POST"`, `code="aborted"`}},
		{1, "modhost_http_requests_total", []string{`method="PUT"`, `code="200"`}},
		{2, "modhost_http_requests_total", []string{`method="DELETE"`, `code="200"`}},
		{1, "modhost_rpc_total", []string{`method="Configure"`, `code="OK"`}},
		{1, "modhost_module_state", []string{`state="ready"`}},
		{0, "modhost_module_restarts_total", nil},
		{0, "modhost_module_scrape_errors_total", nil},
		{1, "modhost_module_info", nil},
	} {
		labels := append([]string{`module="lock"`}, c.labels...)
		if got := s.value(c.name, labels...); got != c.want {
			t.Errorf("%s%v = %v, want %v", c.name, labels, got, c.want)
		}
	}
	for _, name := range []string{"modhost_store_calls_total", "modhost_store_watch_events_total", "go_goroutines", "process_resident_memory_bytes"} {
		if got := s.value(name, `module="lock"`); got < 1 {
			t.Errorf("%s of lock = %v, want some", name, got)
		}
	}
	if got := s.value("modhost_http_requests_total", `module=""`, `code="200"`); got < 1 {
		t.Errorf("requests for the host's own routes = %v", got)
	}
	problems, err := promlint.New(strings.NewReader(s.text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "modhost_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	dashboardShows(t, s)
	readmeNames(t, s)
}

var metricName = regexp.MustCompile(`\b(?:modhost|go|process)_[a-z0-9_]+\b`)

// dashboardShows checks that every metric that the dashboard asks for is there,
// and that it asks for all of ours.
func dashboardShows(t *testing.T, s scrape) {
	t.Helper()
	asked := make(map[string]bool)
	for _, p := range dashboard(t).Panels {
		for _, target := range p.Targets {
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					if base := strings.TrimSuffix(name, suffix); s.families[base].GetType() == dto.MetricType_HISTOGRAM {
						name = base
					}
				}
				asked[name] = true
				if s.families[name] == nil {
					t.Errorf("panel %q asks for %s, which is not in /metrics", p.Title, name)
				}
			}
		}
	}
	for name := range s.families {
		if strings.HasPrefix(name, "modhost_") && !asked[name] {
			t.Errorf("%s is in no panel of the dashboard", name)
		}
	}
}

// readmeNames checks that the README tells of every metric of ours, and of no
// other.
func readmeNames(t *testing.T, s scrape) {
	t.Helper()
	_, text, ok := strings.Cut(readFile(t, "README.md"), "\n## Metrics\n")
	if !ok {
		t.Fatal("README.md has no section Metrics")
	}
	text, _, _ = strings.Cut(text, "\n## ")
	told := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| `(modhost_[a-z_]+)").FindAllStringSubmatch(text, -1) {
		told[row[1]] = true
		if s.families[row[1]] == nil {
			t.Errorf("README.md tells of %s, which is not in /metrics", row[1])
		}
	}
	for name := range s.families {
		if strings.HasPrefix(name, "modhost_") && !told[name] {
			t.Errorf("README.md has no row for %s", name)
		}
	}
}

// A grafana is what we look at in a dashboard.
type grafana struct {
	Title         string
	UID           string
	SchemaVersion int
	Templating    struct {
		List []struct {
			Name, Type string
			Datasource *source
		}
	}
	Panels []struct {
		ID          int
		Type, Title string
		Description string
		Datasource  *source
		GridPos     struct{ H, W, X, Y int }
		Targets     []struct {
			Expr       string
			RefID      string
			Datasource *source
		}
	}
}

type source struct{ Type, UID string }

func dashboard(t *testing.T) grafana {
	t.Helper()
	var g grafana
	if err := json.Unmarshal([]byte(readFile(t, "configs/grafana-modhost.json")), &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestDashboard_IsWhole looks for what Grafana would show as an empty or
// misplaced panel without a word.
func TestDashboard_IsWhole(t *testing.T) {
	g := dashboard(t)
	if g.Title == "" || g.UID == "" || g.SchemaVersion < 36 || len(g.Panels) == 0 {
		t.Fatalf("title %q, uid %q, schemaVersion %d, %d panels", g.Title, g.UID, g.SchemaVersion, len(g.Panels))
	}
	ours := source{"prometheus", "${datasource}"}
	variables := map[string]string{"__rate_interval": ""}
	for _, v := range g.Templating.List {
		variables[v.Name] = v.Type
		if v.Type == "query" && (v.Datasource == nil || *v.Datasource != ours) {
			t.Errorf("variable %s asks %v", v.Name, v.Datasource)
		}
	}
	if variables["datasource"] != "datasource" {
		t.Error("there is no variable for the data source")
	}
	var rows []string
	ids := make(map[int]bool)
	taken := make(map[[2]int]string)
	for _, p := range g.Panels {
		if ids[p.ID] {
			t.Errorf("panel %q: id %d is another's", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok || x >= 24 {
					t.Fatalf("panel %q overlaps with %q, or the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if p.Title == "" || p.Description == "" || len(p.Targets) == 0 || p.Datasource == nil || *p.Datasource != ours {
			t.Errorf("panel %d %q: description %q, %d targets, data source %v", p.ID, p.Title, p.Description, len(p.Targets), p.Datasource)
		}
		refs := make(map[string]bool)
		for _, target := range p.Targets {
			if target.Expr == "" || refs[target.RefID] || target.Datasource == nil || *target.Datasource != ours {
				t.Errorf("panel %q: target %+v", p.Title, target)
			}
			refs[target.RefID] = true
			for _, v := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if _, ok := variables[v[1]]; !ok {
					t.Errorf("panel %q: no variable %q", p.Title, v[1])
				}
			}
		}
	}
	if got := strings.Join(rows, ", "); got != "Host, Modules, Locks and leaders, etcd store" {
		t.Errorf("rows: %s", got)
	}
}

// A plugin that does not answer keeps nothing of the host's from being told.
func TestMetrics_PluginHangs(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded)
	if n := scraped(t, h).value("modhost_queue_grants_total", `module="lock"`); n != 0 {
		t.Fatalf("grants at the start: %v", n)
	}
	drive.Signal(t, h.Plugin(), syscall.SIGSTOP)
	s := scraped(t, h)
	if n := s.value("modhost_module_scrape_errors_total", `module="lock"`); n != 1 {
		t.Errorf("scrape errors = %v, want 1", n)
	}
	if s.value("modhost_queue_grants_total") >= 0 || s.value("go_goroutines") < 1 {
		t.Errorf("metrics with a plugin that hangs:\n%s", s.text)
	}
	drive.Signal(t, h.Plugin(), syscall.SIGKILL)
	drive.Eventually(t, func() error {
		s := scraped(t, h)
		if n := s.value("modhost_module_restarts_total", `module="lock"`); n != 1 {
			return fmt.Errorf("restarts = %v, want 1", n)
		}
		if n := s.value("modhost_queue_grants_total", `module="lock"`); n != 0 {
			return fmt.Errorf("grants of the next process = %v, want 0", n)
		}
		return nil
	})
}

// Lock and leader count the same things on the same store.
func TestMetrics_LockAndLeaderAreApart(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded+"module \"leader\" {\n}\n")
	h.Lock(t, "a").Take()
	for _, name := range []string{"x", "y"} {
		drive.LockAt(t, h.URL+"/mod/leader/"+name).Must(http.MethodPut, "ttl", 60, "name", "me")
	}
	s := scraped(t, h)
	for module, want := range map[string]float64{"lock": 1, "leader": 2} {
		for _, name := range []string{"modhost_queue_grants_total", "modhost_queue_locks_held"} {
			if got := s.value(name, fmt.Sprintf("module=%q", module)); got != want {
				t.Errorf("%s of %s = %v, want %v", name, module, got, want)
			}
		}
	}
}

func TestMetrics_Reloads(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded)
	const at = "modhost_last_reload_success_timestamp_seconds"
	first := scraped(t, h).value(at)
	reload := func(config, result string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(h.Dir, "modhost.hcl"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		drive.Signal(t, h.PID(), syscall.SIGHUP)
		drive.Eventually(t, func() error {
			if n := scraped(t, h).value("modhost_reloads_total", fmt.Sprintf("result=%q", result)); n != 1 {
				return fmt.Errorf("%v reloads with result %s, want 1", n, result)
			}
			return nil
		})
	}
	reload(drive.Embedded+"nonsense = 1\n", "failure")
	if got := scraped(t, h).value(at); got != first {
		t.Errorf("%s = %v after a refusal, want %v", at, got, first)
	}
	reload(drive.Embedded, "success")
	if got := scraped(t, h).value(at); got <= first {
		t.Errorf("%s = %v, want it to be later than %v", at, got, first)
	}
	if n := scraped(t, h).value("modhost_reloads_total", `result="failure"`); n != 1 {
		t.Errorf("%v failures after a success, want 1", n)
	}
}

// What the store does not tell is not made up.
func TestMetrics_WithoutEtcd(t *testing.T) {
	t.Parallel()
	h := programs(t).Launch(t, drive.Joined("http://127.0.0.1:1"))
	drive.Eventually(t, func() error {
		s := scraped(t, h)
		switch {
		case s.value("modhost_queue_requests_waiting", `module="lock"`) != 0:
			return fmt.Errorf("the module tells nothing:\n%s", s.text)
		case s.value("modhost_queue_locks_held") >= 0 || s.value("modhost_queue_entries_waiting") >= 0:
			return fmt.Errorf("gauges of a store that is out of reach:\n%s", s.text)
		case s.value("modhost_store_calls_total", `result="unavailable"`) < 1:
			return fmt.Errorf("no call that failed:\n%s", s.text)
		}
		return nil
	})
}

// TestTrace_LogLinesNameTheRequest follows a request with a trace through host
// and plugin to what they log about it.
func TestTrace_LogLinesNameTheRequest(t *testing.T) {
	t.Parallel()
	h := programs(t).Launch(t, `log_level = "debug"`+drive.Joined("http://127.0.0.1:1"))
	drive.Eventually(t, func() error {
		if m := h.Module("lock"); m.State != "ready" {
			return fmt.Errorf("lock is %s", m.State)
		}
		return nil
	})
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	for header, want := range map[string]any{"00-" + trace + "-00f067aa0ba902b7-01": trace, "00-" + trace + "-01": nil} {
		r, err := http.NewRequest(http.MethodGet, h.URL+"/mod/v2/lock/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("traceparent", header)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close() //nolint:errcheck // nothing is read
		id := resp.Header.Get("X-Request-Id")
		if resp.StatusCode != http.StatusServiceUnavailable || id == "" {
			t.Fatalf("answer %s, id %q", resp.Status, id)
		}
		for _, message := range []string{"store unavailable", "request"} { // the module's and the host's
			var line map[string]any
			drive.Eventually(t, func() error {
				for _, text := range h.Log() {
					line = nil
					if json.Unmarshal([]byte(text), &line) == nil && line["@message"] == message && line["request_id"] == id {
						return nil
					}
				}
				return fmt.Errorf("no line %q about request %s", message, id)
			})
			if line["trace_id"] != want || line["module"] != "lock" {
				t.Errorf("with traceparent %s: %v; want trace_id %v", header, line, want)
			}
		}
	}
}
