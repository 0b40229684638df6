// Package tab drives tabs of a real Chromium and sees what goes wrong in them:
// everything on the console that is a warning or worse, requests to anywhere but
// the page's own origin, and requests that fail. A tab's test fails for each of
// them, unless it has said that it expects it.
//
// The browser has a resolver rule that knows 127.0.0.1 only, a fresh profile,
// and one context per tab: tabs share nothing unless they are made by
// [Tab.Another].
package tab

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	cdplog "github.com/chromedp/cdproto/log"
)

// patience is how long a tab is waited for.
const patience = 30 * time.Second

// Names under which Chromium is installed.
var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// A Browser is one process of Chromium. Safe for concurrent use.
type Browser struct{ ctx context.Context }

// Start starts a browser, which ends when the returned function is called. The
// error says what to install, if there is none.
func Start() (*Browser, func(), error) {
	var path string
	for _, name := range names {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		return nil, nil, fmt.Errorf("no browser: none of %s is in the PATH; install Debian's chromium", strings.Join(names, ", "))
	}
	profile, err := os.MkdirTemp("", "modhost-browser-")
	if err != nil {
		return nil, nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(profile),
		// 127.0.0.2 is another site on this machine.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE 127.0.0.2"),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WindowSize(1200, 800),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium has none for root
	}
	alloc, endAlloc := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(alloc)
	stop := func() {
		end()
		endAlloc()
		os.RemoveAll(profile) //nolint:errcheck // a folder of the system's own for such
	}
	if err := chromedp.Do(ctx); err != nil {
		stop()
		return nil, nil, fmt.Errorf("start %s: %w", path, err)
	}
	return &Browser{ctx}, stop, nil
}

// A Tab is one tab. It is used by one goroutine at a time.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	origin   string // "" before the first page
	problems []string
	expected []*regexp.Regexp
	requests []Request
	pending  map[network.RequestID]int // index in requests
}

// A Request is one that the page has sent, workers' apart.
type Request struct {
	Method, URL string
	Status      int64
	Bytes       float64 // of the answer as it came, head included; 0 until it is whole
	FromCache   bool
}

// Open opens a tab in a context of its own, closed at the end of the test.
func (b *Browser) Open(t testing.TB) *Tab {
	t.Helper()
	ctx, end := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	return newTab(t, ctx, end)
}

// Another opens a tab beside tb, with which it shares cookies, storage and
// shared workers.
func (tb *Tab) Another(t testing.TB) *Tab {
	t.Helper()
	ctx, end := chromedp.NewContext(tb.ctx)
	other := newTab(t, ctx, end)
	return other
}

func newTab(t testing.TB, ctx context.Context, end context.CancelFunc) *Tab {
	t.Helper()
	tb := &Tab{t: t, ctx: ctx, pending: make(map[network.RequestID]int)}
	t.Cleanup(end)
	if err := chromedp.Listen(ctx, tb.event); err != nil {
		t.Fatalf("tab: %v", err)
	}
	tb.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
			return err
		}
		// Each tab is as if it were the one in front.
		_, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return err
	}))
	t.Cleanup(func() {
		for _, p := range tb.Problems() {
			t.Errorf("tab: %s", p)
		}
		if t.Failed() {
			tb.keep()
		}
	})
	return tb
}

// event is called by the goroutine that reads from the browser.
func (tb *Tab) event(ev any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		if ev.Type != runtime.ConsoleAPICalledTypeError && ev.Type != runtime.ConsoleAPICalledTypeWarning && ev.Type != runtime.ConsoleAPICalledTypeAssert {
			return
		}
		var text []string
		for _, a := range ev.Args {
			if len(a.Value) > 0 {
				text = append(text, string(a.Value))
			} else {
				text = append(text, a.Description)
			}
		}
		tb.note("console: %s", strings.Join(text, " "))
	case *runtime.EventExceptionThrown:
		text := ev.ExceptionDetails.Text
		if ev.ExceptionDetails.Exception != nil {
			text += " " + ev.ExceptionDetails.Exception.Description
		}
		tb.note("exception: %s", text)
	case *cdplog.EventEntryAdded:
		if ev.Entry.Level == cdplog.EntryLevelError || ev.Entry.Level == cdplog.EntryLevelWarning {
			tb.note("log: %s %s", ev.Entry.Text, ev.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(ev.Request.URL)
		if err == nil && u.Scheme != "data" && u.Scheme != "blob" && tb.origin != "" && u.Scheme+"://"+u.Host != tb.origin {
			tb.note("foreign request: %s", ev.Request.URL)
		}
		tb.pending[ev.RequestID] = len(tb.requests)
		tb.requests = append(tb.requests, Request{Method: ev.Request.Method, URL: ev.Request.URL})
	case *network.EventResponseReceived:
		if i, ok := tb.pending[ev.RequestID]; ok {
			tb.requests[i].Status, tb.requests[i].FromCache = ev.Response.Status, ev.Response.FromDiskCache
		}
	case *network.EventLoadingFinished:
		if i, ok := tb.pending[ev.RequestID]; ok {
			tb.requests[i].Bytes = ev.EncodedDataLength
		}
	}
}

// note keeps a problem. The caller holds mu.
func (tb *Tab) note(format string, args ...any) {
	tb.problems = append(tb.problems, fmt.Sprintf(format, args...))
}

// Expect lets problems that match pattern pass.
func (tb *Tab) Expect(pattern string) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.expected = append(tb.expected, regexp.MustCompile(pattern))
}

