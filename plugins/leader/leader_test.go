package main

import (
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/sdktest"
	"github.com/etcd-modules/modhost/sdk/store"
)

// inBubble runs story in a bubble of its own time, with a module of its own.
func inBubble(t *testing.T, story func(t *testing.T, m *sdktest.Module)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		// net/http lingers half a second on a connection that it breaks off
		// under a body, and time ends with the bubble.
		t.Cleanup(func() { time.Sleep(time.Second) })
		story(t, sdktest.New(t, Config{}, New))
	})
}

// entries lists the entries of all elections, past any hook.
func entries(t testing.TB, m *sdktest.Module, want int) []store.Entry {
	t.Helper()
	list, err := m.Store.List(context.Background(), "q", store.Linearizable)
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Entries) != want {
		t.Errorf("%d entries in all elections, want %d: %v", len(list.Entries), want, list.Entries)
	}
	return list.Entries
}

// stage is where most calls are tried: election "led", for a minute, by "foo"
// since ten seconds, with candidate "bar" waiting, and election "vacant".
type stage struct {
	leader, candidate store.Revision
	waiting           *sdktest.Call
}

func setStage(t testing.TB, m *sdktest.Module) stage {
	t.Helper()
	s := stage{leader: m.Do("PUT", "/led?ttl=60&name=foo").Index(t)}
	s.waiting = m.Begin("PUT", "/led?ttl=30&name=bar")
	for _, e := range entries(t, m, 2) {
		if e.Created != s.leader {
			s.candidate = e.Created
		}
	}
	if s.candidate == 0 || !s.waiting.Waits() {
		t.Fatal("nobody waits")
	}
	time.Sleep(10 * time.Second)
	return s
}

// A row is one call with its answer. LEADER stands for the leader's index, and
// INDEX for the one that the call has made.
type row struct {
	name     string
	method   string
	election string
	params   string // as in a query
	status   int
	body     string // of an error: its code

	state    string // X-Leader-State
	token    string // X-Leader-Token
	validFor string // X-Leader-Valid-For
	took     time.Duration
	json     string // the answer to who wants JSON; "-": not looked at
	cause    string // part of an error's cause
}

// full is what the leader may rely on who has asked for a minute.
const full = "59.840"

const (
	ledByFoo = `{"name":"led","state":"led","leader":"foo","index":LEADER,"token":LEADER,"ttl":60,"valid_for":59.84}`
	standing = `{"name":"led","state":"led","leader":"foo","index":LEADER,"token":LEADER,"since":"2000-01-01T00:00:00Z","remaining":50,"waiting":1}`
	nobody   = `{"name":"vacant","state":"vacant","waiting":0}`
	gone     = `{"name":"led","state":"withdrawn"}`
)

