package queuehttp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/queue"
	"github.com/etcd-modules/modhost/sdk/queuemetrics"
)

// Words are what a module calls things. All are required.
type Words struct {
	Module string // itself: "lock"
	A, The string // what its clients stand in line for: "a lock", "the lock"
	Allow  string // methods of its requests: "GET, HEAD, POST, OPTIONS"

	Owner  string // parameter that names the owner of an entry: "value"
	Member string // member of JSON answers that names who holds: "value"
	Header string // of answers is "X-Lock-State" and so on, if this is "X-Lock-"

	Held, Free, Released string // states, the last one of an entry that a client has removed

	Nobody string                    // nobody holds: "nobody holds it"
	Lost   string                    // to whose entry is gone: "you do not hold the lock"
	By     func(queue.Status) string // who holds: "held by index 7, value \"bar\""
}

// A Desk answers the clients of a queue. Its methods Obtain, Renew, Release,
// Status and Other answer a request or return an error, that is for Fail to
// answer with. All methods but Close are safe for concurrent use.
type Desk struct {
	queue   *queue.Queue
	env     *sdk.Env
	words   Words
	closed  chan struct{}
	drained chan struct{} // closed when nothing waits for the drain any more
}

// Open opens a desk in front of a new queue in env's store, whose metrics go to
// env's. It is open until Close, which a module that embeds the Desk has by that.
func Open(env *sdk.Env, words Words) (*Desk, error) {
	metrics := queuemetrics.New(env.Metrics)
	q, err := queue.New(queue.Options{
		Store:    env.Store,
		Session:  env.ProcessID,
		Ended:    env.Ended,
		Logger:   env.Logger,
		Observer: metrics.Observer(),
	})
	if err != nil {
		return nil, fmt.Errorf("start queue: %w", err)
	}
	metrics.Follow(q)
	d := &Desk{queue: q, env: env, words: words, closed: make(chan struct{}), drained: make(chan struct{})}
	go func() { // Close waits for it
		defer close(d.drained)
		select {
		case <-env.Draining():
			q.Drain(env.DrainReason() == sdk.DrainReplace)
		case <-d.closed:
		}
	}()
	return d, nil
}

// Close ends the queue after draining. Grants stay as they are. It is called
// once.
func (d *Desk) Close(ctx context.Context) error {
	close(d.closed)
	<-d.drained
	return d.queue.Close(ctx)
}

// Obtain waits until it is the owner's turn, or renews what the owner holds, and
// answers with the index. Parameters are ttl, timeout, and those that owner
// reads; owner returns "" for an owner of its own, see [queue.Request].
//
// A request spends its life in here, so what is needed before and after is in
// functions of its own, off the stack.
func (d *Desk) Obtain(w http.ResponseWriter, r *http.Request, owner func(Params) (string, error)) error {
	q, err := d.request(w, r, owner)
	if err != nil {
		return err
	}
	g, err := d.queue.Acquire(r.Context(), q)
	if err != nil {
		return err
	}
	d.tell(w, r, q.Name, g)
	return nil
}

// request reads what is asked for, and lets the host know that the request may
// go on in another process.
func (d *Desk) request(w http.ResponseWriter, r *http.Request, owner func(Params) (string, error)) (q queue.Request, err error) {
	var p Params
	if q.Name, p, err = d.read(w, r); err != nil {
		return q, err
	}
	if q.TTL, err = p.TTL(); err != nil {
		return q, err
	}
	if q.Wait, err = p.Timeout(); err != nil {
		return q, err
	}
	if q.Value, err = owner(p); err != nil {
		return q, err
	}
	x := sdk.RequestOf(r)
	if x == nil { // served without a host
		q.ID = rand.Text()
		return q, nil
	}
	q.ID = x.RequestID()
	q.Since = x.Received()
	if q.Wait > 0 && !q.Since.IsZero() {
		// A request that goes on here has waited in the process before this.
		q.Wait = max(0, q.Wait-time.Since(q.Since))
	}
	return q, x.Resumable()
}

