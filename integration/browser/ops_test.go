package browser

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/browser/tab"
	"github.com/etcd-modules/modhost/integration/drive"
)

// row is a selector for the row of a module or a member.
func row(kind, name string) string { return fmt.Sprintf("tr[data-%s=%q]", kind, name) }

// cell is an expression for the text of a cell of a row.
func cell(row, label string) string {
	return fmt.Sprintf("(document.querySelector(`%s td[data-label=%q]`)?.innerText ?? '')", row, label)
}

// figure is an expression for the text of one of the counts on top.
func figure(name string) string {
	return fmt.Sprintf("([...document.querySelectorAll('.figures > div')].find((d) => d.querySelector('dt').textContent === %q)?.querySelector('dd').innerText ?? '')", name)
}

// everywhere looks at what the tab shows in both themes and widths, for
// accessibility and for what must be scrolled sideways, and leaves it as it was.
func everywhere(t *testing.T, tb *tab.Tab, what string) {
	t.Helper()
	for _, s := range screens {
		s.show(tb)
		accessible(t, tb, fmt.Sprintf("%s, %s", what, s))
		if over := tab.Eval[int](tb, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); over > 0 {
			t.Errorf("%s, %s: %d px wider than the view", what, s, over)
		}
	}
	screens[0].show(tb)
}

// Counts first, then graphs with their numbers as text, then what needs
// attention; all of it moves by itself.
func TestOverview(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	furnish(t, h.URL)
	tb := open(t, h, "")
	tb.Wait(figure("Members") + " === '1 of 1 up'")
	tb.Wait(figure("etcd leader") + ".startsWith('modhost\\nfor ')")
	tb.Wait(figure("Modules") + ".trim() === '3 ok'")
	tb.Wait(figure("Locks") + " === '3 held\\n3 waiting'")
	tb.Wait(figure("Leaders") + " === '3\\n3 candidates'")
	tb.Wait(figure("Alarms") + ".trim() === 'none'")

	tb.Wait("document.querySelectorAll('.graph canvas').length === 4")
	tb.Wait("[...document.querySelectorAll('.graph [role=img]')].some((g) => /^Graph: Calls of etcd. Last: p50 [0-9.]+ m?s, p99 [0-9.]+ m?s\\.$/.test(g.ariaLabel))")
	tb.Wait("[...document.querySelectorAll('.graph [role=img]')].some((g) => /Writes to etcd. Last: per second [0-9.]+/.test(g.ariaLabel))")
	tb.Click("button|Show as a table")
	tb.Wait("location.search === '?view=table' && document.querySelectorAll('.scroll tbody tr').length >= 2")
	tb.Reload()
	tb.Wait("document.querySelectorAll('.scroll tbody tr').length >= 2")
	everywhere(t, tb, "the samples as a table")
	tb.Click("button|Show as graphs")
	tb.Wait("location.search === '' && document.querySelectorAll('.graph canvas').length === 4")

	h.Disable("lock")
	tb.WaitSee(".concerns a|Module lock was switched by hand")
	tb.Wait(figure("Modules") + " === '2 ok\\n1 off'")
	everywhere(t, tb, "the overview with a concern")
	tb.Click(".concerns a|Module lock")
	tb.Wait("location.pathname.endsWith('/modules') && location.search === '?name=lock'")
	tb.Back()
	tb.WaitSee(".concerns a|Module lock was switched by hand")
	h.Enable("lock")
	tb.WaitGone(".concerns a|Module lock")
}

// A graph is drawn in the colours of the theme, and anew when that changes.
func TestOverview_GraphsFollowTheTheme(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	tb := open(t, h, "")
	tb.Scheme("light")
	tb.Wait("document.querySelectorAll('.graph canvas').length === 4")
	tb.Expect("willReadFrequently") // of what the test does
	// The grid's lines are what every graph has.
	lines := `(() => { const c = document.querySelector(".graph canvas"); const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
		for (let i = 0; i < d.length; i += 4) if (d[i + 3] === 255 && d[i] === %d && d[i + 1] === %d && d[i + 2] === %d) return true; return false; })()`
	light, dark := fmt.Sprintf(lines, 0xd9, 0xde, 0xe3), fmt.Sprintf(lines, 0x2c, 0x35, 0x3d)
	tb.Wait(light)
	tb.Scheme("dark")
	tb.Wait(dark)
	tb.Wait("!" + light)
}

