package main

import (
	"context"
	"fmt"
	"io"
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

// A client speaks to a lock module over HTTP.
type client struct {
	*sdktest.Module
	t testing.TB
}

// inBubble runs story in a bubble of its own time, with a module of its own.
func inBubble(t *testing.T, story func(t *testing.T, c *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		// net/http lingers half a second on a connection that it breaks off
		// under a body, and time ends with the bubble.
		t.Cleanup(func() { time.Sleep(time.Second) })
		c := &client{sdktest.New(t, Config{}, New), t}
		story(t, c)
	})
}

// entries lists the module's entries below dir, past any hook.
func (c *client) entries(dir string) []store.Entry {
	c.t.Helper()
	list, err := c.Store.List(context.Background(), dir, store.Linearizable)
	if err != nil {
		c.t.Fatal(err)
	}
	return list.Entries
}

// lineLength is the number of entries of all locks.
func (c *client) lineLength(t testing.TB, want int) {
	t.Helper()
	if n := len(c.entries("q")); n != want {
		t.Errorf("%d entries in all lines, want %d: %v", n, want, c.entries("q"))
	}
}

// stage is where most calls are tried: a minute's lock "held" by the value
// "bar" since ten seconds, with "next" waiting for it, and "free", which is.
type stage struct {
	holder, waiter store.Revision
	waiting        *sdktest.Call
}

func setStage(t testing.TB, c *client) stage {
	t.Helper()
	s := stage{holder: c.Do("POST", "/held?ttl=60&value=bar").Index(t)}
	s.waiting = c.Begin("POST", "/held?ttl=30&value=next")
	for _, e := range c.entries("q") {
		if e.Created != s.holder {
			s.waiter = e.Created
		}
	}
	if s.waiter == 0 || !s.waiting.Waits() {
		t.Fatal("nobody waits")
	}
	time.Sleep(10 * time.Second)
	return s
}

// fill replaces HOLDER and WAITER by their indexes.
func (s stage) fill(text string) string {
	return strings.NewReplacer("HOLDER", fmt.Sprint(s.holder), "WAITER", fmt.Sprint(s.waiter)).Replace(text)
}

// A row is one call with its answer. In params, body, token and json HOLDER
// and WAITER stand for the indexes; INDEX in what is wanted for the one that
// the call has made.
type row struct {
	name   string
	method string
	lock   string
	params string // as in a query
	status int
	body   string // of an error: its code

	state    string        // X-Lock-State
	token    string        // X-Lock-Token
	validFor string        // X-Lock-Valid-For
	took     time.Duration // none: at once
	json     string        // the answer to who wants JSON; of an error: the same as body
	cause    string        // part of an error's cause
}

// full is what a lock of a minute may be relied on.
const full = "59.840"

