package wire_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
)

// pattern is n bytes that don't repeat soon.
type pattern struct{ at, n int64 }

func (p *pattern) Read(b []byte) (int, error) {
	if p.at == p.n {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.n-p.at)]
	for i := range b {
		b[i] = byte((p.at + int64(i)) * 2654435761 >> 13)
	}
	p.at += int64(len(b))
	return len(b), nil
}

func sumOf(r io.Reader) string {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return fmt.Sprintf("%d %x %v", n, h.Sum(nil)[:8], err)
}

// heapWatch reports the largest heap seen by its Writes.
type heapWatch struct {
	hash.Hash
	peak uint64
	n    int
}

func (h *heapWatch) Write(p []byte) (int, error) {
	if h.n += len(p); h.n > 8<<20 {
		h.n = 0
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		h.peak = max(h.peak, m.HeapAlloc)
	}
	return h.Hash.Write(p)
}

func TestServe_100MiBEachWayInBoundedMemory(t *testing.T) {
	const size = 100 << 20
	bubble(t, func(t *testing.T) {
		up := &heapWatch{Hash: sha256.New()}
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(up, r.Body)
			if n != size || err != nil {
				t.Errorf("handler read %d, %v, want %d", n, err, size)
			}
			io.Copy(w, &pattern{n: size})
		})
		resp, err := h.client.Post("http://host/", "", &pattern{n: size})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		down := &heapWatch{Hash: sha256.New()}
		if n, err := io.Copy(down, resp.Body); n != size || err != nil {
			t.Errorf("client read %d, %v, want %d", n, err, size)
		}
		if got, want := fmt.Sprintf("%x %x", up.Sum(nil), down.Sum(nil)), sumOf(&pattern{n: size}); got[:16] != want[len("104857600 "):][:16] || got[:64] != got[65:] {
			t.Errorf("sums %s, want twice %s", got, want)
		}
		if peak := max(up.peak, down.peak); peak > 32<<20 {
			t.Errorf("heap of both ends grew to %d MiB, want at most 32", peak>>20)
		}
	})
}

func TestServe_SlowReaderHoldsTheHandlerBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var written atomic.Int64
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			buf := make([]byte, 64<<10)
			for {
				n, err := w.Write(buf)
				written.Add(int64(n))
				if err != nil {
					return
				}
			}
		})
		c, _ := h.raw(t, "GET / HTTP/1.1\r\nHost: host\r\n\r\n")
		synctest.Wait()
		if n := written.Load(); n == 0 || n > 4<<20 {
			t.Errorf("handler wrote %d bytes to a client that reads none, want some, at most 4 MiB", n)
		}
		c.Close()
	})
}

func TestServe_UnreadBodyIsBoundedAndFlushStillWorks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		flushed, more := make(chan error), make(chan struct{})
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second) // on the fake clock: the host sends all that it may
			io.WriteString(w, "first ")
			flushed <- http.NewResponseController(w).Flush()
			<-more
			io.WriteString(w, sumOf(r.Body))
		})
		var sent atomic.Int64
		body := readerFunc((&counting{r: &pattern{n: 4 << 20}, n: &sent}).Read)
		resp, err := h.client.Post("http://host/", "", body)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := <-flushed; err != nil {
			t.Errorf("Flush = %v", err)
		}
		synctest.Wait()
		if n := sent.Load(); n > 2<<20 {
			t.Errorf("client could send %d bytes that nobody reads", n)
		}
		close(more)
		b, err := io.ReadAll(resp.Body)
		if want := "first " + sumOf(&pattern{n: 4 << 20}); string(b) != want || err != nil {
			t.Errorf("answer %q, %v, want %q", b, err, want)
		}
	})
}

// One goroutine waits for the body, and so receives; the result of another's
// flush must get past it.
func TestServe_FlushWhileTheBodyIsAwaited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			read := make(chan string)
			go func() { read <- sumOf(r.Body) }()
			time.Sleep(time.Second)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("Flush = %v", err)
			}
			io.WriteString(w, <-read)
		})
		pr, pw := io.Pipe()
		go io.WriteString(pw, "abc")
		resp, err := h.client.Post("http://host/", "", pr)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		pw.Close()
		if b, err := io.ReadAll(resp.Body); string(b) != sumOf(strings.NewReader("abc")) || err != nil {
			t.Errorf("answer %q, %v", b, err)
		}
	})
}

// A small body is read whole before the plugin is asked: no goroutine waits
// for it, and net/http watches the client from then on.
func TestServe_SmallBodyIsReadFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var asked atomic.Bool
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) { asked.Store(true) })
		c, r := h.raw(t, "POST / HTTP/1.1\r\nHost: host\r\nContent-Length: 6\r\n\r\nttl")
		synctest.Wait()
		if asked.Load() {
			t.Error("plugin was asked before the body was there")
		}
		io.WriteString(c, "=60")
		if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 200 || resp.Close {
			t.Errorf("answer = %v, %v", resp, err)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

type counting struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func TestServe_FullDuplex(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			buf := make([]byte, 100)
			for {
				n, err := r.Body.Read(buf)
				w.Write(buf[:n])
				http.NewResponseController(w).Flush()
				if err != nil {
					return
				}
			}
		})
		pr, pw := io.Pipe()
		go io.WriteString(pw, "a")
		resp, err := h.client.Post("http://host/", "", pr)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for _, s := range []string{"a", "b", "c"} {
			if s != "a" {
				io.WriteString(pw, s)
			}
			b := make([]byte, 1)
			if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != s {
				t.Fatalf("echo = %q, %v, want %q", b, err, s)
			}
		}
		pw.Close()
		if b, err := io.ReadAll(resp.Body); len(b) > 0 || err != nil {
			t.Errorf("rest = %q, %v", b, err)
		}
	})
}

