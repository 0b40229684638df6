package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/queue"
	"github.com/etcd-modules/modhost/sdk/store"
)

type module struct {
	queue   *queue.Queue
	env     *sdk.Env
	log     hclog.Logger
	closed  chan struct{}
	drained chan struct{} // closed when nothing waits for the drain any more
}

const allowed = "GET, HEAD, POST, PUT, DELETE, OPTIONS"

// ServeHTTP sorts requests by method. Handlers return errors; here they become
// answers.
func (m *module) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		err = m.get(w, r)
	case http.MethodPost:
		err = m.acquire(w, r)
	case http.MethodPut:
		err = m.renew(w, r)
	case http.MethodDelete:
		err = m.release(w, r)
	case http.MethodOptions:
		w.Header().Set("Allow", allowed)
	default:
		w.Header().Set("Allow", allowed)
		err = sdk.NewError(sdk.CodeMethodNotAllowed, r.Method+" is not a method of a lock; use one of "+allowed)
	}
	if err != nil {
		m.fail(w, r, err)
	}
}

// fail answers with err.
func (m *module) fail(w http.ResponseWriter, r *http.Request, err error) {
	var answer *sdk.Error
	var late *queue.NotObtainedError
	switch {
	case errors.Is(err, queue.ErrHandover):
		if err := sdk.RequestOf(r).Handover(); err == nil {
			return
		}
		answer = sdk.NewError(sdk.CodeDraining, "this process of the lock module is being replaced; repeat the request")
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // the client is gone, there is nobody to answer
	case errors.As(err, &answer):
	case errors.As(err, &late):
		answer = sdk.NewError(sdk.CodeNotObtained, describe(late, time.Now()))
		answer.Index = uint64(late.Status.Revision)
	case errors.Is(err, queue.ErrNotInLine):
		answer = sdk.NewError(sdk.CodeKeyNotFound, err.Error())
	case errors.Is(err, queue.ErrRemoved):
		answer = sdk.NewError(sdk.CodeEntryRemoved, "the entry was deleted, or ran out, before its grant could be told; you do not hold the lock")
	case errors.Is(err, queue.ErrDraining):
		answer = sdk.NewError(sdk.CodeDraining, m.env.DrainCause()+"; your place in the line is given up, repeat the request")
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		answer = sdk.NewError(sdk.CodeStoreUnavailable, fmt.Sprintf("nothing can be said of the lock: %v; repeat the request", err))
		m.log.Warn("store unavailable", "request_id", sdk.RequestOf(r).RequestID(), "error", err)
	default:
		answer = sdk.NewError(sdk.CodeInternal, "the lock module failed; its log says why")
		m.log.Error("request failed", "request_id", sdk.RequestOf(r).RequestID(), "method", r.Method, "error", err)
	}
	sdk.WriteError(w, answer)
}

// describe says what stood in the way of a lock.
func describe(e *queue.NotObtainedError, now time.Time) string {
	s := e.Status
	text := "nobody holds it at this moment"
	if !s.Held && e.Position != 1 {
		text += ", but others are first in the line"
	}
	if s.Held {
		text = fmt.Sprintf("held by index %d", s.Index)
		if s.Value != "" {
			text += fmt.Sprintf(", value %.200q", s.Value)
		}
		if !s.Since.IsZero() {
			text += fmt.Sprintf(", since %s (%s)", s.Since.UTC().Format(time.RFC3339), max(0, now.Sub(s.Since).Round(time.Second)))
		}
		text += fmt.Sprintf(", %s of its ttl left", roundedUp(s.Remaining))
	}
	if e.Position > 0 {
		return text + fmt.Sprintf("; your place in the line was %d of %d", e.Position, s.Waiting)
	}
	return text + fmt.Sprintf("; your place in the line would have been %d", s.Waiting+1)
}

