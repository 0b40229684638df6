package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
)

func TestServe_RequestArrivesAsSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			x := wire.FromContext(r.Context())
			body, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s|%s|%s|%s|%s|%s|%d|%t|%q|%v|%s|%s|%d|%v|%s|%v|%v", r.Method, r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.RequestURI,
				r.Host, r.ContentLength, r.TLS != nil, body, err, x.RequestID(), x.Mount(), x.Attempt(), time.Since(x.Received()), r.Proto,
				r.Header.Get("X-Request-Id"), r.RemoteAddr != "")
		})
		resp, got := h.do(t, "POST", "/mod/x/a%2Fb//c?q=%20+%zz", "hello")
		want := "POST|/mod/x/a/b//c|/mod/x/a%2Fb//c|q=%20+%zz|/mod/x/a%2Fb//c?q=%20+%zz|host|5|false|\"hello\"|<nil>|id-1|/mod/x|0|0s|HTTP/1.1|id-1|true"
		if got != want {
			t.Errorf("handler saw\n%s, want\n%s", got, want)
		}
		if resp.ContentLength != int64(len(got)) || len(resp.TransferEncoding) > 0 {
			t.Errorf("small answer: length %d, encoding %v, want %d and none", resp.ContentLength, resp.TransferEncoding, len(got))
		}
		if ct := resp.Header.Get("Content-Type"); ct != "text/plain; charset=utf-8" {
			t.Errorf("Content-Type = %q, want the sniffed one", ct)
		}
	})
}

// HTTP has no encoding: clients send, and handlers say, bytes that are not UTF-8.
func TestServe_AnyBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			w.Header().Set("X-Seen", fmt.Sprintf("%q %q %q %q %v %q", r.RequestURI, r.URL.Path, r.Header.Get("X-Name"), body, err, r.Trailer))
			w.Header().Set("X-Answer", "\xe9\xff")
			w.Header()["X-\xff"] = []string{"no name"}
			w.Header()[http.TrailerPrefix+"X-Trailer"] = []string{"\xfe"}
			w.Header()[http.TrailerPrefix+"X-\xff"] = []string{"no name"}
		})
		_, r := h.raw(t, "POST /mod/x/\xe9?\xff HTTP/1.1\r\nHost: host\r\nX-Name: Ren\xe9\r\nTransfer-Encoding: chunked\r\n"+
			"Trailer: X-Sum\r\nTrailer: X-\xff\r\n\r\n1\r\n\xff\r\n0\r\nX-Sum: \xfe\r\n\r\n")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		want := `"/mod/x/\xe9?\xff" "/mod/x/\xe9" "Ren\xe9" "\xff" <nil> map["X-Sum":["\xfe"]]`
		if got := resp.Header.Get("X-Seen"); resp.StatusCode != 200 || got != want {
			t.Errorf("%s, handler saw\n%s, want\n%s", resp.Status, got, want)
		}
		if got, trailer := resp.Header.Get("X-Answer"), resp.Trailer.Get("X-Trailer"); got != "\xe9\xff" || trailer != "\xfe" {
			t.Errorf("answer has header %q and trailer %q, want \"\\xe9\\xff\" and \"\\xfe\"", got, trailer)
		}
	})
}

func TestServe_HopByHopHeadersStay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			for _, name := range []string{"Connection", "X-Named", "Keep-Alive", "Proxy-Authorization", "Te", "Upgrade"} {
				if v, ok := r.Header[name]; ok {
					t.Errorf("request header %s = %q came through", name, v)
				}
			}
			if r.Header.Get("X-Kept") != "1" {
				t.Errorf("X-Kept = %q, want 1", r.Header.Get("X-Kept"))
			}
			w.Header().Set("Connection", "X-Other")
			w.Header().Set("X-Other", "1")
			w.Header().Set("Upgrade", "x")
			w.Header().Set("X-Kept", "2")
			w.Header()["Date"] = nil
			w.Header().Add("Vary", "Accept")
		})
		h.prepare = func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Vary", "Origin") }
		r, _ := http.NewRequest("GET", "http://host/", nil)
		r.Header = http.Header{"Connection": {"x-named, keep-alive"}, "X-Named": {"1"}, "Keep-Alive": {"1"}, "Te": {"trailers"},
			"Proxy-Authorization": {"1"}, "Upgrade": {"x"}, "X-Kept": {"1"}}
		resp, _ := h.send(t, r)
		for _, name := range []string{"Connection", "X-Other", "Upgrade", "Date"} {
			if v, ok := resp.Header[name]; ok {
				t.Errorf("answer header %s = %q came through", name, v)
			}
		}
		if resp.Header.Get("X-Kept") != "2" || len(resp.Header["Vary"]) != 2 {
			t.Errorf("answer header = %v", resp.Header)
		}
	})
}

