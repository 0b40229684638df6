package host

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"github.com/etcd-modules/modhost/host/admin"
	"github.com/etcd-modules/modhost/host/config"
	"github.com/etcd-modules/modhost/host/supervisor"
	"github.com/etcd-modules/modhost/sdk/wire"
)

// operated is a host under test with its operator.
type operated struct {
	*running
	*folder
	orders *admin.Client
}

// operate starts a host with the config in f, which it reloads when told, and
// waits until it is ready.
func operate(t *testing.T, f *folder) *operated {
	t.Helper()
	cfg := f.load(t)
	r := run(t, cfg, func(h *Host) {
		h.read = func() (*config.Config, hcl.Diagnostics) { return config.Examine(f.dir) }
	})
	r.awaitReady(t)
	orders, err := admin.NewClient(cfg.Admin)
	if err != nil {
		t.Fatal(err)
	}
	return &operated{r, f, orders}
}

// reload demands a good reload.
func (o *operated) reload(t *testing.T, dryRun bool) *admin.Report {
	t.Helper()
	report, err := o.orders.Reload(t.Context(), dryRun)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range report.Complaints {
		t.Error(c)
	}
	return report
}

func (o *operated) pid(t *testing.T, name string) int {
	t.Helper()
	return o.listed(t)[name].PID
}

