package browser

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/etcd-modules/modhost/integration/browser/tab"
	"github.com/etcd-modules/modhost/integration/drive"
)

// What is on the pages Locks and Leaders, as JavaScript.
const (
	lineRows  = `[...document.querySelectorAll("table.lines > tbody > tr:not(.detail)")]`
	lineNames = lineRows + `.map((r) => r.querySelector(".toggle bdi").textContent)`
	confirms  = `document.querySelector("dialog[open] form button.danger")`
	dialog    = `document.querySelector("dialog[open]").innerText`
)

// column is one column of the line that is open.
func column(label string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("table.places > tbody > tr")].map((r) => r.querySelector("td[data-label='%s']").innerText)`, label)
}

// history is one column of the table of endings: of the line that is open, or of
// all.
func history(of, label string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("%s .history > table > tbody > tr")].map((r) => r.querySelector("td[data-label='%s']").innerText)`, of, label)
}

const (
	ofOpen = ".open"
	ofAll  = ".page > "
)

// is is an expression that is true when another one has that value.
func is(expression string, want any) string {
	text, err := json.Marshal(want)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("JSON.stringify(%s) === JSON.stringify(%s)", expression, text)
}

// order sends an order to the dashboard, as no page would.
func order(t *testing.T, h *drive.Host, path string, body any) (status int, answer string) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(h.URL+"/mod/dashboard/api/"+path, "application/json", strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(all)
}

// fiveInLine puts five curl clients into the line of a lock, one after the
// other.
func fiveInLine(t *testing.T, h *drive.Host, name string) (l *drive.Lock, clients []*drive.Curl, line []drive.Entry) {
	t.Helper()
	l = h.Lock(t, name)
	for i := range 5 {
		clients = append(clients, drive.StartCurl(t, "-X", "POST", l.URL+"?ttl=600", "-d", fmt.Sprintf("value=client-%d", i)))
		l.AwaitLine(i + 1)
	}
	l.AwaitWaiting(4)
	return l, clients, l.Line()
}

// indexes of entries, as they stand on a page.
func indexes(line []drive.Entry) (list []string) {
	for _, e := range line {
		list = append(list, strconv.FormatUint(e.Index, 10))
	}
	return list
}

// The line is shown in its order and with its times; a hand-over is seen within
// a second.
func TestLocks_QueueInOrder(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	l, _, line := fiveInLine(t, h, "report")
	tb := open(t, h, "locks")
	tb.Click("button.toggle|report")
	tb.Wait(is(column("Index"), indexes(line)))
	tb.Wait(is(column("Owner"), []string{"client-0", "client-1", "client-2", "client-3", "client-4"}))
	tb.Wait(is(column("Place"), []string{"holds", "1", "2", "3", "4"}))
	tb.Wait(is(column("TTL"), slices.Repeat([]string{"600 s"}, 5)))
	// Times are shown by the browser's clock, which is set against that of the server with the first pulses.
	tb.Await("the times", func() bool {
		shown := tab.Eval[[]int64](tb, `[...document.querySelectorAll("table.places > tbody > tr")].map((r) => Date.parse(r.querySelector("time").dateTime))`)
		for i, e := range line {
			want := e.Asked
			if i == 0 {
				want = e.Since
			}
			if d := shown[i] - want; d < -1000 || d > 1000 {
				t.Logf("place %d: shown to be there since %d, by etcd since %d", i, shown[i], want)
				return false
			}
		}
		return true
	})

	began := time.Now()
	l.Release(line[0].Index)
	tb.WaitFor(2*drive.Soon(), is(column("Index"), indexes(line[1:])))
	tb.WaitFor(2*drive.Soon(), is(history(ofOpen, "How it ended"), []string{"released"})+" && "+is(history(ofAll, "Next"), []string{"client-1"}))
	t.Logf("the hand-over was seen after %v at most", time.Since(began))
	if s := l.State(); s.Index != line[1].Index {
		t.Errorf("the API says %+v", s)
	}
}

// strange names and values: markup, and what has a meaning in an address.
var strange = []string{
	`<img src=x onerror="window.hit = 1">`,
	`<script>window.hit = 1</script>`,
	`"><svg onload=window.hit=1>`,
	`javascript:window.hit=1`,
	`a b?c#d%e@f&g=h+i`,
	`lock:with:colons`,
	`%3Cb%3E`,
	`schön 漢字 🔒`,
	`trailing `,
	"two\nlines",
	`{{constructor.constructor("window.hit = 1")()}}`,
}

