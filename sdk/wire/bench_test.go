package wire_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
)

// BenchmarkWaiting reports what a waiting POST with a small form costs in both
// ends together: heap and stacks of 5000 of them, without net/http's own part.
// The handler is marked resumable and has read the form, as the lock's is.
func BenchmarkWaiting(b *testing.B) {
	const waiters = 5000
	for b.Loop() {
		var waiting sync.WaitGroup
		waiting.Add(waiters)
		p := startProcess(b, &fakePlugin{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := r.ParseForm(); err != nil {
				b.Error(err)
			}
			wire.FromContext(r.Context()).Resumable()
			waiting.Done()
			<-r.Context().Done()
		})})
		if _, err := p.client.Info(b.Context(), ""); err != nil {
			b.Fatal(err)
		}
		heap, stack, goroutines := memory()
		ctx, cancel := context.WithCancel(b.Context())
		var done sync.WaitGroup
		for i := range waiters {
			done.Go(func() {
				r := httptest.NewRequest("POST", fmt.Sprintf("/mod/lock/%d", i), strings.NewReader("ttl=60&value=client-1"))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				q := wire.NewRequest(discard{}, r.WithContext(ctx), "01J9ZK5T8Q2V7R3X6M4N0P1S2D", "/mod/lock", time.Now())
				defer q.Close()
				p.client.Serve(q)
			})
		}
		waiting.Wait()
		heap2, stack2, goroutines2 := memory()
		b.ReportMetric(float64(heap2-heap)/waiters, "heap-B/waiter")
		b.ReportMetric(float64(stack2-stack)/waiters, "stack-B/waiter")
		b.ReportMetric(float64(goroutines2-goroutines)/waiters, "goroutines/waiter")
		cancel()
		done.Wait()
		p.kill()
	}
}

func memory() (heap, stack uint64, goroutines int) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.StackInuse, runtime.NumGoroutine()
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) WriteHeader(int)             {}
func (discard) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkSmall is one small exchange at a time, without net/http.
func BenchmarkSmall(b *testing.B) {
	p := startProcess(b, &fakePlugin{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "42")
	})})
	b.ReportAllocs()
	for b.Loop() {
		q := wire.NewRequest(discard{}, httptest.NewRequest("GET", "/mod/x", nil), "id", "/mod/x", time.Now())
		if err := p.client.Serve(q); err != nil {
			b.Fatal(err)
		}
		q.Close()
	}
}
