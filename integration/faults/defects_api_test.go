package faults

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// In the original an index was a part of a path: with dots in it any key of
// etcd could be deleted, written or given a TTL.
func d11IndexIsNoPath(t *testing.T, h *drive.Host) {
	l, other := lockOf(t, h, "d11"), lockOf(t, h, "d11-other")
	l.take("value", "a")
	index := other.take("value", "b")
	keys := []string{"/d11-treasure", "/_mod/d11-treasure", "/_mod/lock/d11-treasure"}
	before := map[string]etcdNode{}
	for _, key := range keys {
		drive.Must(t, l.http, http.MethodPut, h.Etcd+"/v2/keys"+key, "value", "gold")
		before[key], _ = l.etcd(key)
	}
	for _, path := range []string{
		"../../d11-treasure", "../../../d11-treasure", "../../../../d11-treasure", "../../../../../d11-treasure",
		"../d11-other/" + index, "/" + index, "./" + index, "d11-other/" + index,
	} {
		for _, path := range []string{path, url.QueryEscape(path)} {
			l.refused(http.StatusBadRequest, 203, http.MethodDelete, "index", path)
			l.refused(http.StatusBadRequest, 203, http.MethodPut, "ttl", "1", "index", path)
			l.refused(http.StatusBadRequest, 208, http.MethodPut, "ttl", "1", "index", path, "value", "pwned")
		}
	}
	// Another lock's index as it is, too.
	l.refused(http.StatusNotFound, 100, http.MethodDelete, "index", index)
	l.refused(http.StatusNotFound, 100, http.MethodPut, "ttl", "1", "index", index)
	other.wantHeld(index, "b", 0)
	for _, key := range keys {
		if after, _ := l.etcd(key); fmt.Sprint(after) != fmt.Sprint(before[key]) {
			t.Errorf("%s = %+v, want it as it was: %+v", key, after, before[key])
		}
	}
}

// In the original an encoded question mark or number sign in a name cut it
// off there, so that another lock was meant, and a percent sign crashed the
// handler.
func d12URLInName(t *testing.T, h *drive.Host) {
	victim := lockOf(t, h, "d12")
	index := victim.take("value", "v")
	for i, name := range []string{"d12%3F", "d12%3Fx=y", "d12%23", "d12%23x", "d12%25", "d12%253F", "d12%20", "d12%2F" + index + "%3F"} {
		l, value := lockOf(t, h, name), fmt.Sprint("value", i)
		l.refused(http.StatusNotFound, 100, http.MethodPut, "ttl", "1", "index", index)
		l.refused(http.StatusNotFound, 100, http.MethodDelete, "value", "v")
		l.wantHeld(l.take("value", value), value, 0)
	}
	victim.wantHeld(index, "v", 0)
}

// In the original the leader of a name and the lock of that name were one
// queue. Here the lock's program runs as two modules.
func d13ModulesShareNothing(t *testing.T, _ *drive.Host) {
	h := programs(t).Start(t, drive.Embedded+`
module "second" {
  command = "modhost-lock"
  mounts  = ["/mod/second"]
}
`)
	l := lockOf(t, h, "d13")
	second := &lockClient{t, l.http, h, "/mod/second/d13"}
	index := l.take("value", "a")
	if r := second.ask(http.MethodGet); r.Status != http.StatusOK || r.Body != "" || r.Header.Get("X-Lock-State") != "free" {
		t.Errorf("the other module's lock = %v, %s, want it free", r, r.Header.Get("X-Lock-State"))
	}
	other := second.take("value", "b", "ttl", "700")
	l.refused(http.StatusNotFound, 100, http.MethodDelete, "index", other)
	second.refused(http.StatusNotFound, 100, http.MethodPut, "ttl", "1", "value", "a")
	l.wantHeld(index, "a", 0)
	second.wantHeld(other, "b", 0)
	l.must(http.MethodDelete, "value", "a")
	second.wantHeld(other, "b", 0)
}

