package supervisor

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
)

func post(body string) *http.Request {
	return httptest.NewRequest("POST", "/mod/mod/x", strings.NewReader(body))
}

// Stories in a bubble sleep on its clock, which takes no time.

func TestHandler_NewRequestsAreHeldTwoSeconds(t *testing.T) {
	inBubble(t, &memory{startTakes: 5 * time.Second, serve: hello}, nil, func(t *testing.T, s *Supervisor) {
		early := begin(s, post(""))
		early.expect(t, 503, 2*time.Second, "")
		if early.Header().Get("Retry-After") == "" || !strings.Contains(early.Body.String(), `"errorCode":704`) {
			t.Errorf("answer = %v %s", early.Header(), early.Body)
		}
		time.Sleep(2 * time.Second)
		begin(s, post("")).expect(t, 200, time.Second, "POST hello")
	})
}

func TestHandler_ClientThatLeavesIsNotHeld(t *testing.T) {
	inBubble(t, &memory{startTakes: 5 * time.Second, serve: hello}, nil, func(t *testing.T, s *Supervisor) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c := begin(s, post("").WithContext(ctx))
		<-c.done
		if c.took != time.Second || !c.aborted {
			t.Errorf("took %v, aborted %v", c.took, c.aborted)
		}
	})
}

func TestHandler_ResumableWaitsForTheNextProcess(t *testing.T) {
	for _, c := range []struct {
		startTakes time.Duration
		status     int
		took       time.Duration
	}{
		{14 * time.Second, 200, 14 * time.Second},
		{40 * time.Second, 503, 30 * time.Second}, // startTimeout and a second start
	} {
		m := &memory{serve: resumable}
		inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
			waiter := begin(s, post("ttl=60"))
			synctest.Wait()
			m.startTakes = c.startTakes
			m.last().kill()
			waiter.expect(t, c.status, c.took, "")
		})
	}
}

func TestHandler_FailureEndsTheWait(t *testing.T) {
	m := &memory{serve: resumable}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		waiter := begin(s, post(""))
		synctest.Wait()
		m.startTakes, m.startErr = time.Second, lasting{errors.New("no good")}
		m.last().kill()
		waiter.expect(t, 503, time.Second, "")
		if !strings.Contains(waiter.Body.String(), "no good") || !strings.Contains(waiter.Body.String(), `"errorCode":705`) {
			t.Errorf("answer = %s", waiter.Body)
		}
	})
}

func TestHandler_NothingOfOursCutsALongWait(t *testing.T) {
	const long = 10 * time.Hour
	m := &memory{serve: func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(long)
		hello(w, r)
	}}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		begin(s, post("")).expect(t, 200, long, "POST hello")
		if m.starts() != 1 {
			t.Errorf("%d starts, want 1", m.starts())
		}
	})
}

func TestHandler_BrokenRequestOnAHealthyProcess(t *testing.T) {
	m := &memory{breaks: true}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		for _, method := range []string{"POST", "GET"} {
			c := begin(s, httptest.NewRequest(method, "/mod/mod/x", nil))
			c.expect(t, 502, 0, "")
		}
		if m.starts() != 1 || s.Modules()[0].State != Ready {
			t.Errorf("%d starts, want 1; %+v", m.starts(), s.Modules()[0])
		}
	})
}

func TestHandler_HandoverWithoutASuccessorDoesNotSpin(t *testing.T) {
	m := &memory{serve: func(_ http.ResponseWriter, r *http.Request) {
		x := wire.FromContext(r.Context())
		if err := errors.Join(x.Resumable(), x.Handover()); err != nil {
			panic(err)
		}
	}}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		begin(s, post("")).expect(t, 502, 0, "")
	})
}

func TestHandler_LaterRequestsWaitForTheVerdict(t *testing.T) {
	m := &memory{serve: hello}
	inBubble(t, m, nil, func(t *testing.T, s *Supervisor) {
		synctest.Wait()
		// The process is frozen: neither a pong nor an end. Its ping is given
		// one second.
		m.mute.Store(true)
		s.module("mod").now.Load().process.distrust()
		c := begin(s, post(""))
		synctest.Wait()
		m.mute.Store(false)
		c.expect(t, 200, verdict, "POST hello")
		if m.starts() != 2 {
			t.Errorf("%d starts, want 2", m.starts())
		}
	})
}

func TestHandler_Limits(t *testing.T) {
	m := &memory{serve: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("wait") {
			<-r.Context().Done()
			return
		}
		if _, err := io.Copy(w, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
	}}
	limits := func(s *Spec) {
		s.Limits = Limits{Concurrency: 2, BodyBytes: 10, RequestTimeout: time.Minute}
	}
	inBubble(t, m, limits, func(t *testing.T, s *Supervisor) {
		begin(s, post("0123456789")).expect(t, 200, 0, "0123456789")
		begin(s, post("0123456789x")).expect(t, 413, 0, "")
		chunked := post("0123456789x")
		chunked.ContentLength = -1
		begin(s, chunked).expect(t, 413, 0, "")
		chunked = post("0123456789")
		chunked.ContentLength = -1
		begin(s, chunked).expect(t, 200, 0, "0123456789")

		a, b := begin(s, httptest.NewRequest("GET", "/?wait", nil)), begin(s, httptest.NewRequest("GET", "/?wait", nil))
		synctest.Wait()
		begin(s, post("")).expect(t, 429, 0, "")
		a.expect(t, 503, time.Minute, "")
		b.expect(t, 503, time.Minute, "")
		if !strings.Contains(a.Body.String(), `"errorCode":715`) {
			t.Errorf("answer = %s", a.Body)
		}
		begin(s, post("")).expect(t, 200, 0, "")
	})
}
