package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A fickle program is the lock's, which a script runs. Its first start after arm
// is what a reload checks the config with; the next ones are the script's affair.
type fickle struct {
	t        testing.TB
	programs drive.Programs
	dir      string
	path     string
}

func newFickle(t testing.TB, p drive.Programs, script string) fickle {
	t.Helper()
	dir := t.TempDir()
	f := fickle{t, p, dir, filepath.Join(dir, "fickle")}
	text := fmt.Sprintf("#!/bin/sh\ncd %q\nif [ -e armed ] && ! mkdir checked 2>/dev/null; then\n%s\nfi\nexec %q\n", dir, script, filepath.Join(p.Dir, "modhost-lock"))
	if err := os.WriteFile(f.path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f fickle) arm()    { f.file("armed") }
func (f fickle) disarm() { os.Remove(filepath.Join(f.dir, "armed")) } //nolint:errcheck // then the test fails
func (f fickle) file(n string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, n), nil, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// config has the module "fickle", mounted where said.
func (f fickle) config(mount string) string {
	return drive.Embedded + fmt.Sprintf("module \"fickle\" {\n  command = %q\n  mounts = [%q]\n}\n", f.path, mount)
}

// modhost runs a command in the host's folder and returns what it said.
func (f fickle) modhost(h *drive.Host, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(f.programs.Dir, "modhost"), args...)
	cmd.Dir = h.Dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// mount changes the host's config file.
func (f fickle) mount(h *drive.Host, at string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(h.Dir, "modhost.hcl"), []byte(f.config(at)), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// What a new process could not be started for is tried again by the next
// reload, whose report says so, and by no order about another module.
func TestReload_TriesAgainWhatFailed(t *testing.T) {
	t.Parallel()
	p := programs(t)
	f := newFickle(t, p, `echo tried >> tries; echo "not today" >&2; exit 3`)
	h := p.Start(t, f.config("/mod/one"))
	old := h.Module("fickle").PID
	tries := func(want int) {
		t.Helper()
		text, _ := os.ReadFile(filepath.Join(f.dir, "tries"))
		m := h.Module("fickle")
		if n := strings.Count(string(text), "tried"); n != want || m.PID != old || !strings.Contains(m.Reason, "not today") {
			t.Errorf("%d starts in vain, want %d; %+v", n, want, m)
		}
	}

	f.arm()
	if err := os.Chtimes(f.path, time.Time{}, time.Now().Add(time.Hour)); err != nil { // a new program, too
		t.Fatal(err)
	}
	f.mount(h, "/mod/two")
	if out, err := f.modhost(h, "config", "reload"); err == nil || !strings.Contains(out, "not today") {
		t.Fatalf("reload: %v, %s", err, out)
	}
	tries(1)
	for _, order := range [][]string{{"module", "disable", "lock"}, {"module", "enable", "lock"}, {"module", "restart", "lock"}} {
		if out, err := f.modhost(h, order...); err != nil {
			t.Errorf("%v: %v, %s", order, err, out)
		}
		tries(1)
	}

	f.disarm() // what was wrong was not in the config
	out, err := f.modhost(h, "config", "reload")
	m := h.Module("fickle")
	if err != nil || m.PID == old || m.Reason != "" || !strings.Contains(out, fmt.Sprintf("process replaced; ready, pid %d", m.PID)) {
		t.Errorf("reload: %v, %s; %+v", err, out, m)
	}
}

// An order need not wait until a reload before it is settled: a module may give
// one when it starts.
func TestReload_OrdersGoOnWhileItSettles(t *testing.T) {
	t.Parallel()
	p := programs(t)
	f := newFickle(t, p, `echo tried >> tries; touch began; until [ -e go ]; do sleep 0.02; done`)
	h := p.Start(t, f.config("/mod/one"))
	f.arm()
	f.mount(h, "/mod/two")
	type result struct {
		out string
		err error
	}
	reloaded := make(chan result, 1)
	go func() {
		out, err := f.modhost(h, "config", "reload")
		reloaded <- result{out, err}
	}()
	drive.Eventually(t, func() error {
		_, err := os.Stat(filepath.Join(f.dir, "began"))
		return err
	})
	if out, err := f.modhost(h, "module", "disable", "lock"); err != nil || h.Module("lock").State != "disabled" {
		t.Errorf("disable: %v, %s; %+v", err, out, h.Module("lock"))
	}
	// Nor does another reload begin anew what is under way.
	if out, err := f.modhost(h, "config", "reload"); err != nil || strings.Contains(out, "fickle") {
		t.Errorf("reload while another settles: %v, %s", err, out)
	}
	if text, _ := os.ReadFile(filepath.Join(f.dir, "tries")); string(text) != "tried\n" {
		t.Errorf("starts: %q, want one", text)
	}
	f.file("go")
	if r := <-reloaded; r.err != nil {
		t.Errorf("reload: %v, %s", r.err, r.out)
	}
	for path, want := range map[string]int{"/mod/one/a": 404, "/mod/two/a": 200} {
		if status, body := told(t, h, "GET", path); status != want {
			t.Errorf("GET %s = %d %s, want %d", path, status, body, want)
		}
	}
}