var contract = []row{
	{"take", "POST", "free", "ttl=60", 200, "INDEX", "held", "INDEX", full, 0,
		`{"name":"free","state":"held","index":INDEX,"token":INDEX,"ttl":60,"valid_for":59.84}`, ""},
	{"take as bar", "POST", "free", "ttl=1&value=b%C3%A4r", 200, "INDEX", "held", "INDEX", "0.899", 0,
		`{"name":"free","state":"held","value":"bär","index":INDEX,"token":INDEX,"ttl":1,"valid_for":0.899}`, ""},
	{"take without waiting", "POST", "free", "ttl=31536000&timeout=0", 200, "INDEX", "held", "INDEX", "31504463.900", 0,
		`{"name":"free","state":"held","index":INDEX,"token":INDEX,"ttl":31536000,"valid_for":31504463.9}`, ""},
	{"holder's repeat", "POST", "held", "ttl=60&value=bar", 200, "HOLDER", "held", "HOLDER", full, 0,
		`{"name":"held","state":"held","value":"bar","index":HOLDER,"token":HOLDER,"ttl":60,"valid_for":59.84}`, ""},
	{"holder's repeat without waiting", "POST", "held", "ttl=60&value=bar&timeout=0", 200, "HOLDER", "held", "HOLDER", full, 0,
		`{"name":"held","state":"held","value":"bar","index":HOLDER,"token":HOLDER,"ttl":60,"valid_for":59.84}`, ""},
	{"not without waiting", "POST", "held", "ttl=60&timeout=0", 423, "700", "", "", "", 0, "",
		`held by index HOLDER, value "bar", since 2000-01-01T00:00:00Z (10s), 50s of its ttl left; your place in the line would have been 2`},
	{"not within two seconds", "POST", "held", "ttl=60&timeout=2", 423, "700", "", "", "", 2 * time.Second, "",
		`held by index HOLDER, value "bar", since 2000-01-01T00:00:00Z (12s), 48s of its ttl left; your place in the line was 2 of 2`},
	{"a waiter's repeat without waiting", "POST", "held", "ttl=30&timeout=0&value=next", 423, "700", "", "", "", 0, "", "held by index HOLDER"},
	{"take: no ttl", "POST", "free", "value=bar", 400, "202", "", "", "", 0, "", "ttl is missing"},
	{"take: ttl 0", "POST", "free", "ttl=0", 400, "202", "", "", "", 0, "", `ttl is "0"`},
	{"take: ttl above a year", "POST", "free", "ttl=31536001", 400, "202", "", "", "", 0, "", `ttl is "31536001"`},
	{"take: timeout above a year", "POST", "free", "ttl=1&timeout=31536001", 400, "205", "", "", "", 0, "", `timeout is "31536001"`},
	{"take: timeout empty", "POST", "free", "ttl=1&timeout=", 400, "205", "", "", "", 0, "", `timeout is ""`},
	{"take: value not UTF-8", "POST", "free", "ttl=1&value=%ff", 400, "711", "", "", "", 0, "", "not UTF-8"},

	{"renew by index", "PUT", "held", "ttl=60&index=HOLDER", 200, "", "held", "HOLDER", full, 0,
		`{"name":"held","state":"held","value":"bar","index":HOLDER,"token":HOLDER,"ttl":60,"valid_for":59.84}`, ""},
	{"renew by value", "PUT", "held", "ttl=5&value=bar", 200, "", "held", "HOLDER", "4.895", 0,
		`{"name":"held","state":"held","value":"bar","index":HOLDER,"token":HOLDER,"ttl":5,"valid_for":4.895}`, ""},
	{"renew a waiter by index", "PUT", "held", "ttl=7&index=WAITER", 200, "", "", "", "", 0, `{"name":"held","state":"waiting","ttl":7}`, ""},
	{"renew a waiter by value", "PUT", "held", "ttl=7&value=next", 200, "", "", "", "", 0, `{"name":"held","state":"waiting","ttl":7}`, ""},
	{"renew: empty index is none", "PUT", "held", "ttl=60&value=bar&index=", 200, "", "held", "HOLDER", full, 0, "-", ""},
	{"renew: empty value is none", "PUT", "held", "ttl=60&value=&index=HOLDER", 200, "", "held", "HOLDER", full, 0, "-", ""},
	{"renew: no ttl", "PUT", "held", "index=HOLDER", 400, "202", "", "", "", 0, "", "ttl is missing"},
	{"renew: neither", "PUT", "held", "ttl=60", 400, "207", "", "", "", 0, "", "index=N or value=TEXT"},
	{"renew: both", "PUT", "held", "ttl=60&index=HOLDER&value=bar", 400, "208", "", "", "", 0, "", "not both"},
	{"renew: index no number", "PUT", "held", "ttl=60&index=first", 400, "203", "", "", "", 0, "", `index is "first"`},
	{"renew: no such index", "PUT", "held", "ttl=60&index=999999", 404, "100", "", "", "", 0, "", "index 999999"},
	{"renew: index 0", "PUT", "held", "ttl=60&index=0", 404, "100", "", "", "", 0, "", "index 0"},
	{"renew: no such value", "PUT", "held", "ttl=60&value=nobody", 404, "100", "", "", "", 0, "", `value "nobody"`},
	{"renew: never used", "PUT", "free", "ttl=60&value=bar", 404, "100", "", "", "", 0, "", `value "bar"`},
	{"renew: index of another lock", "PUT", "free", "ttl=60&index=HOLDER", 404, "100", "", "", "", 0, "", "index HOLDER"},

	{"who", "GET", "held", "", 200, "bar", "held", "HOLDER", "", 0,
		`{"name":"held","state":"held","value":"bar","index":HOLDER,"token":HOLDER,"since":"2000-01-01T00:00:00Z","remaining":50,"waiting":1}`, ""},
	{"who by value", "GET", "held", "field=value", 200, "bar", "held", "HOLDER", "", 0, "-", ""},
	{"which index", "GET", "held", "field=index", 200, "HOLDER", "held", "HOLDER", "", 0,
		`{"name":"held","state":"held","value":"bar","index":HOLDER,"token":HOLDER,"since":"2000-01-01T00:00:00Z","remaining":50,"waiting":1}`, ""},
	{"nobody", "GET", "free", "", 200, "", "free", "", "", 0, `{"name":"free","state":"free","waiting":0}`, ""},
	{"nobody's index", "GET", "free", "field=index", 200, "", "free", "", "", 0, `{"name":"free","state":"free","waiting":0}`, ""},
	{"who: unknown field", "GET", "held", "field=ttl", 400, "209", "", "", "", 0, "", `field is "ttl"`},
	{"head", "HEAD", "held", "", 200, "", "held", "HOLDER", "", 0, "-", ""},
	{"head of a free one", "HEAD", "free", "", 200, "", "free", "", "", 0, "-", ""},

	{"release by index", "DELETE", "held", "index=HOLDER", 200, "", "", "", "", 0, `{"name":"held","state":"released"}`, ""},
	{"release by value", "DELETE", "held", "value=bar", 200, "", "", "", "", 0, `{"name":"held","state":"released"}`, ""},
	{"release a waiter by index", "DELETE", "held", "index=WAITER", 200, "", "", "", "", 0, `{"name":"held","state":"released"}`, ""},
	{"release a waiter by value", "DELETE", "held", "value=next", 200, "", "", "", "", 0, `{"name":"held","state":"released"}`, ""},
	{"release: neither", "DELETE", "held", "", 400, "207", "", "", "", 0, "", "index=N or value=TEXT"},
	{"release: both", "DELETE", "held", "index=HOLDER&value=bar", 400, "208", "", "", "", 0, "", "not both"},
	{"release: index no number", "DELETE", "held", "index=-1", 400, "203", "", "", "", 0, "", `index is "-1"`},
	{"release: no such index", "DELETE", "held", "index=18446744073709551615", 404, "100", "", "", "", 0, "", "index 18446744073709551615"},
	{"release: no such value", "DELETE", "held", "value=BAR", 404, "100", "", "", "", 0, "", `value "BAR"`},
	{"release: never used", "DELETE", "free", "index=1", 404, "100", "", "", "", 0, "", "index 1"},

	{"options", "OPTIONS", "held", "", 200, "", "", "", "", 0, "-", ""},
	{"patch", "PATCH", "held", "ttl=60", 405, "709", "", "", "", 0, "", "PATCH"},
	{"trace", "TRACE", "held", "", 405, "709", "", "", "", 0, "", "TRACE"},
	{"a word of one's own", "BREW", "held", "", 405, "709", "", "", "", 0, "", "BREW"},
}

