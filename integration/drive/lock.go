package drive

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// A Lock is one lock as the clients of one host see it. Its methods fail the
// test when something else happens than what they are for, and end it where
// what follows would make no sense.
//
// Parameters are names and values in turn, the values of any type: they are
// sent as fmt.Sprint writes them. An index is 0 where there is none.
type Lock struct {
	URL string // of the lock

	t            testing.TB
	http         *http.Client
	etcd         string // of the host; "" if the lock was not made by [Host.Lock]
	module, name string
}

// locksPath is where the module is mounted.
const locksPath = "/mod/v2/lock/"

// lasting is the TTL, in seconds, of what is asked for without one: none of
// that ends during a test.
const lasting = 600

// Lock returns a lock of the host, which must stay at its URL. name is as it
// stands in a URL.
func (h *Host) Lock(t testing.TB, name string) *Lock {
	return &Lock{URL: h.URL + locksPath + name, t: t, http: h.http, etcd: h.Etcd, module: "lock", name: name}
}

// LockAt is [Host.Lock] for one that is reached at another address, or whose
// host the test does not have at hand.
func LockAt(t testing.TB, address string) *Lock {
	return &Lock{URL: address, t: t, http: NewHTTPClient(t)}
}

// texts are parameters for [Send].
func texts(parameters []any) []string {
	var list []string
	for _, p := range parameters {
		list = append(list, fmt.Sprint(p))
	}
	return list
}

// withTTL adds one if there is none.
func withTTL(parameters []any) []any {
	if slices.Contains(parameters, any("ttl")) {
		return parameters
	}
	return append([]any{"ttl", lasting}, parameters...)
}

// what is a request in the text of a failure.
func (l *Lock) what(method string, parameters []any) string {
	return fmt.Sprintf("%s %s %q", method, l.URL, texts(parameters))
}

// Send makes a request that may fail, or that may not end the test.
func (l *Lock) Send(ctx context.Context, method string, parameters ...any) (Reply, error) {
	return Send(ctx, l.http, method, l.URL, texts(parameters)...)
}

// Ask makes a request that must be answered, in whatever way.
func (l *Lock) Ask(method string, parameters ...any) Reply {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), Patience)
	defer cancel()
	r, err := l.Send(ctx, method, parameters...)
	if err != nil {
		l.t.Fatalf("%s: %v", l.what(method, parameters), err)
	}
	return r
}

// Must makes a request that must be answered with 200.
func (l *Lock) Must(method string, parameters ...any) Reply {
	l.t.Helper()
	r := l.Ask(method, parameters...)
	if r.Status != http.StatusOK {
		l.t.Fatalf("%s = %v, want 200", l.what(method, parameters), r)
	}
	return r
}

// Insist makes a request until it is answered with 200: etcd may be electing. A
// DELETE that was answered with 503, or not at all, may have had its effect: 404
// is as good after that.
func (l *Lock) Insist(method string, parameters ...any) (r Reply) {
	l.t.Helper()
	doubted := false
	Eventually(l.t, func() (err error) {
		r, err = l.Send(l.t.Context(), method, parameters...)
		switch {
		case err == nil && (r.Status == http.StatusOK || doubted && method == http.MethodDelete && r.Status == http.StatusNotFound):
			return nil
		case err != nil || r.Status == http.StatusServiceUnavailable:
			doubted = true
		}
		return fmt.Errorf("%s = %v, %v", l.what(method, parameters), r, err)
	})
	return r
}

// Refused makes a request that must be answered with an error; code is the
// errorCode in its body.
func (l *Lock) Refused(status, code int, method string, parameters ...any) {
	l.t.Helper()
	l.Ask(method, parameters...).wantError(l.t, l.what(method, parameters), status, code)
}

// Take obtains the lock, which must be free, and returns the index. The TTL is
// ten minutes if there is none among the parameters.
func (l *Lock) Take(parameters ...any) (index uint64) {
	l.t.Helper()
	return l.Must(http.MethodPost, slices.Concat(withTTL(parameters), []any{"timeout", 0})...).Token(l.t)
}