var contract = []row{
	{"stand", "PUT", "vacant", "ttl=60&name=foo", 200, "INDEX", "led", "INDEX", full, 0,
		`{"name":"vacant","state":"led","leader":"foo","index":INDEX,"token":INDEX,"ttl":60,"valid_for":59.84}`, ""},
	{"stand without waiting", "PUT", "vacant", "ttl=31536000&timeout=0&name=b%C3%A4r", 200, "INDEX", "led", "INDEX", "31504463.900", 0,
		`{"name":"vacant","state":"led","leader":"bär","index":INDEX,"token":INDEX,"ttl":31536000,"valid_for":31504463.9}`, ""},
	{"leader's repeat", "PUT", "led", "ttl=60&name=foo", 200, "LEADER", "led", "LEADER", full, 0, ledByFoo, ""},
	{"leader's repeat without waiting", "PUT", "led", "ttl=60&name=foo&timeout=0", 200, "LEADER", "led", "LEADER", full, 0, ledByFoo, ""},
	{"not without waiting", "PUT", "led", "ttl=60&name=baz&timeout=0", 423, "700", "", "", "", 0, "",
		`led by "foo", index LEADER, since 2000-01-01T00:00:00Z (10s), 50s of its ttl left; your place in the line would have been 2`},
	{"not within two seconds", "PUT", "led", "ttl=60&name=baz&timeout=2", 423, "700", "", "", "", 2 * time.Second, "",
		`led by "foo", index LEADER, since 2000-01-01T00:00:00Z (12s), 48s of its ttl left; your place in the line was 2 of 2`},
	{"a candidate's repeat without waiting", "PUT", "led", "ttl=30&timeout=0&name=bar", 423, "700", "", "", "", 0, "", `led by "foo"`},
	{"stand: no ttl", "PUT", "vacant", "name=foo", 400, "202", "", "", "", 0, "", "ttl is missing"},
	{"stand: ttl 0", "PUT", "vacant", "ttl=0&name=foo", 400, "202", "", "", "", 0, "", `ttl is "0"`},
	{"stand: ttl above a year", "PUT", "vacant", "ttl=31536001&name=foo", 400, "202", "", "", "", 0, "", `ttl is "31536001"`},
	{"stand: timeout no number", "PUT", "vacant", "ttl=60&name=foo&timeout=soon", 400, "205", "", "", "", 0, "", `timeout is "soon"`},
	{"stand: timeout empty", "PUT", "vacant", "ttl=60&name=foo&timeout=", 400, "205", "", "", "", 0, "", `timeout is ""`},
	{"stand: no name", "PUT", "vacant", "ttl=60", 400, "206", "", "", "", 0, "", "name=NAME"},
	{"stand: empty name", "PUT", "led", "ttl=60&name=", 400, "206", "", "", "", 0, "", "name=NAME"},
	{"stand: a value is no name", "PUT", "vacant", "ttl=60&value=foo", 400, "206", "", "", "", 0, "", "name=NAME"},
	{"stand: name not UTF-8", "PUT", "vacant", "ttl=60&name=%ff", 400, "711", "", "", "", 0, "", "the candidate's name is not UTF-8"},

	{"who", "GET", "led", "", 200, "foo", "led", "LEADER", "", 0, standing, ""},
	{"who by name", "GET", "led", "field=name", 200, "foo", "led", "LEADER", "", 0, standing, ""},
	{"who by value", "GET", "led", "field=value", 200, "foo", "led", "LEADER", "", 0, standing, ""},
	{"which index", "GET", "led", "field=index", 200, "LEADER", "led", "LEADER", "", 0, standing, ""},
	{"nobody", "GET", "vacant", "", 200, "", "vacant", "", "", 0, nobody, ""},
	{"nobody's index", "GET", "vacant", "field=index", 200, "", "vacant", "", "", 0, nobody, ""},
	{"who: unknown field", "GET", "led", "field=ttl", 400, "209", "", "", "", 0, "", `field is "ttl"; use name or index`},
	{"head", "HEAD", "led", "", 200, "", "led", "LEADER", "", 0, "-", ""},
	{"head of a vacant one", "HEAD", "vacant", "", 200, "", "vacant", "", "", 0, "-", ""},

	{"withdraw the leader", "DELETE", "led", "name=foo", 200, "", "", "", "", 0, gone, ""},
	{"withdraw a candidate", "DELETE", "led", "name=bar", 200, "", "", "", "", 0, gone, ""},
	{"withdraw: no name", "DELETE", "led", "", 400, "206", "", "", "", 0, "", "name=NAME"},
	{"withdraw: an index is no name", "DELETE", "led", "index=LEADER", 400, "206", "", "", "", 0, "", "name=NAME"},
	{"withdraw: not there", "DELETE", "led", "name=FOO", 404, "100", "", "", "", 0, "", `name "FOO": no such entry in the line`},
	{"withdraw: never used", "DELETE", "vacant", "name=foo", 404, "100", "", "", "", 0, "", `name "foo": no such entry in the line`},
	{"withdraw: name not UTF-8", "DELETE", "led", "name=%ff", 400, "711", "", "", "", 0, "", "the candidate's name"},

	{"options", "OPTIONS", "led", "", 200, "", "", "", "", 0, "-", ""},
	{"post", "POST", "led", "ttl=60&name=foo", 405, "709", "", "", "", 0, "", "POST is not a method of an election; use one of GET, HEAD, PUT, DELETE, OPTIONS"},
	{"patch", "PATCH", "led", "ttl=60&name=foo", 405, "709", "", "", "", 0, "", "PATCH"},
}