// Names and values are text wherever they stand, and any name has an address.
func TestLines_StrangeNames(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	for i, name := range strange {
		value := strange[(i+1)%len(strange)]
		l := h.Lock(t, url.PathEscape(name))
		l.Release(l.Take("value", value)) // for the history
		l.Take("value", value)
		e := h.Election(t, url.PathEscape(name))
		e.Lead(value)
	}
	tb := open(t, h, "locks")
	for _, page := range []string{"locks", "leaders"} {
		tb.Go(h.URL + "/mod/dashboard/" + page + "?sort=name")
		want := slices.Sorted(slices.Values(strange))
		tb.Wait(fmt.Sprintf(`%s.length === %d`, lineNames, len(want)))
		if got := slices.Sorted(slices.Values(tab.Eval[[]string](tb, lineNames))); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", page, got, want)
		}
		for i, name := range strange {
			at := `document.querySelector(".toggle[aria-expanded=true] bdi")?.textContent`
			text, _ := json.Marshal(name)
			tab.Eval[bool](tb, fmt.Sprintf(`%s.find((r) => r.querySelector("bdi").textContent === %s).querySelector(".toggle").click(), true`, lineRows, text))
			tb.Wait(at + ` === ` + string(text))
			tb.Wait(`document.title.startsWith(` + string(text) + `.trim().replaceAll(/\s+/g, " "))`)
			value, _ := json.Marshal(strange[(i+1)%len(strange)])
			tb.Wait(`document.querySelector("table.places bdi")?.textContent === ` + string(value))
			tb.Reload()
			tb.Wait(at + ` === ` + string(text))
			tb.Wait(`document.querySelector("table.places bdi")?.textContent === ` + string(value))
			tb.Click(".chosen .act button")
			tb.Wait(`document.querySelector("dialog[open] bdi").textContent === ` + string(text))
			tb.Press(kb.Escape)
			tb.WaitGone("dialog[open]")
		}
		if tab.Eval[bool](tb, `"hit" in window`) {
			t.Errorf("%s: a script ran", page)
		}
		if n := tab.Eval[int](tb, `document.querySelectorAll("main img, main script, main b, main svg[onload]").length`); n > 0 {
			t.Errorf("%s: %d elements came of texts", page, n)
		}
	}
}

// Filter, order, page and the open row are in the address: the page comes back
// by it, and by Back.
func TestLines_AreInTheAddress(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	for i := range 120 {
		h.Lock(t, fmt.Sprintf("job-%03d", i)).Take("value", fmt.Sprintf("worker-%d", i%7))
	}
	tb := open(t, h, "locks")
	tb.Wait(lineRows + `.length === 100`)
	tb.Wait(`document.querySelector("th[aria-sort=descending]").innerText.startsWith("Waiting")`) // the longest in front
	tb.Click("th button|Lock")
	tb.Wait(`document.querySelector("th[aria-sort=ascending]").innerText.startsWith("Lock")`)
	tb.Wait(lineNames + `[0] === "job-000"`)
	tb.Click("th button|Lock")
	tb.Wait(lineNames + `[0] === "job-119"`)
	tb.Click(".pager button|Next")
	tb.Wait(lineNames + `[0] === "job-019" && document.querySelector(".pager").innerText.includes("101–120 of 120")`)
	tb.Click("button.toggle|job-010")
	tb.WaitSee("table.places")
	tb.Reload()
	tb.Wait(lineNames + `[0] === "job-019" && document.querySelector(".chosen bdi").textContent === "job-010"`)
	tb.Back()
	tb.Wait(lineNames + `[0] === "job-019" && !document.querySelector(".chosen")`)
	tb.Back()
	tb.Wait(lineNames + `[0] === "job-119"`)
	tb.Type("[data-search]", "worker-3")
	tb.Wait(lineRows + `.length === 17 && !document.querySelector(".pager")`)
	tb.Reload()
	tb.Wait(lineRows + `.length === 17 && ` + lineNames + `[0] === "job-115"`)
	tb.Type("[data-search]", "nothing")
	tb.WaitSee("p.empty|nothing")
	tb.Click("button|Show all")
	tb.Wait(lineRows + `.length === 100`)
}

