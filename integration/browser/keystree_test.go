package browser

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/etcd-modules/modhost/integration/browser/tab"
)

// many makes keys /many/k000000 and so on.
func (e etcd) many(n int) {
	e.t.Helper()
	var writers sync.WaitGroup
	next := make(chan int)
	errs := make(chan error, 16)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	for range 64 {
		writers.Go(func() {
			for i := range next {
				body := url.Values{"value": {fmt.Sprintf("value %d %s", i, strings.Repeat("x", 80))}}.Encode()
				req, err := http.NewRequest(http.MethodPut, fmt.Sprintf("%s/v2/keys/many/k%06d", e.url, i), strings.NewReader(body))
				if err == nil {
					req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					var resp *http.Response
					if resp, err = client.Do(req); err == nil {
						_, err = io.Copy(io.Discard, resp.Body) // else the connection is not used again
						resp.Body.Close()                       //nolint:errcheck // only read
					}
				}
				if err != nil {
					select {
					case errs <- err:
					default:
					}
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	writers.Wait()
	select {
	case err := <-errs:
		e.t.Fatal(err)
	default:
	}
}

const (
	treeRows = `document.querySelectorAll(".tree [role=treeitem]")`
	active   = `document.getElementById(document.querySelector(".tree").getAttribute("aria-activedescendant"))`
)

// A directory of 100,000 keys opens at once, scrolls without a task that one
// would feel, has few rows in the page, and its end is its end.
func TestKeysTree_Large(t *testing.T) {
	h := start(t, "")
	e := etcd{t, h.Etcd}
	const n = 100_000
	e.many(n)
	tb := open(t, h, "keys")
	tb.WaitSee(item("many"))
	began := time.Now()
	tb.Click(item("many"))
	tb.WaitSee(item("k000000"))
	t.Logf("first rows after %v", time.Since(began))
	tb.WaitSee(".rows tr|k000003")
	for what, rows := range map[string]string{"the tree": treeRows, "the table": `document.querySelectorAll(".rows tbody tr")`} {
		if got := tab.Eval[int](tb, rows+`.length`); got > 100 {
			t.Errorf("%s has %d rows", what, got)
		}
	}
	tab.Eval[bool](tb, `(document.querySelector(".tree").focus(), true)`)
	tb.Press(kb.End)
	tb.Wait(active + fmt.Sprintf(`?.innerText.includes("k%06d")`, n-1))
	if got := tab.Eval[string](tb, active+`.getAttribute("aria-posinset") + " of " + `+active+`.getAttribute("aria-setsize")`); got != "100000 of 100000" {
		t.Errorf("the last row is %s", got)
	}
	tb.Press(kb.PageUp)
	tb.Press(kb.ArrowUp)
	tb.Press(kb.Home)
	tb.Wait(active + `?.innerText.includes("many")`)

	for _, box := range []string{".tree", ".rows"} {
		var seen []float64
		scroll := func() {
			seen = tab.Eval[[]float64](tb, `(async () => {
				const box = document.querySelector("`+box+`");
				box.scrollTop = 0;
				await new Promise((done) => setTimeout(done, 300));
				const long = [];
				let most = 0, frames = 0;
				const watch = new PerformanceObserver((list) => { for (const e of list.getEntries()) long.push(e.duration); });
				watch.observe({ type: "longtask" });
				const end = performance.now() + 3000;
				await new Promise((done) => {
					const step = () => {
						frames++;
						box.scrollTop += frames % 20 === 0 ? 100000 : 300;
						most = Math.max(most, box.querySelectorAll("[role=treeitem], tbody tr").length);
						if (performance.now() < end || frames < 60) requestAnimationFrame(step);
						else done();
					};
					requestAnimationFrame(step);
				});
				await new Promise((done) => setTimeout(done, 100));
				watch.disconnect();
				return [long.length, Math.max(0, ...long), most, frames, box.scrollTop];
			})()`)
		}
		// What is slow by itself is so each time; what is slow because of all
		// else on this machine is not.
		longest := slices.Max(tb.Tasks(scroll))
		for range 2 {
			if longest > 50*time.Millisecond {
				t.Logf("%s: a task took %v; once more", box, longest)
				longest = min(longest, slices.Max(tb.Tasks(scroll)))
			}
		}
		t.Logf("%s: the longest task took %v; by the clock, with all else on this machine, %v were long, the longest %v ms; at most %v rows, %v frames, scrolled to %v px", box, longest, seen[0], seen[1], seen[2], seen[3], seen[4])
		if longest > 50*time.Millisecond {
			t.Errorf("%s: a task took %v while scrolling", box, longest)
		}
		if seen[2] > 100 || seen[4] < 100_000 {
			t.Errorf("%s: at most %v rows in the page, scrolled to %v px", box, seen[2], seen[4])
		}
		tb.Wait(`[...document.querySelectorAll("` + box + ` [role=treeitem], ` + box + ` tbody tr")].every((r) => !r.innerText.includes("…"))`)
	}
	// What is shown is where it belongs.
	if wrong := tab.Eval[string](tb, `[...`+treeRows+`].filter((r) => r.ariaLevel === "2" && !r.innerText.includes("k" + String(Number(r.ariaPosInSet) - 1).padStart(6, "0"))).map((r) => r.ariaPosInSet + ": " + r.innerText).join(", ")`); wrong != "" {
		t.Errorf("rows at wrong places: %s", wrong)
	}
}

// What others change appears by itself and only where it happened: what one
// looks at stays in its place, the keyboard where it was, picks picked.
func TestKeysTree_ChangesOfOthers(t *testing.T) {
	h, e := startKeys(t)
	e.many(300)
	tb := open(t, h, at("/many"))
	tb.WaitSee(item("k000000"))
	tb.Click(item("k000003"))
	value(tb, "value 3 "+strings.Repeat("x", 80))
	tb.Click(".crumbs a|many")
	tb.Click(`.rows input[aria-label="Select k000005"]`)
	tab.Eval[bool](tb, `(document.querySelector(".tree").scrollTop = 26 * 150 + 7, document.querySelector(".tree").focus(), true)`)
	tb.WaitSee(item("k000160"))
	place := `(() => { const r = [...` + treeRows + `].find((r) => r.innerText.includes("k000160")); return r ? r.getBoundingClientRect().top : -1; })()`
	before := tab.Eval[float64](tb, place)
	tab.Eval[int](tb, `(() => {
		window.changes = [];
		new MutationObserver((list) => { for (const m of list) window.changes.push(m.target.closest?.("[role=treeitem]")?.innerText ?? m.target.nodeName); })
			.observe(document.querySelector(".rows tbody"), { subtree: true, childList: true, characterData: true });
		return 0; })()`)

	e.put("/many/k000001", "changed")
	began := time.Now()
	tb.WaitSee(".rows tr|changed")
	t.Logf("seen %v after the write was answered", time.Since(began))
	if got := tab.Eval[int](tb, `window.changes.length`); got > 4 {
		t.Errorf("%d things in the table were touched by the change of one value", got)
	}

	e.put("/many/k0000005", "between") // sorts behind k000000
	e.put("/aaa", "first of all")
	tb.Wait(`document.querySelector(".tree [role=treeitem]").ariaSetSize === "301"`)
	tb.Wait(`Math.abs(` + place + fmt.Sprintf(` - %v) < 1`, before))
	e.delete("/many/k000002")
	e.delete("/aaa")
	tb.Wait(`document.querySelector(".tree [role=treeitem]").ariaSetSize === "300"`)
	tb.Wait(`Math.abs(` + place + fmt.Sprintf(` - %v) < 1`, before))
	if !tab.Eval[bool](tb, `document.activeElement.matches(".tree") && `+active+`.innerText.includes("many")`) {
		t.Error("the focus or the active row is elsewhere")
	}
	if !tab.Eval[bool](tb, `document.querySelector('.rows input[aria-label="Select k000005"]').checked`) {
		t.Error("the pick is gone")
	}
	tb.WaitGone(".rows tr|k000002")
	tb.WaitSee(".rows tr|between")

	// The end of the open directory, and its return.
	e.delete("/many")
	tb.WaitSee(".empty|/many was deleted")
	tb.WaitGone(item("many"))
	e.put("/many/new", "again")
	tb.WaitSee(item("many"))
	tb.WaitSee(".rows tr|again")
}

// A TTL counts down by itself, is never negative, and its key goes.
func TestKeysTree_Expiry(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/long", "y")
	tb := open(t, h, at("/short"))
	tb.WaitSee(".empty")
	tb.WaitSee(item("long"))
	tab.Eval[int](tb, `(() => {
		window.seen = new Set();
		const look = () => { for (const e of document.querySelectorAll(".facts dd, .tree .left")) window.seen.add(e.innerText.replace(/Change…/, "").trim()); window.looking = requestAnimationFrame(look); };
		look();
		return 0; })()`)
	e.put("/short", "x", "ttl=8")
	tb.WaitSee(".facts time")
	tb.WaitSee(".empty|/short has expired")
	tb.WaitGone(item("short"))
	tb.WaitSee(item("long"))
	seen := tab.Eval[[]string](tb, `(cancelAnimationFrame(window.looking), [...window.seen])`)
	all := strings.Join(seen, ", ")
	left := slices.DeleteFunc(seen, func(s string) bool { return !strings.HasSuffix(s, " s") })
	if strings.Contains(all, "-") || len(left) < 3 {
		t.Errorf("what was seen of the TTL: %s", all)
	}
	// Whether there is a moment between the end of the TTL and the news of it is up to etcd.
	if got := tab.Eval[string](tb, `Promise.all([import("preact"), `+module("parts/time.js")+`]).then(([{ h, render }, { Left }]) => {
		const box = document.createElement("div");
		render(h(Left, { until: Date.now() - 2000 }), box);
		return box.innerText;
	})`); got != "expiring" {
		t.Errorf("what is past its time is shown as %q", got)
	}
}

// A change that comes before all of a directory, as of a stream that another tab
// has, is no directory of one row.
func TestKeysTree_ChangeBeforeAll(t *testing.T) {
	t.Parallel()
	tb := open(t, start(t, ""), "keys")
	tb.WaitSee(".tree")
	got := tab.Eval[string](tb, module("pages/keys/level.js")+`.then(({Level}) => {
		const level = new Level("/x");
		level.receive({seq: 7, changes: [{op: "insert", at: 0, row: {name: "a"}}]});
		const before = level.count;
		level.receive({seq: 7, count: 5});
		level.receive({seq: 8, changes: [{op: "insert", at: 0, row: {name: "b"}}]});
		return before + " " + level.count;
	})`)
	if got != "null 6" {
		t.Errorf("counts %q, want none before all of it, and then 6", got)
	}
}
