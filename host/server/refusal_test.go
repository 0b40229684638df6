package server

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
)

// What net/http refuses before any handler is answered as all errors are,
// on a new connection and on one that was idle.
func TestRun_RefusalsHaveTheShapeOfErrors(t *testing.T) {
	s := newServer(t, Options{Mounts: mounts(map[string]string{"/mod/m": "m"})})
	url, _ := running(t, s, time.Second)
	const good = "GET /mod/m HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for _, c := range []struct {
		name, request string
		status        int
		code          wire.Code
		cause         string
	}{
		{"escape", "GET /a%2 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, wire.CodeRequestInvalid, "Bad Request"},
		{"host", "GET / HTTP/1.1\r\n\r\n", 400, wire.CodeRequestInvalid, "missing required Host header"},
		{"rubbish", "hello\r\n\r\n", 400, wire.CodeRequestInvalid, "Bad Request"},
		{"version", "GET / HTTP/3.4\r\nHost: localhost\r\n\r\n", 505, wire.CodeRequestInvalid, "unsupported protocol version"},
		{"encoding", "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: x\r\n\r\n", 501, wire.CodeRequestInvalid, "Unsupported transfer encoding"},
		{"expect", "POST / HTTP/1.1\r\nHost: localhost\r\nExpect: x\r\n\r\n", 417, wire.CodeRequestInvalid, "Expectation Failed"},
		{"head", "GET / HTTP/1.1\r\nHost: localhost\r\nA: " + strings.Repeat("a", headBytes+8<<10), 431, wire.CodeTooLarge, "262144 bytes"},
	} {
		for _, before := range []string{"", good, good + good} {
			t.Run(c.name, func(t *testing.T) {
				conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()                            //nolint:errcheck
				conn.SetDeadline(time.Now().Add(time.Minute)) //nolint:errcheck // TCP has deadlines
				go io.WriteString(conn, before+c.request)     //nolint:errcheck // the answer tells
				r := bufio.NewReader(conn)
				for range strings.Count(before, good) {
					res, err := http.ReadResponse(r, nil)
					if err != nil {
						t.Fatal(err)
					}
					if body, err := io.ReadAll(res.Body); err != nil || string(body) != "m GET /mod/m" {
						t.Fatalf("before: %q, %v", body, err)
					}
				}
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				var e wire.Error
				if err != nil || res.StatusCode != c.status || json.Unmarshal(body, &e) != nil || e.Code != c.code || !strings.Contains(e.Cause, c.cause) {
					t.Errorf("answer = %d %s, %v; want %d with code %d and %q", res.StatusCode, body, err, c.status, c.code, c.cause)
				}
				if res.Header.Get("Content-Type") != "application/json" || len(res.Header.Get(requestIDHeader)) < 20 || !res.Close {
					t.Errorf("headers = %v", res.Header)
				}
				if n, err := r.Read(make([]byte, 1)); n != 0 {
					t.Errorf("after it: %d bytes, %v", n, err)
				}
			})
		}
	}
}

// A module's answer is nobody's to change, whatever stands in it and however
// it is cut.
func TestRun_AnswersThatLookLikeRefusalsStay(t *testing.T) {
	const text = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request"
	s := newServer(t, Options{Mounts: []Mount{{Path: "/mod/m", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 3 {
			w.Header().Set("Content-Length", strconv.Itoa(3*len(text)))
			io.WriteString(w, text) //nolint:errcheck
			http.NewResponseController(w).Flush()
		}
	})}}})
	url, _ := running(t, s, time.Second)
	for range 2 {
		res, err := http.Get(url + "/mod/m")
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != text+text+text {
			t.Errorf("body = %q, %v", body, err)
		}
		res.Body.Close() //nolint:errcheck
	}
}
