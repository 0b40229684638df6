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
	l, other := h.Lock(t, "d11"), h.Lock(t, "d11-other")
	l.Take("value", "a")
	index := other.Take("value", "b")
	keys := []string{"/d11-treasure", "/_mod/d11-treasure", "/_mod/lock/d11-treasure"}
	before := map[string]string{}
	for _, key := range keys {
		askEtcd(t, h, http.MethodPut, key, "value", "gold")
		before[key] = askEtcd(t, h, http.MethodGet, key).Body
	}
	own := fmt.Sprint(index)
	for _, path := range []string{
		"../../d11-treasure", "../../../d11-treasure", "../../../../d11-treasure", "../../../../../d11-treasure",
		"../d11-other/" + own, "/" + own, "./" + own, "d11-other/" + own,
	} {
		for _, path := range []string{path, url.QueryEscape(path)} {
			l.Refused(http.StatusBadRequest, 203, http.MethodDelete, "index", path)
			l.Refused(http.StatusBadRequest, 203, http.MethodPut, "ttl", 1, "index", path)
			l.Refused(http.StatusBadRequest, 208, http.MethodPut, "ttl", 1, "index", path, "value", "pwned")
		}
	}
	// Another lock's index as it is, too.
	l.Refused(http.StatusNotFound, 100, http.MethodDelete, "index", index)
	l.Refused(http.StatusNotFound, 100, http.MethodPut, "ttl", 1, "index", index)
	other.WantHeld(index, "b", 0)
	for _, key := range keys {
		if after := askEtcd(t, h, http.MethodGet, key).Body; after != before[key] {
			t.Errorf("%s = %s, want it as it was: %s", key, after, before[key])
		}
	}
}

// In the original an encoded question mark or number sign in a name cut it
// off there, so that another lock was meant, and a percent sign crashed the
// handler.
func d12URLInName(t *testing.T, h *drive.Host) {
	victim := h.Lock(t, "d12")
	index := victim.Take("value", "v")
	for i, name := range []string{"d12%3F", "d12%3Fx=y", "d12%23", "d12%23x", "d12%25", "d12%253F", "d12%20", fmt.Sprint("d12%2F", index, "%3F")} {
		l, value := h.Lock(t, name), fmt.Sprint("value", i)
		l.Refused(http.StatusNotFound, 100, http.MethodPut, "ttl", 1, "index", index)
		l.Refused(http.StatusNotFound, 100, http.MethodDelete, "value", "v")
		l.WantHeld(l.Take("value", value), value, 0)
	}
	victim.WantHeld(index, "v", 0)
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
	l := h.Lock(t, "d13")
	second := drive.LockAt(t, h.URL+"/mod/second/d13")
	index := l.Take("value", "a")
	if r := second.Ask(http.MethodGet); r.Status != http.StatusOK || r.Body != "" || r.Header.Get("X-Lock-State") != "free" {
		t.Errorf("the other module's lock = %v, %s, want it free", r, r.Header.Get("X-Lock-State"))
	}
	other := second.Take("value", "b", "ttl", 700)
	l.Refused(http.StatusNotFound, 100, http.MethodDelete, "index", other)
	second.Refused(http.StatusNotFound, 100, http.MethodPut, "ttl", 1, "value", "a")
	l.WantHeld(index, "a", 0)
	second.WantHeld(other, "b", 0)
	l.Must(http.MethodDelete, "value", "a")
	second.WantHeld(other, "b", 0)
}

// In the original a name with a slash was a directory in another lock's
// directory: with a/2 held nobody got a, and GET a showed nothing or the other.
func d14NestedNames(t *testing.T, h *drive.Host) {
	names := []string{"d14/a/2", "d14/a", "d14", "d14/", "d14/a/", "d14//a", "d14%2Fa%2F3"}
	locks := map[string]uint64{}
	for _, name := range names {
		locks[name] = h.Lock(t, name).Take("value", name)
	}
	for _, name := range names { // each ends by itself, in the presence of those after it
		l := h.Lock(t, name)
		l.WantHeld(locks[name], name, 0)
		if r := l.Must(http.MethodGet, "field", "index"); r.Body != fmt.Sprint(locks[name]) {
			t.Errorf("index of %q = %v, want %d", name, r, locks[name])
		}
		l.Release(locks[name])
		if s := l.State(); s.State != "free" {
			t.Errorf("%q = %+v, want it free", name, s)
		}
	}
}