// A plugin that is killed is counted with the reason; one that is switched off
// answers so, greys its page in the navigation, and has its switch still.
func TestModules_RestartsAndSwitch(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	tb := open(t, h, "modules")
	lock := row("module", "lock")
	tb.Wait(cell(lock, "State") + ".includes('serving')")
	tb.Wait(cell(lock, "Restarts") + " === '0'")
	tb.Wait(cell(lock, "Memory") + ".endsWith(' MB')")
	pid := h.Module("lock").PID
	tb.Wait(cell(lock, "Process") + fmt.Sprintf(" === '%d'", pid))

	tb.Click(lock + " .row-button|lock")
	tb.Wait("location.search === '?name=lock'")
	tb.WaitSee(".detail|None has ended since")
	drive.Signal(t, pid, syscall.SIGKILL)
	tb.Wait("/^1\\nlast: .*killed/.test(" + cell(lock, "Restarts") + ")")
	tb.Wait(cell(lock, "State") + ".includes('serving')")
	tb.WaitSee(".detail td|crash, signal: killed")
	tb.WaitSee(".detail .log|signal: killed")
	everywhere(t, tb, "a module that is open")

	tb.Click(lock + " [role=switch]")
	tb.WaitSee("dialog[open]|Switch lock off?")
	tb.WaitSee("dialog[open]|/mod/lock and /mod/v2/lock")
	if !tab.Eval[bool](tb, "document.activeElement.textContent === 'Cancel'") {
		t.Error("the focus is not on Cancel")
	}
	everywhere(t, tb, "the dialog that switches off")
	tb.Click("dialog button|Cancel")
	tb.WaitGone("dialog[open]")
	if m := h.Module("lock"); m.State != "ready" {
		t.Error("Cancel has switched the module off")
	}
	tb.Click(lock + " [role=switch]")
	tb.Click("dialog button.danger|Switch off")
	tb.WaitGone("dialog[open]")
	tb.Wait(cell(lock, "State") + ".includes('off')")
	if status, body, err := send(t.Context(), h.URL, "GET", "/mod/lock/x", nil); status != http.StatusNotFound || !strings.Contains(body, "disabled") {
		t.Errorf("the module that is off: %d %s, %v", status, body, err)
	}
	tb.WaitSee("nav a.off|Locks")
	tb.Click("nav a.off|Locks")
	tb.Wait("location.pathname.endsWith('/modules') && location.search === '?name=lock'")
	tb.Click(lock + " [role=switch]")
	tb.Wait(cell(lock, "State") + ".includes('serving')")
	tb.WaitGone("nav a.off|Locks")
	tb.Click("nav a|Locks")
	tb.Wait("location.pathname.endsWith('/locks')")
}

// A restart by hand is no crash.
func TestModules_Restart(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	tb := open(t, h, "modules?name=leader")
	leader := row("module", "leader")
	pid := h.Module("leader").PID
	tb.Click(leader + " button|Restart leader")
	tb.Wait(fmt.Sprintf("+(%s) > 0 && +(%[1]s) !== %d", cell(leader, "Process"), pid))
	tb.WaitSee(".detail td|ordered")
	tb.Wait(cell(leader, "Restarts") + " === '0'")
	tb.WaitSee(".detail .log|module state")
}

// The dashboard can switch itself off, and says what that means. A page that is
// open comes back with it.
func TestModules_SwitchesItselfOff(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	tb := open(t, h, "modules")
	tb.Expect("503|404|net::ERR|Failed to load|aborted")
	tb.Click(row("module", "dashboard") + " [role=switch]")
	tb.WaitSee("dialog[open]|it can't be switched on again from here")
	tb.WaitSee("dialog[open] code|modhost module enable dashboard")
	tb.Click("dialog button.danger|Switch off")
	tb.WaitSee("[role=status]|reconnecting")
	tb.WaitSee(".banner|No connection to the dashboard")
	tb.Await("the module off", func() bool { return h.Module("dashboard").State == "disabled" })
	h.Enable("dashboard")
	tb.WaitSee("[role=status]|live")
	tb.Wait(cell(row("module", "dashboard"), "State") + ".includes('serving')")
}