// own puts a copy of the test plugin where a test may replace it, and returns
// its path. A file that runs can't be written, so that it is replaced.
func own(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(pluginFolder, "modhost-test"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "program")
	err = errors.Join(os.WriteFile(path+".new", text, 0o700), os.Rename(path+".new", path))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// What a reload would do, for each kind of change alone.
func TestReload_Plan(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	program := own(t, f.dir)
	mod := fmt.Sprintf("  command = %q\n", program)
	f.module(t, "mod", mod)
	f.module(t, "off", "  enabled = false\n")
	f.module(t, "other", "")
	o := operate(t, f)
	before := o.listed(t)
	changed := func(process string, settings ...string) []admin.Change {
		return []admin.Change{{Module: "mod", Kind: "changed", Settings: settings, Process: process}}
	}
	host := func(settings ...string) admin.Change {
		return admin.Change{Kind: "changed", Settings: settings}
	}
	for _, c := range []struct {
		name   string
		change func()
		want   []admin.Change
	}{
		{"nothing", func() {}, []admin.Change{}},
		{"a comment", func() { f.module(t, "mod", "  # new\n\n"+mod) }, []admin.Change{}},
		{"a default written out", func() { f.module(t, "mod", mod+"  enabled = true\n  mounts = [\"/mod/mod\"]\n") }, []admin.Change{}},
		{"an empty config block", func() { f.module(t, "mod", mod+"  config {\n  # none\n  }\n") }, []admin.Change{}},
		{"config", func() { f.module(t, "mod", mod+"  config {\n    size = 1\n  }\n") }, changed(admin.Replace, "config")},
		{"mounts", func() { f.module(t, "mod", mod+"  mounts = [\"/mod/x\", \"/mod/mod\"]\n") }, changed(admin.Replace, "mounts")},
		{"command", func() { f.module(t, "mod", "") }, changed(admin.Replace, "command")},
		{"args", func() { f.module(t, "mod", mod+"  args = [\"x\"]\n") }, changed(admin.Replace, "args")},
		{"env that is set", func() { f.module(t, "mod", mod+"  env = [\"PATH\"]\n") }, changed(admin.Replace, "env")},
		{"env that is not set", func() { f.module(t, "mod", mod+"  env = [\"MODHOST_TEST_UNSET\"]\n") }, changed(admin.Keep, "env")},
		{"privileges", func() { f.module(t, "mod", mod+"  privileges = [\"keys\"]\n") }, changed(admin.Replace, "privileges")},
		{"limits", func() { f.module(t, "mod", mod+"  limits {\n    concurrency = 1\n  }\n") }, changed(admin.Keep, "limits")},
		{"restart", func() { f.module(t, "mod", mod+"  restart {\n    max = 1\n  }\n") }, changed(admin.Keep, "restart")},
		{"limits and args", func() { f.module(t, "mod", mod+"  args = [\"x\"]\n  limits {\n    concurrency = 1\n  }\n") }, changed(admin.Replace, "args", "limits")},
		{"disabled", func() { f.module(t, "mod", mod+"  enabled = false\n") }, changed(admin.Stop, "enabled")},
		{"disabled and more", func() { f.module(t, "mod", mod+"  enabled = false\n  args = [\"x\"]\n") }, changed(admin.Stop, "enabled", "args")},
		{"removed", func() { f.write(t, "mod", "") }, []admin.Change{{Module: "mod", Kind: "removed", Settings: []string{}, Process: admin.Stop}}},
		{"enabled", func() { f.module(t, "off", "") }, []admin.Change{{Module: "off", Kind: "changed", Settings: []string{"enabled"}, Process: admin.Start}}},
		{"disabled one changed", func() { f.module(t, "off", "  enabled = false\n  args = [\"x\"]\n") },
			[]admin.Change{{Module: "off", Kind: "changed", Settings: []string{"args"}, Process: admin.Keep}}},
		{"disabled one removed", func() { f.write(t, "off", "") }, []admin.Change{{Module: "off", Kind: "removed", Settings: []string{}, Process: admin.Keep}}},
		{"added", func() { f.module(t, "new", "") }, []admin.Change{{Module: "new", Kind: "added", Settings: []string{}, Process: admin.Start}}},
		{"added and disabled", func() { f.module(t, "new", "  enabled = false\n") },
			[]admin.Change{{Module: "new", Kind: "added", Settings: []string{}, Process: admin.Keep}}},
		{"renamed", func() { f.write(t, "mod", ""); f.module(t, "new", mod+"  mounts = [\"/mod/mod\"]\n") }, []admin.Change{
			{Module: "new", Kind: "added", Settings: []string{}, Process: admin.Start},
			{Module: "mod", Kind: "removed", Settings: []string{}, Process: admin.Stop},
		}},
		{"log_level", func() { f.write(t, "host", "log_level = \"trace\"\n") }, []admin.Change{host("log_level")}},
		{"drain_timeout", func() { f.write(t, "host", "log_level = \"debug\"\ndrain_timeout = \"1s\"\n") }, []admin.Change{host("drain_timeout")}},
		{"built anew", func() { own(t, f.dir) }, changed(admin.Replace, "program")},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.change()
			if got := o.reload(t, true); got.Applied || !got.DryRun || !reflect.DeepEqual(got.Changes, c.want) {
				t.Errorf("Reload: %+v\nwant   %+v", got, c.want)
			}
			// Back to what runs, but for the program.
			f.write(t, "host", "log_level = \"debug\"\n")
			f.module(t, "mod", mod)
			f.module(t, "off", "  enabled = false\n")
			if _, err := os.Stat(filepath.Join(f.dir, "new.hcl")); err == nil {
				f.write(t, "new", "")
			}
		})
	}
	if after := o.listed(t); !reflect.DeepEqual(after, before) {
		t.Errorf("after dry runs: %+v\nbefore:         %+v", after, before)
	}
}