// roundedUp is d in whole seconds: what is said to be over must be over.
func roundedUp(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// acquire is POST: wait for the lock, or renew it for the value that holds it.
// A request spends its life in here, so what is needed before and after is in
// functions of its own, off the stack.
func (m *module) acquire(w http.ResponseWriter, r *http.Request) error {
	q, err := request(w, r)
	if err != nil {
		return err
	}
	g, err := m.queue.Acquire(r.Context(), q)
	if err != nil {
		return err
	}
	tell(w, r, q.Name, g)
	return nil
}

// request reads what is asked for, and lets the host know that the request may
// go on in another process.
func request(w http.ResponseWriter, r *http.Request) (q queue.Request, err error) {
	if q.Name, err = nameOf(r); err != nil {
		return q, err
	}
	p, err := parameters(w, r)
	if err != nil {
		return q, err
	}
	if q.TTL, err = p.ttl(); err != nil {
		return q, err
	}
	if q.Wait, err = p.timeout(); err != nil {
		return q, err
	}
	if q.Value, err = p.value(); err != nil {
		return q, err
	}
	x := sdk.RequestOf(r)
	if x == nil { // served without a host
		q.ID = rand.Text()
		return q, nil
	}
	q.ID = x.RequestID()
	if received := x.Received(); q.Wait > 0 && !received.IsZero() {
		// A request that goes on here has waited in the process before this.
		q.Wait = max(0, q.Wait-time.Since(received))
	}
	return q, x.Resumable()
}

// tell answers with a grant. The flush tells whether the answer reached the
// client's connection: a grant that nobody learns of must not stay.
func tell(w http.ResponseWriter, r *http.Request, name string, g *queue.Grant) {
	err := errors.New("handler ended early")
	defer func() { g.Delivered(err) }()
	grantHeaders(w, r, g)
	if wantsJSON(r) {
		err = writeJSON(w, grantOf(name, r, g))
	} else {
		err = writeText(w, strconv.FormatUint(uint64(g.Index), 10))
	}
	if err == nil {
		err = http.NewResponseController(w).Flush()
	}
}

// renew is PUT: a new TTL for an entry, by index or by value.
func (m *module) renew(w http.ResponseWriter, r *http.Request) error {
	name, err := nameOf(r)
	if err != nil {
		return err
	}
	p, err := parameters(w, r)
	if err != nil {
		return err
	}
	ttl, err := p.ttl()
	if err != nil {
		return err
	}
	target, err := p.target()
	if err != nil {
		return err
	}
	g, err := m.queue.Renew(r.Context(), name, target, ttl)
	if err != nil {
		return err
	}
	if g != nil {
		grantHeaders(w, r, g)
	}
	if !wantsJSON(r) {
		return writeText(w, "")
	}
	if g == nil {
		return writeJSON(w, answer{Name: name, State: "waiting", TTL: int64(ttl / time.Second)})
	}
	return writeJSON(w, grantOf(name, r, g))
}

// release is DELETE: of the holder's entry or a waiting one.
func (m *module) release(w http.ResponseWriter, r *http.Request) error {
	name, err := nameOf(r)
	if err != nil {
		return err
	}
	p, err := parameters(w, r)
	if err != nil {
		return err
	}
	target, err := p.target()
	if err != nil {
		return err
	}
	if err := m.queue.Release(r.Context(), name, target); err != nil {
		return err
	}
	if wantsJSON(r) {
		return writeJSON(w, answer{Name: name, State: "released"})
	}
	return writeText(w, "")
}

// get is GET and HEAD: who holds the lock.
func (m *module) get(w http.ResponseWriter, r *http.Request) error {
	name, err := nameOf(r)
	if err != nil {
		return err
	}
	p, err := query(r)
	if err != nil {
		return err
	}
	field := p.get("field")
	if field != "" && field != "value" && field != "index" {
		return sdk.NewError(sdk.CodeFieldInvalid, fmt.Sprintf("field is %.100q; use value or index", field))
	}
	s, err := m.queue.Status(r.Context(), name)
	if err != nil {
		return err
	}
	state, text := "free", ""
	if s.Held {
		state, text = "held", s.Value
		if field == "index" {
			text = strconv.FormatUint(uint64(s.Index), 10)
		}
		w.Header().Set("X-Lock-Token", strconv.FormatUint(uint64(s.Index), 10))
	}
	w.Header().Set("X-Lock-State", state)
	if !wantsJSON(r) {
		return writeText(w, text)
	}
	a := answer{Name: name, State: state, Value: s.Value, Index: uint64(s.Index), Token: uint64(s.Index), Waiting: &s.Waiting}
	if s.Held {
		a.Remaining = int64(roundedUp(s.Remaining) / time.Second)
		if !s.Since.IsZero() {
			a.Since = s.Since.UTC().Format(time.RFC3339)
		}
	}
	return writeJSON(w, a)
}