func TestServe_Statuses(t *testing.T) {
	for _, tt := range []struct {
		name, method string
		handler      http.HandlerFunc
		status       int
		body         string
		length       int64
		ctype        string
	}{
		{"nothing written", "GET", func(http.ResponseWriter, *http.Request) {}, 200, "", 0, ""},
		{"no content", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
			if _, err := w.Write([]byte("x")); err != http.ErrBodyNotAllowed {
				t.Errorf("Write after 204 = %v, want ErrBodyNotAllowed", err)
			}
		}, 204, "", 0, ""},
		{"not modified", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"1"`)
			w.WriteHeader(304)
		}, 304, "", 0, ""},
		{"head", "HEAD", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>hello") }, 200, "", 11, "text/html; charset=utf-8"},
		{"long head", "HEAD", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1<<20)) }, 200, "", 1 << 20, "application/octet-stream"},
		{"more than declared", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "ab")
			if _, err := io.WriteString(w, "c"); err != http.ErrContentLength {
				t.Errorf("Write beyond Content-Length = %v, want ErrContentLength", err)
			}
		}, 200, "ab", 2, "text/plain; charset=utf-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHost(t, tt.handler)
				resp, body := h.do(t, tt.method, "/", "")
				if resp.StatusCode != tt.status || body != tt.body || resp.ContentLength != tt.length || resp.Header.Get("Content-Type") != tt.ctype {
					t.Errorf("answer = %d %q, length %d, type %q; want %d %q, %d, %q", resp.StatusCode, body, resp.ContentLength,
						resp.Header.Get("Content-Type"), tt.status, tt.body, tt.length, tt.ctype)
				}
			})
		})
	}
}

func TestServe_TrailersBothWays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			if _, ok := r.Trailer["X-Sum"]; !ok {
				t.Errorf("announced trailers = %v, want X-Sum", r.Trailer)
			}
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Trailer", "X-Told")
			io.WriteString(w, "body")
			w.Header().Set("X-Told", "1")
			w.Header().Set(http.TrailerPrefix+"X-Untold", r.Trailer.Get("X-Sum"))
		})
		r, _ := http.NewRequest("POST", "http://host/", io.MultiReader(strings.NewReader("abc")))
		r.Trailer = http.Header{"X-Sum": {"42"}}
		resp, _ := h.send(t, r)
		if resp.Trailer.Get("X-Told") != "1" || resp.Trailer.Get("X-Untold") != "42" {
			t.Errorf("trailers = %v, want X-Told 1 and X-Untold 42", resp.Trailer)
		}
	})
}

func TestServe_UnannouncedTrailer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "body")
			w.Header().Set(http.TrailerPrefix+"X-Untold", "1")
			w.Header().Set(http.TrailerPrefix+"Content-Length", "9")
		})
		resp, body := h.do(t, "GET", "/", "")
		if body != "body" || fmt.Sprint(resp.Trailer) != "map[X-Untold:[1]]" {
			t.Errorf("answer %q, trailers %v", body, resp.Trailer)
		}
	})
}

func TestServe_EarlyHints(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</a.css>")
			w.WriteHeader(103)
			w.Header().Del("Link")
			io.WriteString(w, "done")
		})
		var hints []string
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				hints = append(hints, fmt.Sprint(code, h.Get("Link")))
				return nil
			},
		})
		r, _ := http.NewRequestWithContext(ctx, "GET", "http://host/", nil)
		resp, body := h.send(t, r)
		if fmt.Sprint(hints) != "[103</a.css>]" || body != "done" || resp.Header.Get("Link") != "" {
			t.Errorf("hints %v, body %q, Link %q", hints, body, resp.Header.Get("Link"))
		}
	})
}

func TestServe_ContinueIsAskedForByTheHandler(t *testing.T) {
	for _, read := range []bool{true, false} {
		t.Run(fmt.Sprint("read ", read), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
					if read {
						b, err := io.ReadAll(r.Body)
						fmt.Fprint(w, len(b), err)
						return
					}
					w.WriteHeader(http.StatusUnauthorized)
				})
				asked := false
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { asked = true }})
				r, _ := http.NewRequestWithContext(ctx, "POST", "http://host/", bytes.NewReader(make([]byte, 1<<20)))
				r.Header.Set("Expect", "100-continue")
				resp, body := h.send(t, r)
				if asked != read {
					t.Errorf("100 Continue sent: %t, want %t", asked, read)
				}
				if read && body != "1048576 <nil>" || !read && resp.StatusCode != 401 {
					t.Errorf("answer = %d %q", resp.StatusCode, body)
				}
			})
		})
	}
}

func TestServe_PanicAnswers500(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/fine" {
				return
			}
			w.Header().Set("X-Left", "1")
			io.WriteString(w, "half an ans")
			panic("boom")
		})
		resp, body := h.do(t, "GET", "/", "")
		if resp.StatusCode != 500 || !strings.Contains(body, `"errorCode":714`) || resp.Header.Get("X-Left") != "" || strings.Contains(body, "half") {
			t.Errorf("answer = %d %s %v", resp.StatusCode, body, resp.Header)
		}
		if resp, _ := h.do(t, "GET", "/fine", ""); resp.StatusCode != 200 {
			t.Errorf("after the panic: %d, want 200", resp.StatusCode)
		}
		h.processes[0].kill()
		if s := h.processes[0].log.String(); !strings.Contains(s, "boom") || !strings.Contains(s, "http_test.go") {
			t.Errorf("log lacks the panic and its stack:\n%s", s)
		}
	})
}

func TestServe_AbortedAnswerBreaksOff(t *testing.T) {
	for name, v := range map[string]any{"panic": "boom", "abort": http.ErrAbortHandler} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
					io.WriteString(w, "some")
					w.(http.Flusher).Flush()
					panic(v)
				})
				resp, err := h.client.Get("http://host/")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if b, err := io.ReadAll(resp.Body); err == nil {
					t.Errorf("answer %q ended in order, want it broken off", b)
				}
				if err := h.served()[0]; err != wire.ErrAborted {
					t.Errorf("Serve = %v, want ErrAborted", err)
				}
				h.processes[0].kill()
				if logged := h.processes[0].log.Len() > 0; logged != (name == "panic") {
					t.Errorf("logged: %t", logged)
				}
			})
		})
	}
}

func TestServe_InvalidStatusIsThePluginsMistake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(101) })
		if resp, _ := h.do(t, "GET", "/", ""); resp.StatusCode != 500 {
			t.Errorf("status = %d, want 500", resp.StatusCode)
		}
	})
}

func TestServe_FlushIsAcknowledged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		flushed, next := make(chan error), make(chan struct{})
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				flushed <- http.NewResponseController(w).Flush()
				<-next
			}
		})
		resp, err := h.client.Get("http://host/")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for i := range 3 {
			if err := <-flushed; err != nil {
				t.Errorf("Flush = %v", err)
			}
			buf := make([]byte, 100)
			n, err := resp.Body.Read(buf)
			if want := fmt.Sprintf("data: %d\n\n", i); string(buf[:n]) != want {
				t.Errorf("client got %q, %v, want %q", buf[:n], err, want)
			}
			next <- struct{}{}
		}
	})
}

func TestServe_FlushedAnswerWithLengthIsOrdinary(t *testing.T) {
	bubble(t, func(t *testing.T) {
		flushed := make(chan error, 1)
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "42")
			flushed <- http.NewResponseController(w).Flush()
		})
		resp, body := h.do(t, "POST", "/", "ttl=60")
		if err := <-flushed; err != nil {
			t.Errorf("Flush = %v", err)
		}
		if body != "42" || resp.ContentLength != 2 || len(resp.TransferEncoding) > 0 || resp.Close {
			t.Errorf("answer %q, length %d, encoding %v, close %t", body, resp.ContentLength, resp.TransferEncoding, resp.Close)
		}
	})
}

func TestServe_FlushFailsWhenTheClientIsGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		waiting, result := make(chan struct{}), make(chan error, 1)
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			close(waiting)
			<-r.Context().Done()
			io.WriteString(w, "late")
			result <- http.NewResponseController(w).Flush()
		})
		c, _ := h.raw(t, "GET / HTTP/1.1\r\nHost: host\r\n\r\n")
		<-waiting
		c.Close()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("Flush = %v, want context.Canceled", err)
		}
		synctest.Wait()
		if err := h.served()[0]; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve = %v, want context.Canceled", err)
		}
	})
}

// A client that has all of an answer may leave at once. It has the answer:
// taking that for a failure would take back what it was told.
func TestServe_FlushOfACompleteAnswerSurvivesTheClientsLeaving(t *testing.T) {
	bubble(t, func(t *testing.T) {
		result := make(chan error, 1)
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "42")
			result <- http.NewResponseController(w).Flush()
		})
		for range 300 {
			c, r := h.raw(t, "GET / HTTP/1.1\r\nHost: host\r\n\r\n")
			for {
				if line, err := r.ReadString('\n'); err != nil || line == "\r\n" {
					break
				}
			}
			io.CopyN(io.Discard, r, 2)
			c.Close()
			if err := <-result; err != nil {
				t.Fatalf("Flush = %v", err)
			}
		}
	})
}

// The client leaves between the handler's last look and the flush: the host
// says so, because nobody else can.
func TestServe_FlushReportsTheHostsError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		result := make(chan error, 1)
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "x")
			result <- http.NewResponseController(w).Flush()
		})
		q := wire.NewRequest(brokenWriter{http.Header{}}, mustRequest(t), "id", "/", time.Now())
		defer q.Close()
		if err := h.processes[0].client.Serve(q); !errors.Is(err, context.Canceled) {
			t.Errorf("Serve = %v, want context.Canceled", err)
		}
		if err := <-result; err == nil || !strings.Contains(err.Error(), "broken pipe") {
			t.Errorf("Flush = %v, want the host's error", err)
		}
	})
}

// The client closes its side between the whole answer and the flush. The
// handler was told that it is gone, so it must not be answered, though it could.
func TestServe_NothingGoesOutAfterAFailedFlush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		left := leaving{Context: t.Context()}
		result := make(chan error, 1)
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "42")
			left.gone.Store(true)
			result <- http.NewResponseController(w).Flush()
		})
		w := httptest.NewRecorder()
		q := wire.NewRequest(w, mustRequest(t).WithContext(&left), "id", "/", time.Now())
		defer q.Close()
		if err := h.processes[0].client.Serve(q); !errors.Is(err, context.Canceled) {
			t.Errorf("Serve = %v, want context.Canceled", err)
		}
		if err := <-result; err == nil || w.Flushed {
			t.Errorf("Flush = %v, flushed %v", err, w.Flushed)
		}
	})
}

// The same when the host has all of the answer and not yet the flush: it is the
// client's leaving that keeps the flush from coming.
func TestServe_NothingGoesOutWhenTheFlushDoesNotCome(t *testing.T) {
	bubble(t, func(t *testing.T) {
		result := make(chan error, 1)
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			const length = 64 << 10 // more than is held back for a flush
			w.Header().Set("Content-Length", strconv.Itoa(length))
			io.WriteString(w, strings.Repeat("x", length))
			<-r.Context().Done()
			result <- http.NewResponseController(w).Flush()
		})
		ctx, leave := context.WithCancel(t.Context())
		q := wire.NewRequest(httptest.NewRecorder(), mustRequest(t).WithContext(ctx), "id", "/", time.Now())
		defer q.Close()
		served := make(chan error, 1)
		go func() { served <- h.processes[0].client.Serve(q) }()
		synctest.Wait()
		if !q.Answered() {
			t.Fatal("the answer has not come")
		}
		leave()
		if err := <-result; err == nil {
			t.Error("Flush = nil, though the client had left")
		}
		if err := <-served; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve = %v, want context.Canceled", err)
		}
	})
}

// leaving is the context of a client that has left when nobody looked.
type leaving struct {
	context.Context
	gone atomic.Bool
}

func (c *leaving) Err() error {
	if c.gone.Load() {
		return context.Canceled
	}
	return c.Context.Err()
}

type brokenWriter struct{ h http.Header }

func (w brokenWriter) Header() http.Header         { return w.h }
func (w brokenWriter) WriteHeader(int)             {}
func (w brokenWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w brokenWriter) FlushError() error           { return errors.New("broken pipe") }

func mustRequest(t *testing.T) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://host/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