// What an operator has set ends with a reload, and the report says so.
func TestReload_EndsWhatWasOrdered(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.module(t, "mod", "")
	f.module(t, "off", "  enabled = false\n")
	o := operate(t, f)
	ctx := t.Context()
	pid := o.pid(t, "mod")
	if _, err := o.orders.Switch(ctx, "off", true); err != nil {
		t.Fatal(err)
	}
	if err := o.orders.SetLogLevel(ctx, "trace"); err != nil {
		t.Fatal(err)
	}
	if s := o.listed(t)["off"]; s.State != supervisor.Ready || !s.Enabled || !s.Overridden {
		t.Errorf("switched on: %+v", s)
	}
	want := []admin.Change{
		{Kind: "changed", Settings: []string{"log_level"}},
		{Module: "off", Kind: "changed", Settings: []string{"enabled"}, Process: admin.Stop},
	}
	if got := o.reload(t, true); !reflect.DeepEqual(got.Changes, want) {
		t.Errorf("dry run: %+v\nwant %+v", got.Changes, want)
	}
	want[1].State = supervisor.Disabled
	if got := o.reload(t, false); !got.Applied || !reflect.DeepEqual(got.Changes, want) {
		t.Errorf("reload: %+v\nwant %+v", got.Changes, want)
	}
	if level, err := o.orders.LogLevel(ctx); err != nil || level != "debug" {
		t.Errorf("LogLevel = %q, %v", level, err)
	}
	if s := o.listed(t)["off"]; s.State != supervisor.Disabled || s.Overridden {
		t.Errorf("after the reload: %+v", s)
	}
	if got := o.reload(t, false); len(got.Changes) > 0 {
		t.Errorf("a second reload changes %+v", got.Changes)
	}
	if got := o.pid(t, "mod"); got != pid {
		t.Errorf("mod has process %d, had %d", got, pid)
	}

	// Switched to what the file says is no override.
	if _, err := o.orders.Switch(ctx, "mod", true); err != nil {
		t.Fatal(err)
	}
	if s := o.listed(t)["mod"]; s.Overridden || s.PID != pid {
		t.Errorf("enabled twice: %+v", s)
	}
}

// A process that did not start is tried again by the next reload, and not by an
// order that is about another module.
func TestReload_TriesAgain(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	program := own(t, f.dir)
	f.module(t, "mod", fmt.Sprintf("  command = %q\n", program))
	f.module(t, "other", "")
	o := operate(t, f)
	pid := o.pid(t, "mod")
	f.module(t, "mod", fmt.Sprintf("  command = %q\n  args = [\"fail-beside\", %q]\n  mounts = [\"/mod/new\"]\n", program, filepath.Join(f.dir, "obstacle")))
	if err := os.WriteFile(filepath.Join(f.dir, "obstacle"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		report := o.reload(t, false)
		if len(report.Changes) != 1 || !report.Changes[0].Failed() || report.Changes[0].PID != pid || report.Changes[0].Process != admin.Replace {
			t.Errorf("Reload: %+v, want a failed replacement of %d", report, pid)
		}
	}
	// The old one serves what it knows.
	wantGet(t, o.url+"/mod/mod/1", 200, "GET 1")
	wantGet(t, o.url+"/mod/new/1", 404, `module \"mod\" is not mounted at \"/mod/new\"`)
	if err := os.Remove(filepath.Join(f.dir, "obstacle")); err != nil {
		t.Fatal(err)
	}
	if _, err := o.orders.Restart(t.Context(), "other"); err != nil {
		t.Fatal(err)
	}
	if got := o.pid(t, "mod"); got != pid {
		t.Errorf("the order for other gave mod process %d, had %d", got, pid)
	}
	report := o.reload(t, false)
	if len(report.Changes) != 1 || report.Changes[0].Failed() || report.Changes[0].PID == pid || report.Changes[0].State != supervisor.Ready {
		t.Errorf("Reload: %+v, want a new process", report)
	}
	wantGet(t, o.url+"/mod/mod/1", 404, "nothing is mounted")
	wantGet(t, o.url+"/mod/new/1", 200, "GET 1")
	if got := o.reload(t, false); len(got.Changes) > 0 {
		t.Errorf("one more reload changes %+v", got.Changes)
	}
}

// A log level is no reason for a new process, even if the program was built
// anew and a crash has brought the new one in.
func TestControl_LogLevelTouchesNoProcess(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.module(t, "mod", fmt.Sprintf("  command = %q\n", own(t, f.dir)))
	o := operate(t, f)
	first := o.pid(t, "mod")
	own(t, f.dir)
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "a new process", func() bool {
		s := o.listed(t)["mod"]
		return s.State == supervisor.Ready && s.PID != first
	})
	before := o.listed(t)
	if err := o.orders.SetLogLevel(t.Context(), "trace"); err != nil {
		t.Fatal(err)
	}
	if _, err := o.orders.Switch(t.Context(), "mod", true); err != nil { // waits until it is settled
		t.Fatal(err)
	}
	if report := o.reload(t, true); len(report.Changes) != 1 || report.Changes[0].Module != "" {
		t.Errorf("a reload would change %+v, want the log level only", report.Changes)
	}
	if after := o.listed(t); !reflect.DeepEqual(after, before) {
		t.Errorf("after the order: %+v\nbefore:          %+v", after, before)
	}
}