// In the original what was not there was 500 in most places, and so was a
// negative TTL.
func d20NotThere(t *testing.T, h *drive.Host) {
	used, never := h.Lock(t, "d20"), h.Lock(t, "d20-never")
	gone := used.Take("value", "gone")
	used.Release(gone)
	for _, l := range []*drive.Lock{used, never} {
		for _, which := range [][]any{{"index", gone}, {"index", 1}, {"value", "gone"}, {"value", "nobody"}} {
			l.Refused(http.StatusNotFound, 100, http.MethodDelete, which...)
			l.Refused(http.StatusNotFound, 100, http.MethodPut, append([]any{"ttl", 60}, which...)...)
		}
		for _, field := range []string{"", "value", "index"} {
			if r := l.Ask(http.MethodGet, "field", field); r.Status != http.StatusOK || r.Body != "" {
				t.Errorf("GET %s with field %q = %v, want 200 and nothing", l.URL, field, r)
			}
		}
		l.Refused(http.StatusBadRequest, 202, http.MethodPost, "ttl", -5)
		l.Refused(http.StatusBadRequest, 202, http.MethodPut, "ttl", -5, "value", "gone")
	}
}

// In the original ttl=0 gave a lock for ever, and took the TTL from one that
// was held.
func d21ZeroTTL(t *testing.T, h *drive.Host) {
	l := h.Lock(t, "d21")
	l.Refused(http.StatusBadRequest, 202, http.MethodPost, "ttl", 0)
	l.Refused(http.StatusBadRequest, 202, http.MethodPost, "ttl", 0, "value", "a", "timeout", 0)
	if s := l.State(); s.State != "free" {
		t.Errorf("lock = %+v, want it free", s)
	}
	index := l.Take("value", "a", "ttl", 1)
	l.Refused(http.StatusBadRequest, 202, http.MethodPut, "ttl", 0, "index", index)
	l.Refused(http.StatusBadRequest, 202, http.MethodPost, "ttl", 0, "value", "a")
	drive.Eventually(t, func() error {
		if s := l.State(); s.State != "free" {
			return fmt.Errorf("lock is %+v after its TTL", s)
		}
		return nil
	})
}