// Problems are those that were not expected, so far.
func (tb *Tab) Problems() []string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	var list []string
next:
	for _, p := range tb.problems {
		for _, e := range tb.expected {
			if e.MatchString(p) {
				continue next
			}
		}
		list = append(list, p)
	}
	return list
}

// Requests are those so far.
func (tb *Tab) Requests() []Request {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return append([]Request(nil), tb.requests...)
}

// do runs steps with the tab's patience.
func (tb *Tab) do(steps ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	if err := chromedp.Do(tb.ctx); err != nil { // the first one must have no deadline
		tb.t.Fatalf("tab: %v", err)
	}
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		tb.t.Fatalf("tab: %v", err)
	}
}

// Do runs steps of chromedp, for what Tab has no words for.
func (tb *Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	tb.do(steps...)
}

// Context is chromedp's, for the same reason.
func (tb *Tab) Context() context.Context { return tb.ctx }

// Go opens an address, and waits for its page to be loaded.
func (tb *Tab) Go(address string) {
	tb.t.Helper()
	if u, err := url.Parse(address); err == nil {
		tb.mu.Lock()
		tb.origin = u.Scheme + "://" + u.Host
		tb.mu.Unlock()
	}
	tb.do(chromedp.Navigate(address))
}

// Reload loads the page anew.
func (tb *Tab) Reload() { tb.t.Helper(); tb.do(chromedp.Reload()) }

// Back goes back in the history.
func (tb *Tab) Back() { tb.t.Helper(); tb.do(chromedp.NavigateBack()) }

// Eval returns the value of an expression of JavaScript, awaited if it is a
// promise. The page's content policy does not bind it.
func Eval[T any](tb *Tab, expression string) T {
	tb.t.Helper()
	v, err := evaluate[T](tb, expression)
	if err != nil {
		tb.t.Fatalf("tab: %s: %v", expression, err)
	}
	return v
}

