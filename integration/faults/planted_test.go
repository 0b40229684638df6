package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etcd-modules/modhost/integration/drive"
)

// runPlanted, set to 1, makes TestPlanted run tests and not only look at its
// table: see make planted.
const runPlanted = "MODHOST_TEST_PLANTED"

// A plant is a fault and a test that must fail when the programs have it.
type plant struct {
	test   string // as for go test -run
	name   string // what is broken
	faults []drive.Fault
}

// breaks is one change in one file.
func breaks(file, old, new string) []drive.Fault {
	return []drive.Fault{{File: file, Old: old, New: new}}
}

// Faults that more than one test must see.
var (
	grantWithoutWrite = breaks("sdk/queue/obtain.go",
		"	if err := p.swap(ctx, p.cur.with(held, ttl, p.cur.Sessions), ttl); err != nil {\n		return err\n	}\n	return p.confirm(ctx, ttl, true)",
		"	p.finish(outcome{grant: &Grant{Index: p.entry.Created, Value: p.cur.Value, TTL: ttl, start: time.Now()}}, (*waiter).isBound)\n	return nil")
	validityFromAnswer = breaks("sdk/queue/obtain.go",
		"TTL: ttl, start: p.start}", "TTL: ttl, start: time.Now()}")
	halfTheTTL = breaks("sdk/queue/obtain.go",
		"next, life := p.rec.with(held, d.ttl, nil), d.ttl\n", "next, life := p.rec.with(held, d.ttl, nil), d.ttl/2\n")
	oneDeadIsEnough = breaks("sdk/queue/reap.go",
		"	all := true\n	for _, id := range it.rec.Sessions { // every one is asked: that is when its time starts\n		all = q.session.dead(id, it.entry.Modified) && all",
		"	all := false\n	for _, id := range it.rec.Sessions {\n		all = q.session.dead(id, it.entry.Modified) || all")
	noResuming = []drive.Fault{
		{File: "sdk/queuehttp/desk.go", Old: "return q, x.Resumable()", New: "return q, nil"},
		{File: "plugins/lock/config.go", Old: "env.Resumable(http.MethodPost)", New: "env.Resumable()\n\t_ = http.MethodPost"},
	}
)

// plants are all of them.
func plants() []plant { return slices.Concat(defectPlants, modePlants, promisePlants) }

// TestPlanted breaks the programs, one fault at a time, and sees the tests
// fail. A test that has no fault planted for it proves nothing, so there is
// none; that is checked in every run, and so is that the faults still fit the
// source.
func TestPlanted(t *testing.T) {
	wantAllPlanted(t)
	for i, p := range plants() {
		t.Run(fmt.Sprintf("%s/%s", p.test, p.name), func(t *testing.T) {
			if err := (drive.Build{Faults: p.faults}).Fits(); err != nil {
				t.Fatal(err)
			}
			if os.Getenv(runPlanted) == "" {
				return
			}
			t.Parallel()
			broken, err := drive.Build{Faults: p.faults, Base: programs(t)}.Make(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			var pattern []string
			for part := range strings.SplitSeq(p.test, "/") {
				pattern = append(pattern, "^"+part+"$")
			}
			cmd := exec.Command(os.Args[0], "-test.run", strings.Join(pattern, "/"), "-test.v", "-test.timeout", "5m")
			cmd.Env = append(os.Environ(), brokenPrograms+"="+broken.Dir, "MODHOST_TEST_PATIENCE=15s")
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: "+p.test) {
				t.Errorf("plant %d: %s does not fail (%v):\n%.8000s", i, p.test, err, out)
			}
		})
	}
}

// wantAllPlanted checks that every test of this package has a plant.
func wantAllPlanted(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string]bool)
	for _, p := range plants() {
		have[p.test] = true
		parent, _, _ := strings.Cut(p.test, "/") // is what its parts are
		have[parent] = true
	}
	for _, name := range slices.Concat(testFuncs(t, files), defectNames()) {
		if !have[name] && !slices.Contains(notPlanted, name) {
			t.Errorf("%s: nobody has seen it fail; plant a fault for it", name)
		}
	}
}

// notPlanted are tests of this package that are no tests of the programs, or
// plant faults themselves.
var notPlanted = []string{"TestMain", "TestPlanted", "TestSoak", "TestSoak_FindsBrokenRules"}

// testFuncs are the names of the tests in files.
func testFuncs(t *testing.T, files []string) []string {
	t.Helper()
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "func Test"); ok {
				name, _, _ := strings.Cut(rest, "(")
				names = append(names, "Test"+name)
			}
		}
	}
	return names
}