// A lock is opened and released by keys alone, and the focus is seen all the way.
func TestLocks_ByKeyboard(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	l, _, line := fiveInLine(t, h, "b")
	h.Lock(t, "a").Take("value", "other")
	tb := open(t, h, "locks?sort=name")
	tb.Wait(lineRows + `.length === 2`)
	// until presses a key until the focus is on what the text says.
	until := func(key, text string) {
		t.Helper()
		for range 40 {
			tb.Press(key)
			if !tab.Eval[bool](tb, `getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
				t.Errorf("the focus is not seen on %q", tab.Eval[string](tb, "document.activeElement.outerHTML"))
			}
			if tab.Eval[bool](tb, fmt.Sprintf(`document.activeElement.textContent.includes(%q)`, text)) {
				return
			}
		}
		t.Fatalf("%q never gets the focus", text)
	}
	tb.Press("/")
	tb.Wait(`document.activeElement.matches("[data-search]")`)
	tb.Press(kb.Backspace) // what the test presses is typed, too, unlike what a keyboard does
	tb.Wait(lineRows + `.length === 2`)
	until(kb.Tab, "▸ a")
	tb.Press(kb.ArrowDown)
	tb.Wait(`document.activeElement.textContent.includes("▸ b")`)
	tb.Press(kb.ArrowRight)
	tb.Wait(is(column("Index"), indexes(line)))
	until(kb.Tab, "Release… lock b")
	tb.Press(kb.Enter)
	tb.Wait(`document.activeElement.textContent === "Cancel"`)
	tb.Press(kb.Escape)
	tb.Wait(`document.activeElement.textContent === "Release… lock b"`)
	tb.Press(kb.Enter)
	tb.Wait(`document.activeElement.textContent === "Cancel"`)
	until(kb.Tab, "Release")
	tb.Press(kb.Enter)
	tb.WaitGone("dialog[open]")
	tb.Wait(is(column("Index"), indexes(line[1:])))
	tb.Wait(`document.activeElement.textContent === "Release… lock b"`)
	l.WantHeld(line[1].Index, "client-1", 3)
}

// Ten thousand locks: a page of them at a time, all of them found.
func TestLocks_TenThousand(t *testing.T) {
	const n = 10_000
	h := start(t, "")
	h.Lock(t, "job").Take("value", "host")
	record, err := drive.LineOf(h.Etcd, "lock", "job")
	if err != nil || len(record) != 1 {
		t.Fatalf("line = %+v, %v", record, err)
	}
	held := fmt.Sprintf(`{"state":"held","nonce":"x","value":"host","ttl":3600,"since":%d}`, time.Now().UnixMilli())
	var writers sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	defer client.CloseIdleConnections()
	for w := range 16 {
		writers.Go(func() {
			for i := w; i < n-1; i += 16 {
				if _, err := drive.Send(t.Context(), client, http.MethodPut, fmt.Sprintf("%s/v2/keys%s/v1", h.Etcd, drive.LineKey(fmt.Sprintf("job-%05d", i))), "value", held, "ttl", "3600"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	tb := open(t, h, "locks")
	began := time.Now()
	tb.Wait(`document.querySelector(".pager")?.innerText.includes("1–100 of 10,000")`)
	t.Logf("all are there %v after the page", time.Since(began))
	tab.Eval[bool](tb, `(window.long = [], new PerformanceObserver((l) => window.long.push(...l.getEntries().map((e) => e.duration))).observe({type: "longtask"}), true)`)
	tb.Click("th button|Lock")
	tb.Wait(lineNames + `[1] === "job-00000"`)
	tb.Click(".pager button|Next")
	tb.Wait(lineNames + `[0] === "job-00099"`)
	tb.Click("button.toggle|job-00120")
	tb.WaitSee("table.places")
	tb.Type("[data-search]", "job-09998")
	tb.Wait(is(lineNames, []string{"job-00120", "job-09998"})) // the open one stays in sight
	h.Lock(t, "job-099980").Take("value", "new")
	tb.Wait(is(lineNames, []string{"job-00120", "job-09998", "job-099980"}))
	t.Logf("tasks over 50 ms meanwhile: %v", tab.Eval[[]float64](tb, "window.long"))
}

// Lines of several modules are told apart, and filtered.
func TestLocks_OfSeveralModules(t *testing.T) {
	t.Parallel()
	h := programs.Start(t, drive.Embedded+`
module "semaphore" {
  command = "modhost-lock"
}
`+drive.Dashboard(`locks = ["lock", "semaphore"]`))
	h.Lock(t, "same").Take("value", "one")
	drive.LockAt(t, h.URL+"/mod/semaphore/same").Take("value", "two")
	tb := open(t, h, "locks?sort=owner")
	tb.Wait(is(lineRows+`.map((r) => r.querySelector("td[data-label=Module]").innerText)`, []string{"lock", "semaphore"}))
	tab.Eval[bool](tb, `((s) => { s.value = "semaphore"; s.dispatchEvent(new Event("change", {bubbles: true})); return true; })(document.querySelector("select[aria-label=Module]"))`)
	tb.Wait(lineRows + `.length === 1 && ` + lineRows + `[0].innerText.includes("two")`)
	tb.Click("button.toggle|same")
	tb.Wait(is(column("Owner"), []string{"two"}))
}

// What may not be changed can't be, in the page or past it, and the page says why.
func TestLines_ReadOnly(t *testing.T) {
	t.Parallel()
	h := start(t, "read_only = true")
	l, _, line := fiveInLine(t, h, "report")
	tb := open(t, h, "locks?open=lock:report")
	tb.Wait(is(column("Index"), indexes(line)))
	tb.Wait(`[...document.querySelectorAll(".order")].length === 6 && [...document.querySelectorAll(".order")].every((b) => b.disabled && b.title.includes("read_only") && b.textContent.includes("read_only"))`)
	for _, path := range []string{"locks/release", "leaders/release"} {
		if status, answer := order(t, h, path, map[string]any{"module": "lock", "name": "report", "index": indexes(line)[0]}); status != http.StatusForbidden {
			t.Errorf("order to %s = %d %s, want 403", path, status, answer)
		}
	}
	l.WantHeld(line[0].Index, "client-0", 4)
}

// Without etcd what is shown says that it is old, and nothing can be ordered. It
// recovers by itself.
func TestLines_WithoutEtcd(t *testing.T) {
	t.Parallel()
	c := programs.StartCluster(t, 1)
	h := programs.Start(t, drive.Joined(c.Endpoints()...)+drive.Dashboard(""))
	l := h.Lock(t, "report")
	l.Take("value", "host")
	tb := open(t, h, "locks")
	tb.Wait(lineRows + `.length === 1 && !document.querySelector(".order").disabled`)
	c.Members[0].Kill()
	tb.Wait(`document.querySelector(".page.stale") && document.querySelector(".page .problem, .banner.bad")`)
	tb.Wait(`document.querySelector(".order").disabled && document.querySelector(".order").title.includes("may be old")`)
	tb.Wait(lineRows + `.length === 1`)
	c.Members[0].Restart()
	tb.Wait(`!document.querySelector(".page.stale, .page .problem, .banner.bad") && !document.querySelector(".order").disabled`)
	drive.Eventually(t, func() error {
		r, err := drive.Send(t.Context(), http.DefaultClient, http.MethodPost, h.URL+"/mod/v2/lock/another", "ttl", "600", "timeout", "0", "value", "x")
		if err == nil && r.Status != http.StatusOK {
			err = fmt.Errorf("%d %s", r.Status, r.Body)
		}
		return err
	})
	tb.Wait(lineRows + `.length === 2`)
}

// Dialogs, open rows and histories are accessible, and fit.
func TestLines_Accessible(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	l, _, line := fiveInLine(t, h, "report-"+strings.Repeat("long", 60))
	l.Release(line[0].Index)
	e := h.Election(t, "orders")
	e.Lead("a")
	e.Stand("b")
	e.AwaitWaiting(1)
	e.Withdraw("a")
	tb := open(t, h, "locks")
	for _, page := range []string{"locks", "leaders"} {
		tb.Go(h.URL + "/mod/dashboard/" + page)
		tb.Click("button.toggle")
		tb.WaitSee("table.places")
		tb.WaitSee(".open .history td")
		for _, s := range screens {
			s.show(tb)
			accessible(t, tb, fmt.Sprintf("open row of %s, %s", page, s))
			if over := tab.Eval[int](tb, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
				t.Errorf("%s, %s: %d px wider than the view", page, s, over)
			}
			tb.Click(".act button")
			tb.WaitSee("dialog[open]")
			accessible(t, tb, fmt.Sprintf("dialog of %s, %s", page, s))
			tb.Press(kb.Escape)
			tb.WaitGone("dialog[open]")
		}
	}
}