// Two modules swap their mounts again and again: no request is lost. On a slow
// machine one may have waited so long for the new process that it is told so.
func TestReload_MountsChangeHands(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	mounts := func(a, b string) {
		f.module(t, "a", fmt.Sprintf("  mounts = [%q, \"/mod/always\"]\n", a))
		f.module(t, "b", fmt.Sprintf("  mounts = [%q]\n", b))
	}
	mounts("/mod/x", "/mod/y/deep")
	f.module(t, "still", "")
	o := operate(t, f)
	still := o.pid(t, "still")
	var stop atomic.Bool
	var clients sync.WaitGroup
	var count atomic.Int64
	for _, path := range []string{"/mod/x/1", "/mod/y/deep/1", "/mod/always/1", "/mod/still/1"} {
		clients.Go(func() {
			for !stop.Load() {
				res, err := http.Get(o.url + path)
				if err != nil {
					t.Error(err)
					return
				}
				res.Body.Close()
				if res.StatusCode == 503 && res.Header.Get("Retry-After") != "" {
					continue
				}
				if res.StatusCode != 200 {
					t.Errorf("GET %s = %s", path, res.Status)
					return
				}
				count.Add(1)
			}
		})
	}
	for i := range 6 {
		if i%2 == 0 {
			mounts("/mod/y/deep", "/mod/x")
		} else {
			mounts("/mod/x", "/mod/y/deep")
		}
		report := o.reload(t, false)
		if len(report.Changes) != 2 || report.Changes[0].Failed() || report.Changes[1].Failed() {
			t.Errorf("Reload: %+v", report)
		}
	}
	stop.Store(true)
	clients.Wait()
	if count.Load() < 20 {
		t.Errorf("%d requests only", count.Load())
	}
	if got := o.pid(t, "still"); got != still {
		t.Errorf("still has process %d, had %d", got, still)
	}
	wantGet(t, o.url+"/mod/y", 404, "nothing is mounted")

	// A mount that takes in one of another's before, and one that goes.
	mounts("/mod/y", "/mod/z")
	o.reload(t, false)
	wantGet(t, o.url+"/mod/y/deep/1", 200, "GET deep/1")
	wantGet(t, o.url+"/mod/z/1", 200, "GET 1")
	wantGet(t, o.url+"/mod/x/1", 404, "nothing is mounted")
}

