package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/sdktest"
)

// FuzzLeader sends one request of any shape to a module with a leader and a
// candidate. It must be answered with no 5xx and never with HTML, or, if it is
// a candidacy, wait until its client has left, and then leave nothing behind.
// It must not touch the election that its path does not name.
func FuzzLeader(f *testing.F) {
	const form = "application/x-www-form-urlencoded"
	for _, r := range contract {
		f.Add(r.method, "/"+r.election, r.params, "", "application/json", "")
		f.Add(r.method, "/"+r.election, "", form, "", r.params)
	}
	f.Add("PUT", "/%zz", "name=1;ttl=2", "multipart/form-data", ";;,q=2", "\xff\x00")
	f.Add("GET", "", "field=<html>", "text/html", "text/html", "<html>")
	f.Add("PUT", "/led", "ttl=60&name=%3Chtml%3E", "", "", "") // waits

	f.Fuzz(func(t *testing.T, method, path, query, kind, accept, body string) {
		if len(path)+len(query) > 64<<10 || len(body) > 256<<10 {
			t.Skip("longer than it takes to find anything")
		}
		inBubble(t, func(t *testing.T, m *sdktest.Module) {
			r := m.NewRequest("GET", "", nil)
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
			s := setStage(t, m)
			ctx, hangUp := context.WithTimeout(t.Context(), 5*time.Second)
			defer hangUp()
			got := m.Send(r.WithContext(ctx))
			synctest.Wait()

			switch contentType := got.Header.Get("Content-Type"); {
			case got.Err != nil && ctx.Err() == nil:
				return // the client would not send that
			case got.Err != nil && method != "PUT":
				t.Errorf("%s hangs", method)
			case got.Err != nil:
				entries(t, m, 2)
			case got.Status >= 500:
				t.Errorf("answer %v", got)
			case strings.Contains(contentType, "html"):
				t.Errorf("served as %s: %v", contentType, got)
			case got.Status < 400 && method != "OPTIONS" && got.Header.Get("X-Content-Type-Options") != "nosniff":
				t.Errorf("may be sniffed: %v", got.Header)
			}
			if path != "/led" && !strings.ContainsAny(path, "%?#") {
				if !s.waiting.Waits() {
					t.Errorf("the candidate of another election is done: %v", s.waiting.End())
				}
				m.Do("GET", "/led?field=index").Expect(t, 200, fmt.Sprint(s.leader))
			}
		})
	})
}
