package integration

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcd-modules/modhost/integration/drive"
)

// privileged is the config block of testdata/privileged.
func privileged(t *testing.T, name, privileges string) string {
	t.Helper()
	return fmt.Sprintf("module %q {\n  command = %q\n  privileges = %s\n}\n", name, privilegedProgram(t), privileges)
}

var privilegedProgram = lazy(func(dir string) (string, error) {
	program := filepath.Join(dir, "privileged")
	args := []string{"build", "-o", program}
	if drive.Race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./integration/testdata/privileged")...)
	cmd.Dir = drive.Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return program, nil
})

// told sends a request and returns status and body.
func told(t *testing.T, h *drive.Host, method, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, h.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(body))
}

// A module has what its block grants, and it works against the real thing.
func TestPrivileges_Granted(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded+privileged(t, "p", `["keys", "cluster", "modules"]`))
	want := func(method, path string, status int, text string) {
		t.Helper()
		if got, body := told(t, h, method, path); got != status || !strings.Contains(body, text) {
			t.Errorf("%s %s = %d %s, want %d with %s", method, path, got, body, status, text)
		}
	}
	want("GET", "/mod/p/granted", 200, "keys,cluster,modules keys=true cluster=true modules=true")

	// Keys of others, with characters that the modules' own never have.
	resp, err := http.PostForm(h.Etcd+"/v2/keys/app/my_key.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close() //nolint:errcheck // only that it is there
	key := "/mod/p/keys/app/other_key%20ö.json?value=" + url.QueryEscape("a value")
	want("PUT", key, 200, "other_key ö.json")
	want("GET", key, 200, `"a value"`)
	want("GET", "/mod/p/keys/app/none", 502, "no such entry")

	want("GET", "/mod/p/members", 200, `"Name":"modhost"`)
	want("GET", "/mod/p/members", 200, `"Leader":true`)

	want("GET", "/mod/p/modules", 200, `"name":"lock","state":"ready"`)
	pid := h.Module("lock").PID
	want("POST", "/mod/p/restart/lock", 200, `"state":"ready"`)
	if now := h.Module("lock").PID; now == pid || now == 0 {
		t.Errorf("the lock's process was %d and is %d after a restart", pid, now)
	}
	want("POST", "/mod/p/disable/lock", 200, `"state":"disabled"`)
	want("GET", "/mod/lock/a", 404, "disabled")
	want("POST", "/mod/p/enable/lock", 200, `"state":"ready"`)
	want("GET", "/mod/lock/a", 200, "")
	want("GET", "/mod/p/logs/lock", 200, "state=disabled")
	want("POST", "/mod/p/restart/nobody", 502, `no module "nobody"`)

	// An order about itself comes back before it is carried out.
	pid = h.Module("p").PID
	want("POST", "/mod/p/restart/p", 200, `"name":"p"`)
	drive.Eventually(t, func() error {
		if m := h.Module("p"); m.State != "ready" || m.PID == pid {
			return fmt.Errorf("p is %+v, was process %d", m, pid)
		}
		return nil
	})
	if log := strings.Join(h.Log(), "\n"); !strings.Contains(log, `"by":"module \"p\""`) {
		t.Error("the log does not say who has given the orders")
	}
}

// Without the privilege there is nothing to use, whatever the module tries.
func TestPrivileges_NotGranted(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded+privileged(t, "p", `[]`)+privileged(t, "q", `["keys"]`))
	for path, want := range map[string]string{
		"/mod/p/granted": "keys=false cluster=false modules=false",
		"/mod/q/granted": "keys=true cluster=false modules=false",
	} {
		if status, body := told(t, h, "GET", path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("GET %s = %d %s, want %s", path, status, body, want)
		}
	}
	for _, path := range []string{"/mod/p/keys/a", "/mod/p/members", "/mod/p/modules", "/mod/q/members", "/mod/q/modules"} {
		if status, _ := told(t, h, "GET", path); status != 500 {
			t.Errorf("GET %s = %d, want 500", path, status)
		}
	}
	if m := h.Module("lock"); m.State != "ready" {
		t.Errorf("lock is %+v", m)
	}
}