// In the original a name with a slash was a directory in another lock's
// directory: with a/2 held nobody got a, and GET a showed nothing or the other.
func d14NestedNames(t *testing.T, h *drive.Host) {
	names := []string{"d14/a/2", "d14/a", "d14", "d14/", "d14/a/", "d14//a", "d14%2Fa%2F3"}
	locks := map[string]string{}
	for _, name := range names {
		locks[name] = lockOf(t, h, name).take("value", name)
	}
	for _, name := range names { // each ends by itself, in the presence of those after it
		l := lockOf(t, h, name)
		l.wantHeld(locks[name], name, 0)
		if index := l.must(http.MethodGet, "field", "index"); index != locks[name] {
			t.Errorf("index of %q = %s, want %s", name, index, locks[name])
		}
		l.must(http.MethodDelete, "index", locks[name])
		if s := l.state(); s.State != "free" {
			t.Errorf("%q = %+v, want it free", name, s)
		}
	}
}

// In the original what was not there was 500 in most places, and so was a
// negative TTL.
func d20NotThere(t *testing.T, h *drive.Host) {
	used, never := lockOf(t, h, "d20"), lockOf(t, h, "d20-never")
	gone := used.take("value", "gone")
	used.must(http.MethodDelete, "index", gone)
	for _, l := range []*lockClient{used, never} {
		for _, which := range [][]string{{"index", gone}, {"index", "1"}, {"value", "gone"}, {"value", "nobody"}} {
			l.refused(http.StatusNotFound, 100, http.MethodDelete, which...)
			l.refused(http.StatusNotFound, 100, http.MethodPut, append([]string{"ttl", "60"}, which...)...)
		}
		for _, field := range []string{"", "value", "index"} {
			if r := l.ask(http.MethodGet, "field", field); r.Status != http.StatusOK || r.Body != "" {
				t.Errorf("GET %s with field %q = %v, want 200 and nothing", l.path, field, r)
			}
		}
		l.refused(http.StatusBadRequest, 202, http.MethodPost, "ttl", "-5")
		l.refused(http.StatusBadRequest, 202, http.MethodPut, "ttl", "-5", "value", "gone")
	}
}

// In the original ttl=0 gave a lock for ever, and took the TTL from one that
// was held.
func d21ZeroTTL(t *testing.T, h *drive.Host) {
	l := lockOf(t, h, "d21")
	l.refused(http.StatusBadRequest, 202, http.MethodPost, "ttl", "0")
	l.refused(http.StatusBadRequest, 202, http.MethodPost, "ttl", "0", "value", "a", "timeout", "0")
	if s := l.state(); s.State != "free" {
		t.Errorf("lock = %+v, want it free", s)
	}
	index := l.take("value", "a", "ttl", "1")
	l.refused(http.StatusBadRequest, 202, http.MethodPut, "ttl", "0", "index", index)
	l.refused(http.StatusBadRequest, 202, http.MethodPost, "ttl", "0", "value", "a")
	drive.Eventually(t, func() error {
		if s := l.state(); s.State != "free" {
			return fmt.Errorf("lock is %+v after its TTL", s)
		}
		return nil
	})
}