// Where a call can have its parameters.
var places = map[string]func(c *client, r row, params url.Values) *http.Request{
	"query": func(c *client, r row, params url.Values) *http.Request {
		return c.NewRequest(r.method, "/"+r.lock+"?"+params.Encode(), nil)
	},
	"form": func(c *client, r row, params url.Values) *http.Request {
		return c.NewRequest(r.method, "/"+r.lock, strings.NewReader(params.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	},
	"form without content type": func(c *client, r row, params url.Values) *http.Request {
		return c.NewRequest(r.method, "/"+r.lock, strings.NewReader(params.Encode()))
	},
	"form in chunks": func(c *client, r row, params url.Values) *http.Request {
		return c.NewRequest(r.method, "/"+r.lock, io.MultiReader(strings.NewReader(params.Encode())),
			"Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	},
	"multipart": func(c *client, r row, params url.Values) *http.Request {
		kind, body := multipartOf(c.t, params)
		return c.NewRequest(r.method, "/"+r.lock, strings.NewReader(body), "Content-Type", kind)
	},
	"mix": func(c *client, r row, params url.Values) *http.Request {
		inQuery, inBody := url.Values{}, url.Values{}
		for key := range params {
			if key < "j" { // field, index
				inQuery[key] = params[key]
			} else {
				inBody[key] = params[key]
			}
		}
		return c.NewRequest(r.method, "/"+r.lock+"?"+inQuery.Encode(), strings.NewReader(inBody.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	},
	"body wins": func(c *client, r row, params url.Values) *http.Request {
		other := url.Values{}
		for key := range params {
			other.Set(key, "decoy")
		}
		kind, body := multipartOf(c.t, params)
		return c.NewRequest(r.method, "/"+r.lock+"?"+other.Encode(), strings.NewReader(body), "Content-Type", kind)
	},
}

func TestLock_Contract(t *testing.T) {
	for _, r := range contract {
		t.Run(r.name, func(t *testing.T) {
			for place, ask := range places {
				if place != "query" && (r.method != "POST" && r.method != "PUT" && r.method != "DELETE" || r.params == "") {
					continue
				}
				for _, accept := range []string{"", "*/*", "text/html, application/json;q=0.1"} {
					inBubble(t, func(t *testing.T, c *client) {
						s := setStage(t, c)
						r := r
						params, err := url.ParseQuery(s.fill(r.params))
						if err != nil {
							t.Fatal(err)
						}
						req := ask(c, r, params)
						if accept != "" {
							req.Header.Set("Accept", accept)
						}
						r.check(t, place+", Accept: "+accept, s, c.Send(req), strings.Contains(accept, "json"))
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
	made := got.Header.Get("X-Lock-Token")
	if strings.Contains(r.token, "INDEX") {
		if n, err := strconv.ParseUint(made, 10, 64); err != nil || store.Revision(n) <= s.waiter {
			t.Errorf("%s: X-Lock-Token %q, want a number above %d", how, made, s.waiter)
		}
	}
	fill := func(text string) string { return strings.ReplaceAll(s.fill(text), "INDEX", made) }
	for name, want := range map[string]string{
		"X-Lock-State": r.state, "X-Lock-Token": fill(r.token), "X-Lock-Valid-For": r.validFor, "Retry-After": "",
	} {
		if got := got.Header.Get(name); got != want {
			t.Errorf("%s: %s %q, want %q", how, name, got, want)
		}
	}
	if got.Status != r.status || got.Took != r.took {
		t.Errorf("%s: answer %v, want %d after %v", how, got, r.status, r.took)
	}
	if a := got.Header.Get("Allow"); (a == words().Allow) != (r.method == "OPTIONS" || r.status == 405) {
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
	switch {
	case r.method == "OPTIONS":
		kind = ""
	case wantsJSON && r.json == "-":
		return
	case wantsJSON:
		want, kind = fill(r.json)+"\n", "application/json"
	}
	if got.Body != want {
		t.Errorf("%s: body %q, want %q", how, got.Body, want)
	}
	headers := map[string]string{"Content-Type": kind}
	if r.method != "OPTIONS" {
		headers["X-Content-Type-Options"], headers["Cache-Control"] = "nosniff", "no-store"
	}
	if r.method != "HEAD" {
		headers["Content-Length"] = strconv.Itoa(len(want))
	}
	for name, want := range headers {
		if got := got.Header.Get(name); got != want {
			t.Errorf("%s: %s %q, want %q", how, name, got, want)
		}
	}
}

// What calls do beside answering.
func TestLock_Effects(t *testing.T) {
	for _, tt := range []struct {
		call, name string // method and target
		check      func(t *testing.T, c *client, s stage)
	}{
		{"PUT /held?ttl=100&index=HOLDER", "renewal counts from now", func(t *testing.T, c *client, s stage) {
			if r := s.waiting.End(); r.Index(t) != s.waiter || r.Took != 110*time.Second {
				t.Errorf("waiter: %v, want %d after 1m50s", r, s.waiter)
			}
		}},
		{"POST /held?ttl=5&value=bar", "a holder's repeat can shorten", func(t *testing.T, c *client, s stage) {
			if r := s.waiting.End(); r.Index(t) != s.waiter || r.Took != 15*time.Second {
				t.Errorf("waiter: %v, want %d after 15s", r, s.waiter)
			}
		}},
		{"PUT /held?ttl=7&value=next", "a waiter's renewal is for its grant", func(t *testing.T, c *client, s stage) {
			if r := s.waiting.End(); r.Index(t) != s.waiter || r.Took != time.Minute || r.Header.Get("X-Lock-Valid-For") != "66.893" {
				t.Errorf("waiter: %v, %v, want %d after a minute, for 7 s more", r, r.Header, s.waiter)
			}
			time.Sleep(7*time.Second - time.Millisecond)
			c.Do("GET", "/held").Expect(t, 200, "next")
			time.Sleep(time.Millisecond)
			c.Do("GET", "/held").Expect(t, 200, "")
		}},
		{"PUT /held?ttl=60&value=bar", "renewal keeps value and index", func(t *testing.T, c *client, s stage) {
			c.Do("GET", "/held").Expect(t, 200, "bar")
			c.Do("GET", "/held?field=index").Expect(t, 200, fmt.Sprint(s.holder))
		}},
		{"DELETE /held?index=HOLDER", "release hands over", func(t *testing.T, c *client, s stage) {
			if r := s.waiting.End(); r.Index(t) != s.waiter || r.Took != 10*time.Second {
				t.Errorf("waiter: %v, want %d after 10s", r, s.waiter)
			}
			c.Do("PUT", s.fill("/held?ttl=60&index=HOLDER")).Expect(t, 404, "100")
			c.Do("DELETE", s.fill("/held?index=HOLDER")).Expect(t, 404, "100")
			c.Do("GET", "/held").Expect(t, 200, "next")
		}},
		{"DELETE /held?value=next", "a waiter is told", func(t *testing.T, c *client, s stage) {
			r := s.waiting.End()
			r.Expect(t, 410, "701")
			if r.Took != 10*time.Second || r.Header.Get("X-Lock-Token") != "" {
				t.Errorf("waiter: %v, %v, want no token, at once", r, r.Header)
			}
			c.Do("GET", "/held").Expect(t, 200, "bar")
			c.lineLength(t, 1)
		}},
		{"POST /held?ttl=9&timeout=3", "a time-out leaves the line clean", func(t *testing.T, c *client, s stage) {
			c.lineLength(t, 2)
		}},
		{"POST /held?ttl=9&timeout=0", "no queueing without waiting", func(t *testing.T, c *client, s stage) {
			c.lineLength(t, 2)
		}},
		{"POST /held?ttl=30&value=next&timeout=3", "a shared place outlives one time-out", func(t *testing.T, c *client, s stage) {
			c.lineLength(t, 2)
			if r := s.waiting.End(); r.Index(t) != s.waiter || r.Took != time.Minute {
				t.Errorf("waiter: %v, want %d after a minute", r, s.waiter)
			}
		}},
		{"PUT /free?ttl=60&value=bar", "no revival", func(t *testing.T, c *client, s stage) {
			c.Do("GET", "/free").Expect(t, 200, "")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *client) {
				s := setStage(t, c)
				method, target, _ := strings.Cut(s.fill(tt.call), " ")
				c.Do(method, target)
				tt.check(t, c, s)
			})
		})
	}
}
