package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/queuehttp"
)

// multipartOf is a body of curl -F, with its content type.
func multipartOf(t testing.TB, params url.Values) (kind, body string) {
	t.Helper()
	var b strings.Builder
	w := multipart.NewWriter(&b)
	for key, values := range params {
		for _, v := range values {
			if err := w.WriteField(key, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.String()
}

// Each group is one lock; no two groups are the same.
var names = []struct {
	name      string
	spellings []string // paths behind the mount's slash
}{
	{"a", []string{"a", "%61"}},
	{"a/", []string{"a/", "a%2F", "a%2f"}},
	{"/a", []string{"/a", "%2Fa"}},
	{"A", []string{"A"}},
	{"ab", []string{"ab", "a%62"}},
	{"a/b", []string{"a/b", "a%2Fb"}},
	{"a//b", []string{"a//b", "a%2f/b"}},
	{"a/b/", []string{"a/b/"}},
	{"a b", []string{"a%20b"}},
	{"a+b", []string{"a+b", "a%2Bb"}},
	{"a%20b", []string{"a%2520b"}},
	{"%", []string{"%25"}},
	{".", []string{".", "%2e"}},
	{"..", []string{"..", "%2E%2e"}},
	{"../../q/a", []string{"../../q/a", "%2e%2e/%2e%2e/q%2fa"}},
	{"a/../b", []string{"a/../b"}},
	{"a/./b", []string{"a/./b"}},
	{"/", []string{"/", "%2f"}},
	{"//", []string{"//"}},
	{"_hidden", []string{"_hidden"}},
	{"_", []string{"_"}},
	{"~61", []string{"~61"}},
	{"~", []string{"~", "%7E"}},
	{"q", []string{"q"}},
	{"s", []string{"s"}},
	{"é", []string{"é", "%C3%A9"}},                       // composed
	{"e\u0301", []string{"e%CC%81"}},                     // decomposed
	{"日本/語", []string{"日本/語", "%E6%97%A5本%2F%E8%AA%9E"}}, // of three bytes each
	{"\U0001F512", []string{"%F0%9F%94%92"}},
	{"\uFFFD", []string{"%EF%BF%BD"}},
	{"\x00", []string{"%00"}},
	{"a\x00", []string{"a%00"}},
	{"\r\n", []string{"%0d%0A"}},
	{" ", []string{"%20"}},
	{"?ttl=1", []string{"%3Fttl=1"}},
	{"#", []string{"%23"}},
	{"<script>alert(1)</script>", []string{"%3Cscript%3Ealert(1)%3C/script%3E"}},
	{`"'\`, []string{"%22%27%5C"}},
	{"a;b=c,d:e@f&g=h$!*()", []string{"a;b=c,d:e@f&g=h$!*()", "a%3Bb%3Dc%2Cd%3Ae%40f%26g%3Dh%24%21%2A%28%29"}},
	{"[::1]", []string{"[::1]", "%5B::1%5D"}},
	{strings.Repeat("x", queuehttp.MaxName), []string{strings.Repeat("x", queuehttp.MaxName), strings.Repeat("%78", queuehttp.MaxName)}},
	{strings.Repeat("é", queuehttp.MaxName/2), []string{strings.Repeat("%C3%A9", queuehttp.MaxName/2)}},
	{strings.Repeat("/", queuehttp.MaxName), []string{strings.Repeat("/", queuehttp.MaxName)}},
}

// raw is a request whose path is sent as it is written.
func (c *client) raw(method, path, query string) *http.Request {
	c.t.Helper()
	r := c.NewRequest(method, "", nil)
	r.URL.Opaque = r.URL.Path + path
	if strings.HasPrefix(r.URL.Opaque, "//") {
		c.t.Fatalf("path %q", path)
	}
	r.URL.RawQuery = query
	return r
}

func TestLock_Names(t *testing.T) {
	inBubble(t, func(t *testing.T, c *client) {
		for i, n := range names {
			c.Send(c.raw("POST", "/"+n.spellings[0], fmt.Sprintf("ttl=600&value=v%d&timeout=0", i))).Index(t)
		}
		c.lineLength(t, len(names))
		for i, n := range names {
			for _, path := range n.spellings {
				r := c.Send(c.raw("GET", "/"+path, ""))
				if r.Expect(t, 200, fmt.Sprintf("v%d", i)); t.Failed() {
					t.Fatalf("name %.80q as %.80q", n.name, path)
				}
				q := c.raw("GET", "/"+path, "")
				q.Header.Set("Accept", "application/json")
				got := c.Send(q)
				if want := marshal(t, n.name); !strings.HasPrefix(got.Body, `{"name":`+want+`,"state":"held"`) {
					t.Errorf("name as %.80q: %.200s, want %.80s", path, got.Body, want)
				}
			}
		}
		// One released is none of the others.
		c.Send(c.raw("DELETE", "/a", "value=v0")).Expect(t, 200, "")
		c.Send(c.raw("GET", "/a", "")).Expect(t, 200, "")
		c.lineLength(t, len(names)-1)
	})
}

func TestLock_NamesRefused(t *testing.T) {
	paths := map[string]string{
		"missing":               "",
		"empty":                 "/",
		"one byte too long":     "/" + strings.Repeat("x", queuehttp.MaxName+1),
		"too long when escaped": "/" + strings.Repeat("%C3%A9", queuehttp.MaxName/2) + "x",
		"much too long":         "/" + strings.Repeat("/", 200<<10),
		"not UTF-8":             "/%ff",
		"not UTF-8 inside":      "/a/%C3/b",
		"overlong slash":        "/%C0%AF",
		"surrogate":             "/%ED%A0%80",
	}
	inBubble(t, func(t *testing.T, c *client) {
		for name, path := range paths {
			for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
				r := c.Send(c.raw(method, path, "ttl=60&index=1&timeout=0"))
				if r.Expect(t, 400, "710"); t.Failed() {
					t.Fatalf("%s, %s", method, name)
				}
			}
			r := c.Send(c.raw("HEAD", path, ""))
			if r.Status != 400 || r.Body != "" {
				t.Errorf("HEAD, %s: %v, want 400", name, r)
			}
		}
		c.lineLength(t, 0)
	})
}

// What is no HTTP is answered by the listener: 4xx, and no HTML either.
func TestLock_PathsThatAreNone(t *testing.T) {
	inBubble(t, func(t *testing.T, c *client) {
		dial := c.Client().Transport.(*http.Transport).DialContext
		for _, path := range []string{"/%", "/%zz", "/%4", "/a b", "/a\x00", "/\x7f", "/a%"} {
			conn, err := dial(context.Background(), "tcp", "module.test:80")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close() //nolint:errcheck // in memory
			fmt.Fprintf(conn, "GET /mod/test%s HTTP/1.1\r\nHost: module.test\r\n\r\n", path)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != 400 || strings.Contains(resp.Header.Get("Content-Type"), "html") {
				t.Errorf("path %q: %s, %v", path, resp.Status, resp.Header)
			}
			resp.Body.Close() //nolint:errcheck // in memory
		}
	})
}

func TestLock_Values(t *testing.T) {
	inBubble(t, func(t *testing.T, c *client) {
		for i, value := range []string{
			"bar", " ", "a+b&c=d%20", "\n", "\x00", "é", "e\u0301", "\U0001F512", "\uFFFD", `{"json":true}`, "<html><script>alert(1)</script>",
			"../../x", "index=1", strings.Repeat("v", queuehttp.MaxText), strings.Repeat("\x01", queuehttp.MaxText), strings.Repeat("é", queuehttp.MaxText/2),
		} {
			params := url.Values{"ttl": {"60"}, "value": {value}}
			for place, ask := range places {
				if place == "mix" {
					continue // is a form here
				}
				lock := fmt.Sprint("lock", i, url.PathEscape(place))
				first := c.Send(ask(c, row{method: "POST", lock: lock}, params)).Index(t)
				if again := c.Send(ask(c, row{method: "POST", lock: lock}, params)).Index(t); again != first {
					t.Errorf("value %.40q in %s: repeated index %d, want %d", value, place, again, first)
				}
				r := c.Do("GET", "/"+lock)
				r.Expect(t, 200, value)
				if kind := r.Header.Get("Content-Type"); kind != "text/plain; charset=utf-8" || r.Header.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("value %.40q is served as %q, %v", value, kind, r.Header)
				}
				c.Send(ask(c, row{method: "PUT", lock: lock}, params)).Expect(t, 200, "")
				params := url.Values{"value": {value}}
				c.Send(ask(c, row{method: "DELETE", lock: lock}, params)).Expect(t, 200, "")
			}
		}
		c.lineLength(t, 0)
	})
}

func TestLock_ValuesRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, c *client) {
		for _, tt := range []struct {
			name, value string
			status      int
			code        string
		}{
			{"a byte too long", strings.Repeat("v", queuehttp.MaxText+1), 413, "712"},
			{"too long in bytes", strings.Repeat("é", queuehttp.MaxText/2) + "v", 413, "712"},
			{"as long as the body may be", strings.Repeat("v", queuehttp.MaxBody-100), 413, "712"},
			{"longer than a body may be", strings.Repeat("v", queuehttp.MaxBody+1), 413, "712"},
			{"not UTF-8", "\xff", 400, "711"},
			{"cut off", "é"[:1], 400, "711"},
			{"surrogate", "\xed\xa0\x80", 400, "711"},
		} {
			for place, ask := range places {
				if place == "query" && len(tt.value) > 2*queuehttp.MaxText {
					continue // the listener refuses such a head
				}
				for _, method := range []string{"POST", "PUT", "DELETE"} {
					r := c.Send(ask(c, row{method: method, lock: "v"}, url.Values{"ttl": {"60"}, "value": {tt.value}}))
					if r.Expect(t, tt.status, tt.code); t.Failed() {
						t.Fatalf("%s %s, %s", method, place, tt.name)
					}
				}
			}
		}
		c.lineLength(t, 0)
	})
}

// HTML in anything that is shown back stays text.
func TestLock_NeverHTML(t *testing.T) {
	inBubble(t, func(t *testing.T, c *client) {
		const html = "<html><body><script>alert(1)</script>"
		page := url.QueryEscape(html)
		c.Do("POST", "/"+url.PathEscape(html)+"?ttl=60&value="+page).Index(t)
		for _, call := range []string{
			"GET /LOCK", "HEAD /LOCK", "GET /LOCK?field=PAGE", "POST /LOCK?ttl=PAGE", "POST /LOCK?ttl=1&timeout=PAGE", "POST /LOCK?ttl=1&timeout=0",
			"PUT /LOCK?ttl=1&index=PAGE", "PUT /LOCK?ttl=1&value=PAGE", "DELETE /LOCK?value=PAGEx", "DELETE /LOCK?index=PAGE", "OPTIONS /LOCK", "PATCH /LOCK",
			"GET /LOCK?%zzPAGE", "POST /LOCK?a;PAGE",
		} {
			for _, accept := range []string{"text/html", "application/json", "application/xhtml+xml"} {
				method, target, _ := strings.Cut(strings.NewReplacer("LOCK", url.PathEscape(html), "PAGE", page).Replace(call), " ")
				r := c.Send(c.NewRequest(method, target, nil, "Accept", accept))
				kind := r.Header.Get("Content-Type")
				if r.Err != nil || strings.Contains(kind, "html") || kind != "" && r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Body != "" && kind == "" {
					t.Errorf("%s, Accept %s: %v, %v", call, accept, r, r.Header)
				}
			}
		}
	})
}

// nonsense is no whole number to anybody, or one far out of range.
var nonsense = []string{
	" ", "\t", "\n", "\x00", "-", "+", "-1", "+1", "-0", "--1", "1-1", "1+1", " 1", "1 ", "1\n", "1\x00", "\xff", "1\xff",
	"1.0", "1,0", "1.", ".5", "1e3", "1E3", "0x10", "0b1", "0o7", "1_000", "1'000", "1s", "1m", "60s", "1h", "forever", "none", "null", "nil",
	"undefined", "true", "false", "NaN", "Inf", "-Inf", "[]", "{}", "[1]", `"1"`, "'1'", "1;2", "1,2", "1/2", "%31", "$1", "`id`", "${1}",
	"١", "１", "一", "Ⅳ", "½", "1\u00a0", "\u200b1", "\ufeff1", "<script>", "'; drop table", "../../etc", "é", "\U0001F512",
	"-9223372036854775808", "18446744073709551616", "99999999999999999999999999999999", "1" + strings.Repeat("0", 300),
	strings.Repeat("9", 5000), strings.Repeat(" ", 5000),
}

func TestLock_Nonsense(t *testing.T) {
	for _, tt := range []struct {
		parameter, call string
		code            string
		also            []string
	}{
		{"ttl", "POST /free?", "202", []string{"", "0", "00", "31536001", "9223372036854775807", "9223372036854775808", "9223372037", "4294967297"}},
		{"ttl", "POST /held?timeout=0&", "202", []string{"", "0"}},
		{"ttl", "PUT /held?value=bar&", "202", []string{"", "0", "31536001"}},
		{"timeout", "POST /held?ttl=60&", "205", []string{"", "31536001", "9223372036854775807", "9223372036854775808", "9223372037"}},
		{"timeout", "POST /free?ttl=60&", "205", []string{""}},
		{"index", "PUT /held?ttl=60&", "203", nil},
		{"index", "DELETE /held?", "203", nil},
	} {
		t.Run(tt.call+tt.parameter, func(t *testing.T) {
			inBubble(t, func(t *testing.T, c *client) {
				setStage(t, c)
				method, target, _ := strings.Cut(tt.call, " ")
				for _, text := range append(tt.also, nonsense...) {
					params := url.Values{tt.parameter: {text}}.Encode()
					kind, parts := multipartOf(t, url.Values{tt.parameter: {text}})
					for _, req := range []*http.Request{
						c.NewRequest(method, target+params, nil),
						c.NewRequest(method, target, strings.NewReader(params), "Content-Type", "application/x-www-form-urlencoded"),
						c.NewRequest(method, target, strings.NewReader(parts), "Content-Type", kind),
					} {
						ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
						r := c.Send(req.WithContext(ctx))
						cancel()
						if r.Expect(t, 400, tt.code); t.Failed() || r.Took != 0 {
							t.Fatalf("%s=%.40q: %v", tt.parameter, text, r)
						}
					}
				}
				c.lineLength(t, 2)
			})
		})
	}
}

// Numbers that are odd to look at, but numbers.
func TestLock_OddNumbers(t *testing.T) {
	inBubble(t, func(t *testing.T, c *client) {
		c.Do("POST", "/a?ttl=0060&timeout=000").Expect(t, 200, "1")
		c.Do("PUT", "/a?ttl=60&index=01").Expect(t, 200, "")
		c.Do("POST", "/a?ttl=60&ttl=x&timeout=0").Expect(t, 423, "700") // the first counts
		c.Do("PUT", "/a?ttl=60&index=18446744073709551615").Expect(t, 404, "100")
		c.Do("DELETE", "/a?index=000").Expect(t, 404, "100")
		c.Do("DELETE", "/a?index=1&index=7").Expect(t, 200, "")
	})
}

func TestLock_BodiesRefused(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	inBubble(t, func(t *testing.T, c *client) {
		for _, tt := range []struct {
			name, kind, body string
			status           int
			code             string
		}{
			{"JSON", "application/json", `{"ttl":60}`, 400, "713"},
			{"text", "text/plain", "ttl=60", 400, "713"},
			{"bad escape", form, "ttl=60&value=%zz", 400, "713"},
			{"semicolon", form, "ttl=60;value=a", 400, "713"},
			{"no media type", "nonsense/", "ttl=60", 400, "713"},
			{"multipart without a boundary", "multipart/form-data", "ttl=60", 400, "713"},
			{"multipart cut off", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=ttl\r\n\r\n6", 400, "713"},
			{"multipart that is none", "multipart/form-data; boundary=x", "ttl=60", 400, "713"},
			{"multipart of another kind", "multipart/mixed; boundary=x", "--x--", 400, "713"},
			{"too long", form, "ttl=60&x=" + strings.Repeat("x", queuehttp.MaxBody), 413, "712"},
			{"too long without need", form, strings.Repeat("&", queuehttp.MaxBody+1), 413, "712"},
		} {
			for _, method := range []string{"POST", "PUT", "DELETE"} {
				for _, chunked := range []bool{false, true} {
					var body io.Reader = strings.NewReader(tt.body)
					if chunked {
						body = io.MultiReader(body)
					}
					r := c.Send(c.NewRequest(method, "/a?ttl=60&index=1", body, "Content-Type", tt.kind))
					if r.Expect(t, tt.status, tt.code); t.Failed() {
						t.Fatalf("%s, %s, chunked %t", method, tt.name, chunked)
					}
				}
			}
		}
		c.Do("GET", "/a?field=%zz").Expect(t, 400, "713")
		c.Do("POST", "/a?ttl=60;timeout=0").Expect(t, 400, "713")
		c.lineLength(t, 0)

		// A body that says nothing is no matter; GET has no parameters there.
		c.Send(c.NewRequest("POST", "/a?ttl=60", nil, "Content-Type", "application/json")).Index(t)
		c.Send(c.NewRequest("GET", "/a", strings.NewReader("field=nonsense"), "Content-Type", form)).Expect(t, 200, "")
	})
}