// In the original a value that looked like HTML was served as that: script of
// whoever held the lock ran in the browser of who looked at it.
func d22Script(t *testing.T, h *drive.Host) {
	const script = "<html><script>alert(1)</script>"
	l := lockOf(t, h, "d22")
	l.take("value", script)
	for _, accept := range []string{"", "text/html,application/xhtml+xml,*/*;q=0.8"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.address(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		resp, err := l.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close() //nolint:errcheck // read to the end
		if err != nil || string(body) != script {
			t.Errorf("value = %q, %v, want %q", body, err, script)
		}
		wantHeader(t, resp.Header, "Content-Type", "text/plain; charset=utf-8")
		wantHeader(t, resp.Header, "X-Content-Type-Options", "nosniff")
	}
	refusal := l.ask(http.MethodPost, "ttl", "60", "timeout", "0") // tells the value, too
	if strings.Contains(refusal.Body, "<script>") {
		t.Errorf("refusal = %v, want no tag in it", refusal)
	}
	wantHeader(t, refusal.Header, "Content-Type", "application/json")
	wantHeader(t, refusal.Header, "X-Content-Type-Options", "nosniff")
}

func wantHeader(t *testing.T, h http.Header, name, want string) {
	t.Helper()
	if got := h.Get(name); got != want {
		t.Errorf("%s = %q, want %q", name, got, want)
	}
}

// In the original PUT with index and value gave an entry another value, so
// that two could have the same one.
func d23Rename(t *testing.T, h *drive.Host) {
	l := lockOf(t, h, "d23")
	holder := l.take("value", "a")
	b := l.wait(1, "value", "b")
	l.refused(http.StatusBadRequest, 208, http.MethodPut, "ttl", "60", "index", holder, "value", "b")
	l.refused(http.StatusBadRequest, 208, http.MethodDelete, "index", holder, "value", "b")
	l.wantHeld(holder, "a", 1)
	l.must(http.MethodDelete, "value", "a")
	index := b.granted()
	l.refused(http.StatusBadRequest, 208, http.MethodPut, "ttl", "60", "index", index, "value", "a")
	l.wantHeld(index, "b", 0)
	l.refused(http.StatusNotFound, 100, http.MethodPut, "ttl", "60", "value", "a")
}

// In the original no value was stored as "-", so that who had this value
// joined who had none, and was told 200.
func d24Dash(t *testing.T, h *drive.Host) {
	l := lockOf(t, h, "d24")
	holder := l.take()
	l.refused(http.StatusLocked, 700, http.MethodPost, "ttl", "60", "value", "-", "timeout", "0")
	l.refused(http.StatusLocked, 700, http.MethodPost, "ttl", "60", "value", "", "timeout", "0") // nor do two that have none
	if r := l.ask(http.MethodGet); r.Body != "" || r.Header.Get("X-Lock-State") != "held" {
		t.Errorf("a lock that is held without a value = %v, %s, want no value and held", r, r.Header.Get("X-Lock-State"))
	}
	dash := l.wait(1, "value", "-")
	none := l.wait(2)
	l.refused(http.StatusNotFound, 100, http.MethodDelete, "value", "--")
	l.must(http.MethodDelete, "index", holder)
	index := dash.granted()
	none.stillWaits()
	l.wantHeld(index, "-", 1)
	l.must(http.MethodDelete, "value", "-")
	l.wantHeld(none.granted(), "", 0)
}

// In the original DELETE did not read a form in the body.
func d25DeleteBody(t *testing.T, h *drive.Host) {
	l := lockOf(t, h, "d25")
	l.take("value", "bar")
	if out := drive.StartCurl(t, "-X", "DELETE", l.address(), "-d", "value=bar", "-w", "%{http_code}").Output(); out != "200" {
		t.Errorf("DELETE with -d value=bar = %q, want 200", out)
	}
	index := l.take("value", "bar")
	if out := drive.StartCurl(t, "-X", "DELETE", l.address()+"?index=1", "-d", "index="+index, "-w", "%{http_code}").Output(); out != "200" {
		t.Errorf("DELETE with -d index=%s = %q, want 200: the body wins over the query", index, out)
	}
	l.take()
}

// In the original the directory of each lock that was ever used stayed for
// ever. Ten minutes can't be waited for, so these programs look once a second.
func d27IdleDirectories(t *testing.T, _ *drive.Host) {
	h := hastyPrograms(t).Start(t, drive.Embedded)
	held, idle := lockOf(t, h, "d27-held"), lockOf(t, h, "d27-idle")
	holder := held.take("value", "a")
	idle.must(http.MethodDelete, "index", idle.take())
	if _, ok := held.etcd(linesDir + "d27-idle"); !ok {
		t.Errorf("the directory of a lock that was just used is not in etcd: is it still %sNAME?", linesDir)
	}
	next := held.wait(1, "value", "b")
	drive.Eventually(t, func() error {
		if n, ok := held.etcd(linesDir + "d27-idle"); ok {
			return fmt.Errorf("%+v is still there", n)
		}
		return nil
	})
	// Nobody else is touched, and the lock is as good as new.
	held.wantHeld(holder, "a", 1)
	held.must(http.MethodDelete, "index", holder)
	held.wantHeld(next.granted(), "b", 0)
	idle.wantHeld(idle.take("value", "c"), "c", 0)
}

// hasty makes the module look for idle directories every second.
var hasty = drive.Fault{File: "sdk/queue/reap.go", Old: "pruneEvery = 10 * time.Minute", New: "pruneEvery = time.Second"}

// hastyPrograms have that in them. Programs that are broken on purpose for
// this story have it already.
func hastyPrograms(t *testing.T) drive.Programs {
	t.Helper()
	if os.Getenv(brokenPrograms) != "" {
		return programs(t)
	}
	return drive.Build{Faults: []drive.Fault{hasty}, Base: programs(t)}.MustMake(t)
}

// In the original errors were JSON that was called text/plain.
func d28ErrorType(t *testing.T, h *drive.Host) {
	l := lockOf(t, h, "d28")
	l.take("value", "a")
	deleted := l.wait(1, "value", "b")
	l.must(http.MethodDelete, "value", "b")
	wantJSONError(t, "a waiter that was deleted", deleted.answer(), http.StatusGone)
	for _, e := range []struct {
		status         int
		method, suffix string
		parameters     []string
	}{
		{http.StatusBadRequest, http.MethodPost, "", nil},
		{http.StatusBadRequest, http.MethodPost, "", []string{"ttl", "60", "timeout", "x"}},
		{http.StatusBadRequest, http.MethodGet, "", []string{"field", "owner"}},
		{http.StatusBadRequest, http.MethodPost, "%ff", []string{"ttl", "60"}},
		{http.StatusNotFound, http.MethodDelete, "", []string{"value", "nobody"}},
		{http.StatusMethodNotAllowed, http.MethodPatch, "", nil},
		{http.StatusLocked, http.MethodPost, "", []string{"ttl", "60", "timeout", "0"}},
		{http.StatusRequestEntityTooLarge, http.MethodPost, "", []string{"ttl", "60", "value", strings.Repeat("x", 65537)}},
	} {
		r := drive.Must(t, l.http, e.method, l.address()+e.suffix, e.parameters...)
		wantJSONError(t, e.method+" "+l.path+e.suffix, r, e.status)
	}
	for _, path := range []string{"/", "/mod/none", "/mod/lockx", "/v2/keys"} { // the host's own
		wantJSONError(t, "GET "+path, drive.Must(t, l.http, http.MethodGet, h.URL+path), http.StatusNotFound)
	}
	wantJSONError(t, "POST /mod/", drive.Must(t, l.http, http.MethodPost, h.URL+"/mod/"), http.StatusMethodNotAllowed)
	c := dial(t, h)
	if _, err := io.WriteString(c.conn, "this is no HTTP\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	wantJSONError(t, "what is no HTTP", c.answer(), http.StatusBadRequest)
}

func wantJSONError(t *testing.T, what string, r drive.Reply, status int) {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal([]byte(r.Body), &e); r.Status != status || err != nil {
		t.Errorf("%s = %v (%v), want %d and JSON", what, r, err, status)
	}
	for _, member := range []string{"errorCode", "message", "cause", "index"} {
		if _, ok := e[member]; !ok {
			t.Errorf("%s = %v, want a member %q", what, r, member)
		}
	}
	if kind := r.Header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("%s: Content-Type = %q, want application/json", what, kind)
	}
}

// The modules of the original did not work when etcd served TLS, probably
// because they called it without the certificates.
func d26TLS(t *testing.T, _ *drive.Host) {
	p := programs(t)
	f := makeCertificates(t)
	etcd := p.StartTLSMember(t, f)
	h := p.Start(t, strings.Replace(drive.Joined(etcd.URL), "etcd {", fmt.Sprintf(`etcd {
  tls {
    ca_file   = %q
    cert_file = %q
    key_file  = %q
  }`, f.CA, f.Cert, f.Key), 1))
	l := lockOf(t, h, "d26")
	holder := l.take("value", "a")
	next := l.wait(1, "value", "b")
	l.must(http.MethodPut, "ttl", "600", "index", holder)
	l.wantHeld(holder, "a", 1)
	released := time.Now()
	l.must(http.MethodDelete, "value", "a")
	l.wantHeld(next.granted(), "b", 0)
	if took := time.Since(released); took > 5*time.Second {
		t.Errorf("the grant after a release took %v, want the watch to work: at once", took)
	}
}