// Release releases the lock by its index.
func (l *Lock) Release(index uint64) {
	l.t.Helper()
	l.Must(http.MethodDelete, "index", index)
}

// Begin sends a request and goes on.
func (l *Lock) Begin(method string, parameters ...any) *Call {
	return begin(l.t, l.what(method, parameters), func(ctx context.Context) (Reply, error) {
		return l.Send(ctx, method, parameters...)
	})
}

// Post asks for the lock and goes on. The TTL is as for [Lock.Take].
func (l *Lock) Post(parameters ...any) *Call {
	return l.Begin(http.MethodPost, withTTL(parameters)...)
}

// Queue is Post for a request that becomes the n-th in the line behind the
// holder; it returns when it is.
func (l *Lock) Queue(n int, parameters ...any) *Call {
	l.t.Helper()
	c := l.Post(parameters...)
	l.AwaitWaiting(n, c)
	return c
}

// AwaitWaiting waits until n entries wait behind the holder. None of the calls
// that are named may be answered before that.
func (l *Lock) AwaitWaiting(n int, among ...*Call) {
	l.t.Helper()
	Eventually(l.t, func() error {
		for _, c := range among {
			if c.Over() {
				c.StillWaits()
				l.t.FailNow()
			}
		}
		s, err := l.state()
		if err == nil && s.Waiting != n {
			err = fmt.Errorf("%d waiting for %s, want %d", s.Waiting, l.URL, n)
		}
		return err
	})
}

// A LockState is what GET says with Accept: application/json.
type LockState struct {
	State     string
	Value     string
	Index     uint64
	Waiting   int
	Remaining int // seconds of the holder's TTL
}

// State asks for the lock's state.
func (l *Lock) State() LockState {
	l.t.Helper()
	s, err := l.state()
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

func (l *Lock) state() (s LockState, err error) {
	req, err := http.NewRequestWithContext(l.t.Context(), http.MethodGet, l.URL, nil)
	if err != nil {
		return s, err
	}
	req.Header.Set("Accept", "application/json")
	r, err := do(l.http, req)
	if err != nil {
		return s, err
	}
	if r.Status != http.StatusOK {
		return s, fmt.Errorf("state of %s = %v, want 200", l.URL, r)
	}
	return s, json.Unmarshal([]byte(r.Body), &s)
}

// WantHeld checks who holds the lock, with nearly all of the ten minutes left
// that [Lock.Take] gives, and how many wait.
func (l *Lock) WantHeld(index uint64, value string, waiting int) {
	l.t.Helper()
	if s := l.State(); s.Index != index || s.Value != value || s.Remaining < lasting-100 {
		l.t.Errorf("%s is %+v, want it held by %q, index %d, for ten minutes, and %d waiting", l.URL, s, value, index, waiting)
	}
	l.AwaitWaiting(waiting) // how many wait is told by a watch
}

// WantLeft checks after a client has left that soon nobody waits, and that the
// lock is held with the index that the client was told, or is free if it was
// told none.
func (l *Lock) WantLeft(index uint64) {
	l.t.Helper()
	if err := Within(2*Soon(), func() error {
		s := l.State()
		if s.Waiting != 0 || index == 0 && s.State != "free" || s.Index != index {
			return fmt.Errorf("%+v", s)
		}
		return nil
	}); err != nil {
		l.t.Errorf("%s: the client that left was told index %d, and the lock is %v", l.URL, index, err)
	}
}

// WaitInVain lets a client more wait for so many seconds and go away. It is the
// event that comes after: what others are told wrongly they have been told by
// then.
func (l *Lock) WaitInVain(seconds int, holder uint64) {
	l.t.Helper()
	r := l.Ask(http.MethodPost, "ttl", lasting, "timeout", seconds)
	if r.Status != http.StatusLocked || !strings.Contains(r.Body, fmt.Sprintf("held by index %d,", holder)) {
		l.t.Errorf("%s: a client that waits %d s = %v, want 423, held by index %d", l.URL, seconds, r, holder)
	}
}
