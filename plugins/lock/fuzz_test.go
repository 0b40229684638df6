package main

import (
	"context"
	"encoding/hex"
	"io"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// FuzzLock sends one request of any shape to a module with a held lock and a
// waiter. It must be answered with no 5xx, or wait until its client has left,
// never with HTML; it must touch nothing in the store but the lock that its
// path names, and leave nothing behind if its client left.
func FuzzLock(f *testing.F) {
	const form = "application/x-www-form-urlencoded"
	for _, r := range contract {
		f.Add(r.method, "/"+r.lock, r.params, "", "application/json", "")
		f.Add(r.method, "/"+r.lock, "", form, "", r.params)
	}
	for _, n := range names {
		f.Add("POST", "/"+n.spellings[0], "ttl=60&value=bar&timeout=0", "", "", "")
	}
	for _, text := range nonsense {
		q := url.QueryEscape(text)
		f.Add("POST", "/held", "ttl="+q, form, "", "timeout="+q)
		f.Add("DELETE", "/held", "index="+q, "", "", "")
	}
	kind, body := multipartOf(f, url.Values{"ttl": {"60"}, "value": {"x"}})
	f.Add("POST", "/held", "timeout=7", kind, "*/*", body)
	f.Add("POST", "/held", "ttl=60", kind, "*/*", body[:len(body)/2])
	f.Add("PUT", "/%zz", "index=1;ttl=2", "multipart/form-data", ";;,q=2", "\xff\x00")
	f.Add("GET", "", "field=<html>", "text/html", "text/html", "<html>")
	f.Add("POST", "/caf\xe9", "ttl=60&value=\xff", "", "\x90", "") // not UTF-8
	f.Add("POST", "/held", "ttl=60", "", "", "")                   // waits

	f.Fuzz(func(t *testing.T, method, path, query, kind, accept, body string) {
		if len(path)+len(query) > 64<<10 || len(body) > 256<<10 {
			t.Skip("longer than it takes to find anything")
		}
		inBubble(t, func(t *testing.T, c *client) {
			r := c.NewRequest("GET", "", nil)
			r.Method = method
			r.URL.Opaque, r.URL.RawQuery = r.URL.Path+path, query
			for name, value := range map[string]string{"Content-Type": kind, "Accept": accept} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			if body != "" {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
			}
			s := setStage(t, c)
			touched := watchKeys(c)
			ctx, hangUp := context.WithTimeout(t.Context(), 5*time.Second)
			defer hangUp()
			got := c.Send(r.WithContext(ctx))
			synctest.Wait()
			keys := touched()

			switch contentType := got.Header.Get("Content-Type"); {
			case got.Err != nil && ctx.Err() == nil:
				return // the client would not send that
			case got.Err != nil && method != "POST":
				t.Errorf("%s hangs", method)
			case got.Err != nil:
				c.lineLength(t, 2)
			case got.Status >= 500:
				t.Errorf("answer %v", got)
			case strings.Contains(contentType, "html"):
				t.Errorf("served as %s: %v", contentType, got)
			case got.Status < 400 && method != "OPTIONS" && got.Header.Get("X-Content-Type-Options") != "nosniff":
				t.Errorf("may be sniffed: %v", got.Header)
			}
			for key := range keys {
				checkKey(t, key, r.URL.Opaque)
			}
			if path != "/held" && !strings.Contains(path, "%") {
				if !s.waiting.Waits() {
					t.Errorf("the waiter of another lock is done: %v", s.waiting.End())
				}
				c.Do("GET", "/held?field=index").Expect(t, 200, s.fill("HOLDER"))
			}
		})
	})
}

// watchKeys notes the keys and directories that the module uses from now on,
// but for the sessions and what concerns all locks, which comes by time.
func watchKeys(c *client) (touched func() map[string]bool) {
	var mu sync.Mutex
	keys := make(map[string]bool)
	c.SetHook(func(_ memory.Op, key string) memory.Fault {
		mu.Lock()
		defer mu.Unlock()
		if keys != nil && key != "q" && key != "s" && !strings.HasPrefix(key, "s/") {
			keys[key] = true
		}
		return memory.Fault{}
	})
	return func() map[string]bool {
		mu.Lock()
		defer mu.Unlock()
		all := keys
		keys = nil
		return all
	}
}

// checkKey reports a key that the lock named by that path has no right to.
func checkKey(t *testing.T, key, path string) {
	t.Helper()
	raw := strings.TrimPrefix(path, "/mod/test/")
	if i := strings.IndexAny(raw, "?#"); i >= 0 {
		raw = raw[:i]
	}
	name, err := url.PathUnescape(raw)
	segments := strings.Split(key, "/")
	switch {
	case store.CheckKey(key) != nil:
		t.Errorf("key %q is none", key)
	case segments[0] != "q" || len(segments) < 2 || len(segments) > 3:
		t.Errorf("key %q is in nobody's line", key)
	case segments[1] == "held": // the waiter on the stage
	case err != nil || decodeSegment(t, segments[1]) != name:
		t.Errorf("key %q is used for %q", key, path)
	}
}

// decodeSegment undoes what the queue does to names, in its own way.
func decodeSegment(t *testing.T, s string) string {
	t.Helper()
	plain, rest, found := strings.Cut(s, "~")
	if !found {
		return plain
	}
	if len(rest) < 2 {
		t.Fatalf("segment %q ends early", s)
	}
	b, err := hex.DecodeString(rest[:2])
	if err != nil {
		t.Fatalf("segment %q: %v", s, err)
	}
	return plain + string(b) + decodeSegment(t, rest[2:])
}

// The names of keys as the fuzzer expects them.
func TestCheckKey(t *testing.T) {
	for _, n := range names {
		inBubble(t, func(t *testing.T, c *client) {
			touched := watchKeys(c)
			c.Send(c.raw("POST", "/"+n.spellings[0], "ttl=60")).Index(t)
			keys := touched()
			if len(keys) == 0 {
				t.Error("no keys seen")
			}
			for key := range keys {
				if strings.Split(key, "/")[1] == "held" {
					t.Errorf("key %q of %q", key, n.name)
				}
				checkKey(t, key, "/mod/test/"+n.spellings[0])
			}
		})
	}
}