// The client never sends the rest of its body; the handler does not care.
func TestServe_EarlyReturnDoesNotWaitForTheBody(t *testing.T) {
	for name, head := range map[string]string{
		"length":  "Content-Length: 1000000\r\n\r\n",
		"chunked": "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHost(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403) })
				c, r := h.raw(t, "POST / HTTP/1.1\r\nHost: host\r\n"+head+"")
				resp, err := http.ReadResponse(r, nil)
				if err != nil || resp.StatusCode != 403 || !resp.Close {
					t.Errorf("answer = %v, %v, want a 403 that closes the connection", resp, err)
				}
				synctest.Wait()
				if got := h.served(); len(got) != 1 || got[0] != nil {
					t.Errorf("Serve = %v, want one nil", got)
				}
				c.Close()
			})
		})
	}
}

// What the client sends after its answer must never be taken for a request.
func TestServe_RestOfABodyIsNoRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var requests atomic.Int32
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) { requests.Add(1) })
		c, r := h.raw(t, "POST / HTTP/1.1\r\nHost: host\r\nTransfer-Encoding: chunked\r\n\r\n100\r\n")
		if _, err := http.ReadResponse(r, nil); err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET /smuggled HTTP/1.1\r\nHost: host\r\n\r\n")
		synctest.Wait()
		if n := requests.Load(); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
	})
}

func TestServe_ConnectionIsUsedAgain(t *testing.T) {
	for _, size := range []int64{0, 10, 100 << 10, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHost(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, sumOf(r.Body)) })
				want := sumOf(&pattern{n: size})
				for range 3 {
					resp, err := h.client.Post("http://host/", "", &pattern{n: size})
					if err != nil {
						t.Fatal(err)
					}
					b, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					if string(b) != want || resp.Close {
						t.Errorf("answer %q, close %t, want %q", b, resp.Close, want)
					}
				}
			})
		})
	}
}

func TestServe_HangUpWhileWaitingWithUnreadBody(t *testing.T) {
	for _, size := range []int{0, 65, 60 << 10, 200 << 10, 500 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				waiting, left := make(chan struct{}), make(chan struct{})
				h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
					close(waiting)
					<-r.Context().Done()
					close(left)
				})
				c, _ := h.raw(t, fmt.Sprintf("POST / HTTP/1.1\r\nHost: host\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size)))
				<-waiting
				c.Close()
				<-left
			})
		})
	}
}

func TestServe_TruncatedBody(t *testing.T) {
	for name, tt := range map[string]struct {
		head string
		want error
	}{
		"small":     {"Content-Length: 100\r\n\r\nabc", context.Canceled},
		"large":     {"Content-Length: 1000000\r\n\r\nabc", context.Canceled},
		"malformed": {"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n", wire.ErrBody},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
					if _, err := io.ReadAll(r.Body); err != io.ErrUnexpectedEOF {
						t.Errorf("handler's read = %v, want unexpected EOF", err)
					}
					<-r.Context().Done()
				})
				c, _ := h.raw(t, "POST / HTTP/1.1\r\nHost: host\r\n"+tt.head)
				synctest.Wait()
				c.Close()
				synctest.Wait()
				if got := h.served(); len(got) != 1 || !errors.Is(got[0], tt.want) {
					t.Errorf("Serve = %v, want one %v", got, tt.want)
				}
			})
		})
	}
}

func TestServe_BodyOverTheHostsLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, sumOf(r.Body)) })
		h.prepare = func(w http.ResponseWriter, r *http.Request) { r.Body = http.MaxBytesReader(w, r.Body, 300<<10) }
		resp, err := h.client.Post("http://host/", "", &pattern{n: 310 << 10})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 413 {
			t.Errorf("status = %d, want 413", resp.StatusCode)
		}
	})
}

func TestServe_HandlerGivesUpWhileTheHostWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			io.CopyN(io.Discard, r.Body, 10)
			panic(http.ErrAbortHandler)
		})
		c, r := h.raw(t, "POST / HTTP/1.1\r\nHost: host\r\nContent-Length: 1000000\r\n\r\n0123456789")
		if _, err := http.ReadResponse(r, nil); err == nil {
			t.Error("got an answer, want the connection broken off")
		}
		c.Close()
	})
}

func TestServe_UseAfterReturn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var w http.ResponseWriter
		var r *http.Request
		h := newHost(t, func(w1 http.ResponseWriter, r1 *http.Request) { w, r = w1, r1 })
		h.do(t, "POST", "/", "body")
		synctest.Wait()
		w.Write(make([]byte, 100<<10))
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("Write after return succeeded")
		}
		if err := wire.FromContext(r.Context()).Resumable(); err == nil {
			t.Error("Resumable after return succeeded")
		}
		io.ReadAll(r.Body)
	})
}
