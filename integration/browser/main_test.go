package browser

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/etcd-modules/modhost/integration/browser/tab"
	"github.com/etcd-modules/modhost/integration/drive"
)

// One browser and one build of the programs serve all tests.
var (
	programs drive.Programs
	chromium *tab.Browser
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "modhost-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a folder of the system's own for such
	// Without the race detector: what races there could be are looked for by the
	// packages' own tests and by ../keys_test.go, where no browser takes the time.
	if programs, err = (drive.Build{}).Make(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var stop func()
	if chromium, stop, err = tab.Start(); err != nil {
		// Not skipped: a run that says ok must have looked.
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	// They share one browser, and each has a host of its own: more at a time
	// would only wait for each other.
	flag.Parse()
	if err := flag.Set("test.parallel", "2"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// start runs a host with the dashboard, whose config block has these settings.
func start(t *testing.T, settings string) *drive.Host {
	t.Helper()
	return programs.Start(t, drive.Embedded+drive.Elections+drive.Dashboard(settings))
}

// open opens a page of the dashboard: "" or "locks" or "keys?at=/a".
func open(t *testing.T, h *drive.Host, page string) *tab.Tab {
	t.Helper()
	tb := chromium.Open(t)
	tb.Go(h.URL + "/mod/dashboard/" + page)
	tb.WaitSee("[role=status]|live")
	return tb
}

// module is an expression for the promise of a module of the page: its name is
// the path from app.js.
func module(name string) string {
	return fmt.Sprintf(`import(new URL(%q, document.querySelector("script[type=module]").src))`, name)
}

// frames lets the page draw so often that what it had put off is done.
func frames(tb *tab.Tab) {
	tab.Eval[bool](tb, `(async () => { for (let i = 0; i < 30; i++) await new Promise(requestAnimationFrame); return true; })()`)
}