func evaluate[T any](tb *Tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Wait waits until an expression of JavaScript is true. What stands on the page
// is printed if it never is.
func (tb *Tab) Wait(expression string) {
	tb.t.Helper()
	tb.WaitFor(patience, expression)
}

// WaitFor is Wait with another patience.
func (tb *Tab) WaitFor(limit time.Duration, expression string) {
	tb.t.Helper()
	end := time.Now().Add(limit)
	for {
		ok, err := evaluate[bool](tb, "!!("+expression+")")
		if ok {
			return
		}
		if time.Now().After(end) {
			text, _ := evaluate[string](tb, "document.body.innerText")
			tb.t.Fatalf("tab: still not true after %v: %s (%v); problems: %q; the page says:\n%.3000s", limit, expression, err, tb.Problems(), text)
		}
		time.Sleep(20 * time.Millisecond) // the poll of a deadline
	}
}

// find is an expression for the first visible element that selector and text
// describe: "button|Save" is the button whose text or aria-label contains Save.
// Without a text it is the selector alone. Dialogs that are open come first.
func find(what string) string {
	selector, text, _ := strings.Cut(what, "|")
	return fmt.Sprintf(`(() => {
		const roots = [...document.querySelectorAll("dialog[open]")].reverse().concat(document.body);
		for (const root of roots) for (const e of root.querySelectorAll(%q)) {
			const label = (e.getAttribute("aria-label") ?? "") + " " + (e.textContent ?? "");
			if (e.checkVisibility() && label.includes(%q)) return e;
		}
		return null;
	})()`, selector, text)
}

// WaitSee waits until there is such an element: see Click.
func (tb *Tab) WaitSee(what string) { tb.t.Helper(); tb.Wait(find(what)) }

// WaitGone waits until there is none.
func (tb *Tab) WaitGone(what string) { tb.t.Helper(); tb.Wait("!" + find(what)) }

// Sees reports whether there is one.
func (tb *Tab) Sees(what string) bool { tb.t.Helper(); return Eval[bool](tb, "!!"+find(what)) }

// Click clicks, as a mouse does, the first visible element that what describes,
// which is a selector or "selector|text": its text or aria-label contains that.
// It waits for the element to be there and enabled.
func (tb *Tab) Click(what string) {
	tb.t.Helper()
	tb.Wait(fmt.Sprintf(`(e => e && !e.disabled)(%s)`, find(what)))
	at := Eval[[]float64](tb, fmt.Sprintf(`(e => { e.scrollIntoView({block: "nearest"}); const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })(%s)`, find(what)))
	tb.do(chromedp.MouseClickXY(at[0], at[1]))
}

// Type puts the focus on what, as in Click, selects what stands there, and types
// text.
func (tb *Tab) Type(what, text string) {
	tb.t.Helper()
	tb.WaitSee(what)
	Eval[bool](tb, fmt.Sprintf(`(e => { e.focus(); e.select?.(); return true; })(%s)`, find(what)))
	if text == "" {
		tb.Press(kb.Backspace)
		return
	}
	tb.Press(text)
}

// Press presses keys one after the other, on what has the focus; the names of
// keys that are not characters are in chromedp's package kb.
func (tb *Tab) Press(keys string, modifiers ...chromedp.Modifier) {
	tb.t.Helper()
	tb.do(chromedp.KeyEvent(keys, chromedp.KeyModifiers(modifiers...)))
}

// Stroke presses a key whose character is not to be written: a shortcut that
// moves the focus. (What Press sends as a character would reach the new place,
// which a browser does not let happen with a real key.)
func (tb *Tab) Stroke(key string) {
	tb.t.Helper()
	tb.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
			if _, err := chromedp.Call(ctx, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: key}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Text is what is visible of what, as in Click.
func (tb *Tab) Text(what string) string {
	tb.t.Helper()
	tb.WaitSee(what)
	return Eval[string](tb, find(what)+".innerText")
}

// Size sets the size of the view in CSS pixels; 640 and less is a telephone's.
func (tb *Tab) Size(width, height int64) {
	tb.t.Helper()
	tb.do(chromedp.EmulateViewport(width, height))
}

// Scheme lets the system prefer "light" or "dark".
func (tb *Tab) Scheme(scheme string) {
	tb.t.Helper()
	tb.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// Busy is how long the page's main thread has used a processor since it was
// opened.
func (tb *Tab) Busy() time.Duration {
	tb.t.Helper()
	var busy time.Duration
	tb.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		if _, err := chromedp.Call(ctx, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks}); err != nil {
			return err
		}
		all, err := chromedp.Call(ctx, performance.GetMetrics, cdp.Empty{})
		for _, m := range all.Metrics {
			if m.Name == "TaskDuration" {
				busy = time.Duration(m.Value * float64(time.Second))
			}
		}
		return err
	}))
	return busy
}

// Picture writes a picture of the view into a file.
func (tb *Tab) Picture(file string) {
	tb.t.Helper()
	if err := tb.picture(file); err != nil {
		tb.t.Fatalf("tab: %v", err)
	}
}

func (tb *Tab) picture(file string) error {
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	data, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	return errors.Join(err, os.WriteFile(file, data, 0o644))
}

// keep leaves a picture of a failed test where the environment says.
func (tb *Tab) keep() {
	dir := os.Getenv("MODHOST_TEST_PICTURES")
	if dir == "" {
		return
	}
	file := filepath.Join(dir, strings.NewReplacer("/", "_", " ", "_").Replace(tb.t.Name())+".png")
	tb.t.Logf("picture: %s (%v)", file, tb.picture(file))
}

// Await waits until f is true.
func (tb *Tab) Await(what string, f func() bool) {
	tb.t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			tb.t.Fatalf("tab: still no %s after %v; problems: %q", what, patience, tb.Problems())
		}
	}
}