// Where a call can have its parameters.
var places = map[string]func(t testing.TB, m *sdktest.Module, r row, params url.Values) *http.Request{
	"query": func(t testing.TB, m *sdktest.Module, r row, params url.Values) *http.Request {
		return m.NewRequest(r.method, "/"+r.election+"?"+params.Encode(), nil)
	},
	"form": func(t testing.TB, m *sdktest.Module, r row, params url.Values) *http.Request {
		return m.NewRequest(r.method, "/"+r.election, strings.NewReader(params.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	},
	"mix": func(t testing.TB, m *sdktest.Module, r row, params url.Values) *http.Request {
		name := url.Values{"name": params["name"]}
		params.Del("name")
		return m.NewRequest(r.method, "/"+r.election+"?"+params.Encode(), strings.NewReader(name.Encode()))
	},
	"body wins": func(t testing.TB, m *sdktest.Module, r row, params url.Values) *http.Request {
		other := url.Values{}
		for key := range params {
			other.Set(key, "decoy")
		}
		var body strings.Builder
		w := multipart.NewWriter(&body)
		for key, values := range params {
			if err := w.WriteField(key, values[0]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return m.NewRequest(r.method, "/"+r.election+"?"+other.Encode(), strings.NewReader(body.String()), "Content-Type", w.FormDataContentType())
	},
}

func TestLeader_Contract(t *testing.T) {
	for _, r := range contract {
		t.Run(r.name, func(t *testing.T) {
			for place, ask := range places {
				if place != "query" && (r.method != "PUT" && r.method != "DELETE" || r.params == "") {
					continue
				}
				for _, accept := range []string{"*/*", "text/html, application/json;q=0.1"} {
					inBubble(t, func(t *testing.T, m *sdktest.Module) {
						s := setStage(t, m)
						params, err := url.ParseQuery(strings.ReplaceAll(r.params, "LEADER", fmt.Sprint(s.leader)))
						if err != nil {
							t.Fatal(err)
						}
						req := ask(t, m, r, params)
						req.Header.Set("Accept", accept)
						r.check(t, place+", Accept: "+accept, s, m.Send(req), strings.Contains(accept, "json"))
					})
				}
			}
		})
	}
}

// check compares an answer with everything that the row says.
func (r row) check(t *testing.T, how string, s stage, got sdktest.Reply, wantsJSON bool) {
	t.Helper()
	if got.Err != nil {
		t.Fatalf("%s: %v", how, got.Err)
	}
	made := got.Header.Get("X-Leader-Token")
	if r.token == "INDEX" {
		if n, err := strconv.ParseUint(made, 10, 64); err != nil || store.Revision(n) <= s.candidate {
			t.Errorf("%s: X-Leader-Token %q, want a number above %d", how, made, s.candidate)
		}
	}
	fill := strings.NewReplacer("LEADER", fmt.Sprint(s.leader), "INDEX", made).Replace
	for name, want := range map[string]string{
		"X-Leader-State": r.state, "X-Leader-Token": fill(r.token), "X-Leader-Valid-For": r.validFor, "X-Lock-Token": "", "Retry-After": "",
	} {
		if got := got.Header.Get(name); got != want {
			t.Errorf("%s: %s %q, want %q", how, name, got, want)
		}
	}
	if got.Status != r.status || got.Took != r.took {
		t.Errorf("%s: answer %v, want %d after %v", how, got, r.status, r.took)
	}
	if a := got.Header.Get("Allow"); (a == "GET, HEAD, PUT, DELETE, OPTIONS") != (r.method == "OPTIONS" || r.status == 405) {
		t.Errorf("%s: Allow %q", how, a)
	}
	if r.status >= 400 {
		code, cause := got.Failure(t)
		if strconv.Itoa(code) != r.body || !strings.Contains(cause, fill(r.cause)) {
			t.Errorf("%s: code %d, cause %q; want %s and %q", how, code, cause, r.body, fill(r.cause))
		}
		return
	}
	want, kind := fill(r.body), "text/plain; charset=utf-8"
	if wantsJSON {
		want, kind = fill(r.json)+"\n", "application/json"
	}
	if r.json == "-" { // has no body
		return
	}
	if got.Body != want || got.Header.Get("Content-Type") != kind || got.Header.Get("X-Content-Type-Options") != "nosniff" || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: %q, %v; want %q as %s", how, got.Body, got.Header, want, kind)
	}
}

// Names of elections and of candidates come back to the byte; those that
// differ have nothing to do with each other.
func TestLeader_Names(t *testing.T) {
	elections := []string{"a", "A", "ab", "a/b", "a/", "/a", "a//b", "..", "a/../b", "_a", "q", "s", "%00", "%25", "a%20b", "a+b", "a%3Fb%23", "Gr%C3%BC%C3%9Fe/%E4%B8%96", strings.Repeat("x", 1024)}
	candidates := []string{"foo", " ", "a+b&c=d%20", "\n", "\x00", "é", "<html><script>alert(1)</script>", "../../x", "-", strings.Repeat("v", 64<<10)}
	inBubble(t, func(t *testing.T, m *sdktest.Module) {
		ask := func(method, election, query string) sdktest.Reply {
			r := m.NewRequest(method, "", nil)
			r.URL.Opaque, r.URL.RawQuery = r.URL.Path+"/"+election, query
			return m.Send(r)
		}
		name := func(i int) string { return candidates[i%len(candidates)] }
		for i, e := range elections {
			ask("PUT", e, "ttl=60&timeout=0&name="+url.QueryEscape(name(i))).Index(t)
		}
		entries(t, m, len(elections))
		for i, e := range elections {
			ask("GET", e, "").Expect(t, 200, name(i))
		}
		for i, e := range elections {
			ask("DELETE", e, "name="+url.QueryEscape(name(i))).Expect(t, 200, "")
			entries(t, m, len(elections)-i-1)
		}
		for e, cause := range map[string]string{"": "missing", "%ff": "not UTF-8", strings.Repeat("x", 1025): "1025 bytes"} {
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				r := ask(method, e, "ttl=60&name=foo")
				r.Expect(t, 400, "710")
				if _, got := r.Failure(t); !strings.Contains(got, "the election's name") || !strings.Contains(got, cause) {
					t.Errorf("%s %.20q: cause %q, want %q of the election's name", method, e, got, cause)
				}
			}
		}
		long := m.NewRequest("PUT", "/a", strings.NewReader("ttl=60&name="+strings.Repeat("v", 64<<10+1)))
		m.Send(long).Expect(t, 413, "712")
		entries(t, m, 0)
	})
}