// A module of somebody else is there by itself as soon as the config has it.
func TestModules_ThirdParty(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(programs.Dir, "modhost-hello"), "../testdata/plugin").CombinedOutput(); err != nil {
		t.Fatalf("build the module hello: %v\n%s", err, out)
	}
	h := start(t, "")
	tb := open(t, h, "modules")
	tb.WaitSee(row("module", "lock"))
	if tb.Sees(row("module", "hello")) {
		t.Fatal("the module is there before it is configured")
	}
	h.Configure(drive.Embedded + drive.Elections + drive.Dashboard("") + `
module "hello" {
}
`)
	h.Reload()
	hello := row("module", "hello")
	tb.Wait(cell(hello, "State") + ".includes('serving')")
	tb.Wait(cell(hello, "Mounts") + " === '/mod/hello'")
	tb.Await("a rate", func() bool {
		if status, body, err := send(t.Context(), h.URL, "GET", "/mod/hello", nil); status != http.StatusOK {
			t.Fatalf("the module hello: %d %s, %v", status, body, err)
		}
		return tab.Eval[bool](tb, "parseFloat("+cell(hello, "Req/s")+") > 0")
	})
}

// In read-only mode the switches are there and say why they don't work, and
// whoever gives the order past the page is refused.
func TestModules_ReadOnly(t *testing.T) {
	t.Parallel()
	h := start(t, "read_only = true")
	tb := open(t, h, "modules")
	tb.WaitSee(row("module", "lock"))
	tb.Wait(fmt.Sprintf("[...document.querySelectorAll('tbody button:not(.row-button)')].every((b) => b.disabled && b.title.includes('read_only')) && document.querySelectorAll(%q).length === 3", "tbody [role=switch]"))
	for _, order := range []string{"switch", "restart"} {
		resp, err := http.Post(h.URL+"/mod/dashboard/api/modules/"+order, "application/json", strings.NewReader(`{"name":"lock","enabled":false}`))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close() //nolint:errcheck // not read
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s, want 403", order, resp.Status)
		}
	}
	if m := h.Module("lock"); m.State != "ready" || m.Restarts != 0 {
		t.Errorf("module %+v, want it untouched", m)
	}
}

// joined is a host with the dashboard on a cluster of three.
func joined(t *testing.T) (*drive.Cluster, *drive.Host) {
	t.Helper()
	c := programs.StartCluster(t, 3)
	return c, programs.Start(t, drive.Joined(c.Endpoints()...)+drive.Elections+drive.Dashboard(""))
}