// In the original a value that looked like HTML was served as that: script of
// whoever held the lock ran in the browser of who looked at it.
func d22Script(t *testing.T, h *drive.Host) {
	const script = "<html><script>alert(1)</script>"
	l := h.Lock(t, "d22")
	l.Take("value", script)
	for _, accept := range []string{"", "text/html,application/xhtml+xml,*/*;q=0.8"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(req)
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
	refusal := l.Ask(http.MethodPost, "ttl", 60, "timeout", 0) // tells the value, too
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
	l := h.Lock(t, "d23")
	holder := l.Take("value", "a")
	b := l.Queue(1, "value", "b")
	l.Refused(http.StatusBadRequest, 208, http.MethodPut, "ttl", 60, "index", holder, "value", "b")
	l.Refused(http.StatusBadRequest, 208, http.MethodDelete, "index", holder, "value", "b")
	l.WantHeld(holder, "a", 1)
	l.Must(http.MethodDelete, "value", "a")
	index := b.Granted()
	l.Refused(http.StatusBadRequest, 208, http.MethodPut, "ttl", 60, "index", index, "value", "a")
	l.WantHeld(index, "b", 0)
	l.Refused(http.StatusNotFound, 100, http.MethodPut, "ttl", 60, "value", "a")
}

// In the original no value was stored as "-", so that who had this value
// joined who had none, and was told 200.
func d24Dash(t *testing.T, h *drive.Host) {
	l := h.Lock(t, "d24")
	holder := l.Take()
	l.Refused(http.StatusLocked, 700, http.MethodPost, "ttl", 60, "value", "-", "timeout", 0)
	l.Refused(http.StatusLocked, 700, http.MethodPost, "ttl", 60, "value", "", "timeout", 0) // nor do two that have none
	if r := l.Ask(http.MethodGet); r.Body != "" || r.Header.Get("X-Lock-State") != "held" {
		t.Errorf("a lock that is held without a value = %v, %s, want no value and held", r, r.Header.Get("X-Lock-State"))
	}
	dash := l.Queue(1, "value", "-")
	none := l.Queue(2)
	l.Refused(http.StatusNotFound, 100, http.MethodDelete, "value", "--")
	l.Release(holder)
	index := dash.Granted()
	none.StillWaits()
	l.WantHeld(index, "-", 1)
	l.Must(http.MethodDelete, "value", "-")
	l.WantHeld(none.Granted(), "", 0)
}

// In the original DELETE did not read a form in the body.
func d25DeleteBody(t *testing.T, h *drive.Host) {
	l := h.Lock(t, "d25")
	l.Take("value", "bar")
	if out := drive.StartCurl(t, "-X", "DELETE", l.URL, "-d", "value=bar", "-w", "%{http_code}").Output(); out != "200" {
		t.Errorf("DELETE with -d value=bar = %q, want 200", out)
	}
	index := l.Take("value", "bar")
	if out := drive.StartCurl(t, "-X", "DELETE", l.URL+"?index=1", "-d", fmt.Sprint("index=", index), "-w", "%{http_code}").Output(); out != "200" {
		t.Errorf("DELETE with -d index=%d = %q, want 200: the body wins over the query", index, out)
	}
	l.Take()
}

// In the original the directory of each lock that was ever used stayed for
// ever. Ten minutes can't be waited for, so these programs look once a second.
func d27IdleDirectories(t *testing.T, _ *drive.Host) {
	h := hastyPrograms(t).Start(t, drive.Embedded)
	held, idle := h.Lock(t, "d27-held"), h.Lock(t, "d27-idle")
	holder := held.Take("value", "a")
	idle.Release(idle.Take())
	dir := drive.LineKey("d27-idle")
	if r := askEtcd(t, h, http.MethodGet, dir); r.Status != http.StatusOK {
		t.Errorf("the directory of a lock that was just used = %v, want it in etcd: is it still %s?", r, dir)
	}
	next := held.Queue(1, "value", "b")
	drive.Eventually(t, func() error {
		if r := askEtcd(t, h, http.MethodGet, dir); r.Status != http.StatusNotFound {
			return fmt.Errorf("directory of an idle lock = %v, want it to be removed", r)
		}
		return nil
	})
	// Nobody else is touched, and the lock is as good as new.
	held.WantHeld(holder, "a", 1)
	held.Release(holder)
	held.WantHeld(next.Granted(), "b", 0)
	idle.WantHeld(idle.Take("value", "c"), "c", 0)
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
	l := h.Lock(t, "d28")
	l.Take("value", "a")
	deleted := l.Queue(1, "value", "b")
	l.Must(http.MethodDelete, "value", "b")
	wantJSONError(t, "a waiter that was deleted", deleted.Answer(), http.StatusGone)
	for _, e := range []struct {
		status         int
		method, suffix string
		parameters     []any
	}{
		{http.StatusBadRequest, http.MethodPost, "", nil},
		{http.StatusBadRequest, http.MethodPost, "", []any{"ttl", 60, "timeout", "x"}},
		{http.StatusBadRequest, http.MethodGet, "", []any{"field", "owner"}},
		{http.StatusBadRequest, http.MethodPost, "%ff", []any{"ttl", 60}},
		{http.StatusNotFound, http.MethodDelete, "", []any{"value", "nobody"}},
		{http.StatusMethodNotAllowed, http.MethodPatch, "", nil},
		{http.StatusLocked, http.MethodPost, "", []any{"ttl", 60, "timeout", 0}},
		{http.StatusRequestEntityTooLarge, http.MethodPost, "", []any{"ttl", 60, "value", strings.Repeat("x", 65537)}},
	} {
		l := drive.LockAt(t, l.URL+e.suffix)
		wantJSONError(t, e.method+" "+l.URL, l.Ask(e.method, e.parameters...), e.status)
	}
	for _, path := range []string{"/", "/mod/none", "/mod/lockx", "/v2/keys"} { // the host's own
		wantJSONError(t, "GET "+path, drive.LockAt(t, h.URL+path).Ask(http.MethodGet), http.StatusNotFound)
	}
	wantJSONError(t, "POST /mod/", drive.LockAt(t, h.URL+"/mod/").Ask(http.MethodPost), http.StatusMethodNotAllowed)
	c := drive.Dial(t, h.URL)
	c.Write("this is no HTTP\r\n\r\n")
	wantJSONError(t, "what is no HTTP", c.Answer(), http.StatusBadRequest)
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
	f, err := drive.MakeTLSFiles(t.TempDir(), "etcd")
	if err != nil {
		t.Fatal(err)
	}
	etcd := p.StartTLSMember(t, f)
	h := p.Start(t, strings.Replace(drive.Joined(etcd.URL), "etcd {", fmt.Sprintf(`etcd {
  tls {
    ca_file   = %q
    cert_file = %q
    key_file  = %q
  }`, f.CA, f.Cert, f.Key), 1))
	l := h.Lock(t, "d26")
	holder := l.Take("value", "a")
	next := l.Queue(1, "value", "b")
	l.Must(http.MethodPut, "ttl", 600, "index", holder)
	l.WantHeld(holder, "a", 1)
	released := time.Now()
	l.Must(http.MethodDelete, "value", "a")
	l.WantHeld(next.Granted(), "b", 0)
	if took := time.Since(released); took > 5*time.Second {
		t.Errorf("the grant after a release took %v, want the watch to work: at once", took)
	}
}
