package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/sdktest"
)

func start(t *testing.T, cfg Config) *sdktest.Module {
	t.Helper()
	m := sdktest.New(t, cfg, New)
	m.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return m
}

// The page is there with and without the slash; the way to it is relative, so
// that it works behind a proxy that takes a prefix off.
func TestDashboard_Page(t *testing.T) {
	m := start(t, defaults())
	if r := m.Do("GET", ""); r.Status != http.StatusPermanentRedirect || r.Header.Get("Location") != "test/" {
		t.Errorf("without the slash: %v, to %q", r, r.Header.Get("Location"))
	}
	for _, page := range pages {
		r := m.Do("GET", "/"+page+"?at=/a")
		if r.Status != 200 || !strings.HasPrefix(r.Body, "<!doctype html>") || r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("page %q: %v", page, r)
		}
		if head := m.Do("HEAD", "/"+page); head.Status != 200 || head.Body != "" {
			t.Errorf("HEAD of page %q: %v", page, head)
		}
	}
	for _, path := range []string{"/nothing", "/keys/", "/static", "/static/", "/api/", "/api/nothing", "/../lock"} {
		m.Do("GET", path).Expect(t, 404, "707")
	}
}

// The script's list of pages is that of the handlers.
func TestDashboard_PagesAreThoseOfTheScript(t *testing.T) {
	text, err := os.ReadFile("ui/static/pages.js")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, m := range regexp.MustCompile(`path: "([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
		list = append(list, m[1])
	}
	if strings.Join(list, " ") != strings.Join(pages, " ") {
		t.Errorf("pages.js has %q, the handlers have %q", list, pages)
	}
}

// What changes something must be JSON, and must be allowed, before anybody looks
// at what it is.
func TestDashboard_Orders(t *testing.T) {
	m := start(t, defaults())
	post := func(kind string) sdktest.Reply {
		return m.Send(m.NewRequest("POST", "/api/nothing", strings.NewReader("{}"), "Content-Type", kind))
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp"} {
		post(kind).Expect(t, 415, "713")
	}
	post("application/json; charset=utf-8").Expect(t, 404, "707")

	m.SetAccess(sdk.Access{ReadOnly: "not today"})
	r := post("application/json")
	r.Expect(t, 403, "720")
	if _, cause := r.Failure(t); cause != "not today" {
		t.Errorf("cause = %q", cause)
	}
	for _, method := range []string{"PUT", "DELETE", "PATCH"} {
		m.Do(method, "/api/nothing").Expect(t, 403, "720")
	}
	m.Do("GET", "/").Expect(t, 200, m.Do("GET", "/").Body)

	cfg := defaults()
	cfg.ReadOnly = true
	m = start(t, cfg)
	m.Send(m.NewRequest("POST", "/api/nothing", strings.NewReader("{}"), "Content-Type", "application/json")).Expect(t, 403, "720")
}

// Pages of other sites get no work done, though a link of theirs leads to the page.
func TestDashboard_PagesOfOtherSites(t *testing.T) {
	m := start(t, defaults())
	ask := func(path, site string) sdktest.Reply {
		return m.Send(m.NewRequest("GET", path, nil, "Sec-Fetch-Site", site))
	}
	for _, path := range []string{"/api/keys/search?q=a&in=value", "/api/keys/export?dir=/", "/api/nothing"} {
		for _, site := range []string{"cross-site", "same-site"} {
			ask(path, site).Expect(t, 403, "721")
		}
	}
	for _, site := range []string{"same-origin", "none"} {
		ask("/api/nothing", site).Expect(t, 404, "707")
	}
	if r := ask("/keys?at=/a", "cross-site"); r.Status != 200 {
		t.Errorf("a link of another site: %v", r)
	}
}

// A topic that needs a privilege says which, and one that there is not says so.
func TestDashboard_TopicsWithoutPrivileges(t *testing.T) {
	h, err := New(defaults(), &sdk.Env{Name: "window"})
	if err != nil {
		t.Fatal(err)
	}
	d := h.(*dashboard)
	defer d.Close(t.Context()) //nolint:errcheck // never fails
	for topic, privilege := range map[string]string{
		"keys": "keys", "dir:/a": "keys", "node:/a": "keys", "locks": "keys", "locks:lock:a": "keys", "locks.counts": "keys", "leaders": "keys", "leaders:leader:a": "keys",
		"members": "cluster", "modules": "modules", "module:lock": "modules", "log:lock": "modules",
	} {
		source, err := d.source(topic)
		if err != nil {
			t.Errorf("topic %q: %v", topic, err)
			continue
		}
		err = source(t.Context(), nil)
		if e := new(sdk.Error); !errors.As(err, &e) || e.Code != sdk.CodeReadOnly || !strings.Contains(e.Cause, `"window"`) || !strings.Contains(e.Cause, fmt.Sprintf("%q", privilege)) {
			t.Errorf("topic %q: %v, want that %q is missing", topic, err, privilege)
		}
	}
	for _, topic := range []string{"nav", "samples", "overview"} {
		if _, err := d.source(topic); err != nil {
			t.Errorf("topic %q: %v", topic, err)
		}
	}
	for _, topic := range []string{"none", "keys.counts", "lockss", ""} {
		if _, err := d.source(topic); err == nil || !strings.Contains(err.Error(), "no topic") {
			t.Errorf("topic %q: %v", topic, err)
		}
	}
}

// A folder of files is read anew for each page: whoever works on them need not
// build. One that has no page is an error of the config.
func TestDashboard_UIDir(t *testing.T) {
	cfg := defaults()
	cfg.UIDir = t.TempDir()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(cfg.UIDir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := New(cfg, &sdk.Env{}); err == nil {
		t.Error("an empty folder will do")
	}
	write("static/a.js", "1")
	write("index.html", "first")
	m := start(t, cfg)
	m.Do("GET", "/").Expect(t, 200, "first")
	write("index.html", "second")
	m.Do("GET", "/").Expect(t, 200, "second")
}

func TestConfig_Validate(t *testing.T) {
	for bytes, ok := range map[int64]bool{-1: false, 0: true, 8 << 20: true, 1<<30 + 1: false} {
		cfg := defaults()
		cfg.HistoryBytes = bytes
		if err := cfg.Validate(); (err == nil) != ok {
			t.Errorf("history_bytes %d: %v", bytes, err)
		}
	}
}

// The stream begins with whom one talks to.
func TestDashboard_Hello(t *testing.T) {
	m := start(t, defaults())
	m.SetAccess(sdk.Access{User: "ada", SignedIn: true})
	res, err := m.Client().Do(m.NewRequest("GET", "/api/events", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // left early
	text := make([]byte, 300)
	if _, err := io.ReadFull(res.Body, text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"topic":"hello"`, `"user":"ada","signedIn":true`, `"readOnly":""`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("stream begins with %q, which has no %s", text, want)
		}
	}
}