// Whoever orders what at the same time: each order is carried out as a whole,
// and in the end the file is the truth.
func TestControl_OrdersAtTheSameTime(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.module(t, "a", "")
	f.module(t, "b", "")
	f.module(t, "still", "")
	o := operate(t, f)
	still := o.pid(t, "still")
	ctx := t.Context()
	const rounds = 5
	var all sync.WaitGroup
	each := func(order func(i int) error) {
		all.Go(func() {
			for i := range rounds {
				var answer *wire.Error
				err := order(i)
				if errors.As(err, &answer) && answer.Code == wire.CodeModuleDisabled {
					continue // restarted while it is switched off
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, name := range []string{"a", "b"} {
		each(func(i int) error {
			m, err := o.orders.Switch(ctx, name, i%2 == 1)
			if err == nil && m.Name != name {
				t.Errorf("Switch of %s answers %+v", name, m)
			}
			return err
		})
		each(func(int) error { _, err := o.orders.Restart(ctx, name); return err })
	}
	each(func(i int) error {
		report, err := o.orders.Reload(ctx, i%2 == 0)
		if err == nil && len(report.Complaints) > 0 {
			t.Errorf("Reload complains: %v", report.Complaints)
		}
		return err
	})
	each(func(i int) error { return o.orders.SetLogLevel(ctx, []string{"trace", "debug"}[i%2]) })
	each(func(int) error { _, err := o.orders.Modules(ctx); return err })
	each(func(int) error { _, err := o.orders.Module(ctx, "a"); return err })
	each(func(int) error {
		return o.orders.Logs(ctx, "b", false, func(supervisor.LogLine) error { return nil })
	})
	all.Wait()
	o.reload(t, false)
	for name, s := range o.listed(t) {
		if s.State != supervisor.Ready || s.Overridden || !s.Enabled {
			t.Errorf("%s: %+v", name, s)
		}
		wantGet(t, o.url+"/mod/"+name+"/1", 200, "GET 1")
	}
	if got := o.pid(t, "still"); got != still {
		t.Errorf("still has process %d, had %d", got, still)
	}
}

// An order that waits for its turn ends with its giver.
func TestControl_GiverLeaves(t *testing.T) {
	c := &control{turn: make(chan struct{}, 1)}
	if err := c.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.begin(ctx); err != context.Canceled {
		t.Errorf("begin = %v, want %v", err, context.Canceled)
	}
	c.end()
	if err := c.begin(t.Context()); err != nil {
		t.Errorf("begin after end = %v", err)
	}
}

func TestReload_WithoutAFile(t *testing.T) {
	c := &control{turn: make(chan struct{}, 1)}
	var answer *wire.Error
	if _, err := c.reload(t.Context(), false); !errors.As(err, &answer) || answer.HTTPStatus() != 400 {
		t.Errorf("Reload = %v, want 400", err)
	}
}

// A refused config changes nothing, and complains in the order of the files.
func TestReload_RefusedAsAWhole(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.module(t, "a", "")
	f.module(t, "b", "")
	o := operate(t, f)
	before := o.listed(t)
	f.write(t, "host", "drain_timeout = \"1s\"\nlog_format = \"json\"\n")
	f.module(t, "a", "  args = [\"config\"]\n")
	f.module(t, "b", "  sha256 = \""+strings.Repeat("0", 64)+"\"\n")
	f.module(t, "c", "  args = [\"exit\"]\n")
	for _, dry := range []bool{true, false} {
		report, err := o.orders.Reload(t.Context(), dry)
		if err != nil {
			t.Fatal(err)
		}
		if report.Applied || len(report.Changes) > 0 {
			t.Errorf("Reload: %+v", report)
		}
		var got []string
		for _, c := range report.Complaints {
			got = append(got, strings.ReplaceAll(c.String(), f.dir, ""))
		}
		want := []string{
			`/a.hcl:1:1: module "a": second`,
			`/b.hcl:2:13: module "b": `,
			`/c.hcl:2:13: module "c": `,
			`/host.hcl:2:14: log_format: can't be changed while the host runs; restart it, or put the old value back`,
			`a.hcl:7:3: module "a": unsupported argument: did you mean "size"?`,
		}
		if w := report.Warnings; len(w) != 1 || w[0].What != `module "a": old name` {
			t.Errorf("warnings: %+v", w)
		}
		if !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("complaints:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if after := o.listed(t); !reflect.DeepEqual(after, before) {
		t.Errorf("after refused configs: %+v\nbefore:                 %+v", after, before)
	}
	if m, err := o.orders.Module(t.Context(), "a"); err != nil || m.DrainTimeout != "10s" {
		t.Errorf("Module = %+v, %v", m, err)
	}
}