// What the page says of the members is what these say themselves, and a member
// that is paused changes colour and word.
func TestMembers(t *testing.T) {
	t.Parallel()
	cluster, h := joined(t)
	tb := open(t, h, "members")
	// Who leads may change on a busy machine: it is asked anew each time.
	shows := func(expression string, want func() string) {
		t.Helper()
		tb.Await(expression, func() bool { return tab.Eval[string](tb, expression) == want() })
	}
	for _, m := range cluster.Members {
		r := row("member", m.Name)
		tb.Wait(cell(r, "Health") + ".includes('healthy')")
		shows(cell(r, "Role"), func() string {
			if m == cluster.Leader() {
				return "leader"
			}
			return "follower"
		})
		if m != cluster.Leader() {
			tb.Wait("/^(< )?[0-9.,]+ m?s$/.test(" + cell(r, "Latency") + ")")
			tb.Wait("/^[1-9][0-9,]* . [0-9,]+$/.test(" + cell(r, "Sent / failed") + ")")
		}
		tb.Wait(fmt.Sprintf("%s === %q", cell(r, "Version"), statusOf(t, m).Version))
		tb.Click(r + " .row-button|" + m.Name)
		tb.Wait(fmt.Sprintf("location.search === '?id=%s'", m.ID))
		tb.WaitSee(".detail|" + m.ID)
		tb.WaitSee(".detail|" + m.URL)
		shows(`(document.querySelector(".detail").innerText.match(/Term\n(\d+)/)?.[1] ?? "")`, func() string { return statusOf(t, m).RaftTerm })
		tb.Wait(fmt.Sprintf("document.querySelector('.detail').innerText.includes('Size\\n') && %s.endsWith('B')", cell(r, "v3 backend")))
		// The numbers grow, so both are read until they are the same.
		shows(cell(r, "Applied index")+".replaceAll(',', '')", func() string { return statusOf(t, m).RaftAppliedIndex })
	}
	tb.WaitSee("p|Not on the v2 API")
	shows(figure("Leader")+`.split("\nfor ")[0]`, func() string { return cluster.Leader().Name })

	lead := cluster.Leader()
	victim := cluster.Members[slices.IndexFunc(cluster.Members, func(m *drive.Member) bool { return m != lead })]
	paused := row("member", victim.Name)
	drive.Signal(t, victim.PID(), syscall.SIGSTOP)
	t.Cleanup(func() { syscall.Kill(victim.PID(), syscall.SIGCONT) }) //nolint:errcheck // it may be going on
	tb.Wait(cell(paused, "Health") + ".includes('down')")
	tb.Wait(fmt.Sprintf("document.querySelector(`%s .pill.bad`)", paused))
	tb.Wait(figure("Members") + ".startsWith('2 of 3 up')")
	tb.WaitSee(".banner|One member fewer")
	everywhere(t, tb, "members, one of them down")
	drive.Signal(t, victim.PID(), syscall.SIGCONT)
	tb.Wait(cell(paused, "Health") + ".includes('healthy')")
	tb.Wait(fmt.Sprintf("document.querySelector(`%s .pill.ok`)", paused))
}

// status is what a member answers for itself.
type status struct {
	Version                                       string
	RaftTerm, RaftIndex, RaftAppliedIndex, Dbsize string
}

func statusOf(t *testing.T, m *drive.Member) (s status) {
	t.Helper()
	resp, err := http.Post(m.URL+"/v3/maintenance/status", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		t.Fatalf("status of %s: %s, %v", m.Name, text, err)
	}
	return s
}

// Without a quorum everything says how old it is, and why; with it all goes on
// by itself.
func TestMembers_QuorumLost(t *testing.T) {
	cluster, h := joined(t)
	tb := open(t, h, "members")
	tb.Wait(figure("Members") + ".startsWith('3 of 3 up')")
	tab.Eval[int](tb, `(() => { window.began = 0; window.told = 0;
		new MutationObserver(() => { if (!window.told && window.began && document.querySelector("[role=status]").textContent.includes("etcd away")) window.told = Date.now(); })
			.observe(document.body, {subtree: true, childList: true, characterData: true}); return 0; })()`)
	for _, m := range cluster.Members[1:] {
		m.Kill()
	}
	tab.Eval[int](tb, "window.began = Date.now(), 0")
	tb.WaitSee("[role=status]|etcd away")
	t.Logf("told after %d ms", tab.Eval[int](tb, "window.told - window.began"))
	tb.WaitSee(".banner|etcd does not answer")
	tb.Wait(figure("Members") + ".startsWith('1 of 3 up')")
	tb.Click("nav a|Overview")
	tb.Wait("document.querySelector('.page.stale')")
	tb.WaitSee(".concerns a|etcd does not answer")
	for _, m := range cluster.Members[1:] {
		m.Restart()
	}
	restarted := time.Now()
	tb.WaitSee("[role=status]|live")
	t.Logf("back %v after the members", time.Since(restarted))
	tb.Wait("!document.querySelector('.page.stale')")
	tb.WaitGone(".concerns a|etcd does not answer")
	tb.Wait(figure("Members") + " === '3 of 3 up'")
}
