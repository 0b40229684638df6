package browser

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/etcd-modules/modhost/integration/browser/tab"
	"github.com/etcd-modules/modhost/integration/drive"
)

// The state of the stream is announced once, not its age every second.
func TestFrame_AnnouncesStatesNotAges(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	tb := open(t, h, "")
	tb.Expect("Failed to load resource|ERR_CONNECTION_REFUSED|net::")
	drive.Signal(t, h.PID(), syscall.SIGSTOP)
	t.Cleanup(func() { syscall.Kill(h.PID(), syscall.SIGCONT) }) //nolint:errcheck // it may be going on
	tb.WaitSee("header [role=status]|reconnecting")
	tab.Eval[int](tb, `(() => { window.said = []; new MutationObserver((l) => window.said.push(...l.map((m) => m.target.textContent)))
		.observe(document.querySelector("header [role=status]"), {subtree: true, childList: true, characterData: true}); window.age = document.querySelector("header .pill").textContent; return 0; })()`)
	for range 3 { // it goes on growing
		tb.Wait(`document.querySelector("header .pill").textContent !== window.age && (window.age = document.querySelector("header .pill").textContent)`)
	}
	if said := tab.Eval[[]string](tb, "window.said"); len(said) > 0 {
		t.Errorf("announced: %q", said)
	}
	drive.Signal(t, h.PID(), syscall.SIGCONT)
	tb.WaitSee("[role=status]|live")
}

// A time of another day says which one.
func TestFrame_TimesOfOtherDays(t *testing.T) {
	t.Parallel()
	tb := open(t, start(t, ""), "")
	for ago, pattern := range map[string]string{"0": `^\d\d:\d\d:\d\d$`, "36 * 3600": `^\d\d? \w+ \d{4}, \d\d:\d\d:\d\d$`} {
		text := tab.Eval[string](tb, module("text.js")+`.then((m) => m.moment(Date.now() - 1000 * `+ago+`))`)
		if !tab.Eval[bool](tb, fmt.Sprintf("/%s/.test(%q)", pattern, text)) {
			t.Errorf("%s s ago is %q", ago, text)
		}
	}
}

// Without etcd a page says what it can't know, once; those whose data is not of
// the store say that it is current.
func TestFrame_WithoutEtcd(t *testing.T) {
	t.Parallel()
	c := programs.StartCluster(t, 1)
	h := programs.Start(t, drive.Joined(c.Endpoints()...)+drive.Dashboard(""))
	etcd{t, c.Endpoints()[0]}.put("/app/motd", "good morning")
	tb := open(t, h, "members")
	tb.Expect("503")
	tb.WaitSee("td|healthy")
	c.Members[0].Kill()
	tb.WaitSee(".banner|What this page shows is current all the same")
	tb.WaitSee(".figures dd|0 of 1 up")
	tb.Wait(figure("Alarms") + ` === "–"`)
	tb.Click("nav a|Modules")
	tb.WaitSee(".banner|What this page shows is current all the same")
	tb.WaitSee(row("module", "lock"))
	tb.Wait(`!document.querySelector(".page.stale") && !document.querySelector("[role=switch]").disabled`)
	tb.Click("nav a|Keys")
	tb.WaitSee(".banner|What you see is as of")
	tb.Wait(`document.querySelector(".page.stale")`)
	tb.Go(h.URL + "/mod/dashboard/" + at("/app/motd"))
	tb.WaitSee("section.open .empty|Not known while etcd does not answer")
	if text := tb.Text("main"); strings.Count(text, "connection refused") != 1 {
		t.Errorf("the reason is not said once:\n%s", text)
	}
	c.Members[0].Restart()
	value(tb, "good morning")
}