// tell answers with a grant. The flush tells whether the answer reached the
// client's connection: a grant that nobody learns of must not stay.
func (d *Desk) tell(w http.ResponseWriter, r *http.Request, name string, g *queue.Grant) {
	err := errors.New("handler ended early")
	defer func() { g.Delivered(err) }()
	d.grantHeaders(w, r, g)
	if wantsJSON(r) {
		err = d.writeJSON(w, d.granted(name, r, g))
	} else {
		err = writeText(w, strconv.FormatUint(uint64(g.Index), 10))
	}
	if err == nil {
		err = http.NewResponseController(w).Flush()
	}
}

// Renew gives an entry a new TTL, parameter ttl, and answers with an empty
// text. Target reads from the parameters which entry is meant.
func (d *Desk) Renew(w http.ResponseWriter, r *http.Request, target func(Params) (queue.Target, error)) error {
	name, p, err := d.read(w, r)
	if err != nil {
		return err
	}
	ttl, err := p.TTL()
	if err != nil {
		return err
	}
	t, err := target(p)
	if err != nil {
		return err
	}
	g, err := d.queue.Renew(r.Context(), name, t, ttl)
	if err != nil {
		return d.about(t, err)
	}
	if g != nil {
		d.grantHeaders(w, r, g)
	}
	if !wantsJSON(r) {
		return writeText(w, "")
	}
	if g == nil {
		return d.writeJSON(w, answer{Name: name, State: "waiting", TTL: int64(ttl / time.Second)})
	}
	return d.writeJSON(w, d.granted(name, r, g))
}

// Release removes the holder's entry or a waiting one, whose requests then end
// with 410, and answers with an empty text. Target is as for Renew.
func (d *Desk) Release(w http.ResponseWriter, r *http.Request, target func(Params) (queue.Target, error)) error {
	name, p, err := d.read(w, r)
	if err != nil {
		return err
	}
	t, err := target(p)
	if err != nil {
		return err
	}
	if err := d.queue.Release(r.Context(), name, t); err != nil {
		return d.about(t, err)
	}
	if wantsJSON(r) {
		return d.writeJSON(w, answer{Name: name, State: d.words.Released})
	}
	return writeText(w, "")
}

// about calls an entry that is not there by the module's own words.
func (d *Desk) about(t queue.Target, err error) error {
	if t.Index != 0 || !errors.Is(err, queue.ErrNotInLine) {
		return err
	}
	return fmt.Errorf("%s %q: %w", d.words.Owner, t.Value, queue.ErrNotInLine)
}

// Status answers who holds, with the owner's name, or with the index if the
// parameter field is "index"; with an empty text if nobody does. Parameters
// stand in the query only.
func (d *Desk) Status(w http.ResponseWriter, r *http.Request) error {
	name, err := d.nameOf(r)
	if err != nil {
		return err
	}
	p, err := query(r)
	if err != nil {
		return err
	}
	field := p.Get("field")
	switch field {
	case "", "index", d.words.Owner, "value": // the original modules had "value" for both
	default:
		return sdk.NewError(sdk.CodeFieldInvalid, fmt.Sprintf("field is %.100q; use %s or index", field, d.words.Owner))
	}
	s, err := d.queue.Status(r.Context(), name)
	if err != nil {
		return err
	}
	a, text := d.standing(name, s), ""
	if s.Held {
		text = s.Value
		if field == "index" {
			text = strconv.FormatUint(uint64(s.Index), 10)
		}
		w.Header().Set(d.words.Header+"Token", strconv.FormatUint(uint64(s.Index), 10))
	}
	w.Header().Set(d.words.Header+"State", a.State)
	if wantsJSON(r) {
		return d.writeJSON(w, a)
	}
	return writeText(w, text)
}

// Other answers OPTIONS, and returns 405 for every other method, with those
// that there are in the header Allow.
func (d *Desk) Other(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Allow", d.words.Allow)
	if r.Method == http.MethodOptions {
		return nil
	}
	return sdk.NewError(sdk.CodeMethodNotAllowed, fmt.Sprintf("%s is not a method of %s; use one of %s", r.Method, d.words.A, d.words.Allow))
}
