package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// Forever as [Request.Wait] waits until the lock is obtained.
const Forever time.Duration = -1

// A Logger takes what a queue has to say: a constant message and pairs of key
// and value. hclog's loggers are ones.
type Logger interface {
	Debug(msg string, args ...any)
	Warn(msg string, args ...any)
}

// Options say who the queue works for.
type Options struct {
	// Store is the module's own. The queue uses everything below "q", "s"
	// and "f".
	Store store.Store

	// Session names this process among all that use the same store. It must
	// never be used again by another process. Required.
	Session string

	// Ended are sessions of processes that are known to have ended. What they
	// left waiting is cleared away soon.
	Ended []string

	// Logger may be nil.
	Logger Logger

	// Observer counts; the zero value does not.
	Observer Observer
}

// A Queue gives out locks by name, first come first served, among all
// processes that use the same store. All methods are safe for concurrent use.
type Queue struct {
	store    store.Store
	log      Logger
	observer Observer
	session  *session

	ctx    context.Context // ends everything
	cancel context.CancelFunc
	wg     sync.WaitGroup // mirrors, session and sweeps

	draining chan struct{} // closed by Drain
	later    chan struct{} // holds one when there is something new in late

	mu       sync.Mutex            // guards what follows, and the lines with their places
	lines    map[string]*line      // by directory
	runnable []*place              // to be run by a worker, in this order
	late     map[string]lateCreate // by nonce
	workers  int
	drained  bool
	handover bool
	busy     int           // places and take-backs
	idle     chan struct{} // closed by the last of them; nil before Close
}

// New returns a queue that works until Close.
func New(o Options) (*Queue, error) {
	if o.Store == nil || o.Session == "" {
		return nil, errors.New("queue: Store and Session are required")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	q := &Queue{
		store:    o.Store,
		log:      o.Logger,
		observer: o.Observer.filled(),
		draining: make(chan struct{}),
		lines:    make(map[string]*line),
		late:     make(map[string]lateCreate),
		later:    make(chan struct{}, 1),
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	q.session = newSession(q, o.Session, o.Ended)
	q.wg.Go(func() { q.session.run(q.ctx) })
	q.wg.Go(func() { q.clearEnded(q.ctx) })
	q.wg.Go(func() { q.lookOut(q.ctx) })
	q.wg.Go(func() { q.prune(q.ctx) })
	return q, nil
}

// A Request asks for a lock.
type Request struct {
	// Name of the lock: 1 byte or more; two names never share anything.
	Name string

	// Value identifies the owner: a request with the value of a waiting or
	// holding entry shares that entry. "" is an owner of its own, identified
	// by ID.
	Value string

	// ID identifies a request without a value for ever, so that it keeps its
	// place when it is made again in another process. Required.
	ID string

	// TTL of the lock, counted from the grant; whole seconds from 1 second to
	// [store.MaxTTL].
	TTL time.Duration

	// Wait is how long to wait for it; 0: not at all; [Forever]: no limit.
	Wait time.Duration

	// Since is when the request was made, for the Observer: earlier than now
	// if it has waited in another process before. The zero value is now.
	Since time.Time
}

// Acquire waits until the lock is obtained, and returns the grant, whose
// Delivered the caller calls once. If the same value holds it already it is
// renewed and returned at once.
//
// Errors: [*NotObtainedError] when r.Wait was over; ctx's error; [ErrRemoved];
// [ErrDraining] and [ErrHandover]; [store.ErrUnavailable] when the store can't
// be reached and the request has no place yet. A request that has a place keeps
// it through an outage. On every error but ErrHandover the place is given up,
// unless other requests share it.
func (q *Queue) Acquire(ctx context.Context, r Request) (*Grant, error) {
	w := &waiter{ttl: r.TTL, try: r.Wait == 0, since: r.Since, answer: make(chan outcome, 1)}
	if w.since.IsZero() {
		w.since = time.Now()
	}
	p, err := q.join(r, w)
	if err != nil {
		return nil, err
	}
	if err := w.await(ctx, r.Wait, q.draining); err != nil {
		return q.giveUp(ctx, p, w, err)
	}
	return q.told(w, <-w.answer)
}

var (
	errOver  = errors.New("time over")
	errDrain = errors.New("draining")
)

// await waits until there is an answer, or returns why not: ctx's error,
// errOver or errDrain. It, and what calls it, have small frames: with them the
// stack of a waiting request is half as large.
func (w *waiter) await(ctx context.Context, limit time.Duration, draining <-chan struct{}) error {
	var over <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		over = t.C
	}
	select {
	case o := <-w.answer:
		w.answer <- o
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-over:
		return errOver
	case <-draining:
		return errDrain
	}
}

// giveUp takes w out of its place, unless it was answered at that moment.
func (q *Queue) giveUp(ctx context.Context, p *place, w *waiter, why error) (*Grant, error) {
	switch {
	case ctx.Err() != nil:
		why = ctx.Err() // whatever else: the place is nobody's now
	case why == errOver:
		why = q.notObtained(ctx, p)
	case why == errDrain:
		why = q.drainError()
	}
	last, answered := p.quit(w, why == ErrHandover)
	if answered { // that is the truth
		return q.told(w, <-w.answer)
	}
	q.gaveUp(ctx, w, why)
	var late *NotObtainedError
	if last && errors.As(why, &late) {
		// The answer says that the place is given up, so wait until it is;
		// not for long, should the store not answer.
		t := time.NewTimer(2 * time.Second)
		defer t.Stop()
		select {
		case <-p.gone:
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return nil, why
}

// join adds w to the place of its owner, and starts that if there is none.
func (q *Queue) join(r Request, w *waiter) (*place, error) {
	id := entryID(r.Value, r.ID)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.drained {
		return nil, q.drainErrorLocked()
	}
	dir := lineDir(r.Name)
	l := q.lines[dir]
	if l == nil {
		l = &line{q: q, name: r.Name, dir: dir, places: make(map[string]*place)}
		q.lines[dir] = l
	}
	p := l.places[id]
	if p == nil {
		p = &place{
			l: l, id: id, key: l.dir + "/" + id,
			rec:     record{Value: r.Value, Anonymous: r.Value == ""},
			gone:    make(chan struct{}),
			waiters: make(map[*waiter]struct{}, 1),
		}
		l.places[id] = p
		q.busy++
	}
	if !w.try || len(p.waiters) == 0 { // a try among waiters takes the TTL that it finds
		p.ttl, p.unwritten = w.ttl, true
	}
	p.waiters[w] = struct{}{}
	if w.try {
		p.tries++
	}
	p.wakeUp()
	return p, nil
}

// quit takes w out of the place. It reports whether nobody else is left in it,
// and whether w has its answer already. If it was handed over its entry stays.
func (p *place) quit(w *waiter, handedOver bool) (last, answered bool) {
	q := p.l.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := p.waiters[w]; !ok {
		return false, true
	}
	delete(p.waiters, w)
	if w.try {
		p.tries--
	}
	p.keep = p.keep || handedOver
	if len(p.waiters) > 0 {
		return false, false
	}
	p.wakeUp()
	return true, false
}

// notObtained says what p's line looks like to a request whose time is over,
// as the store has it now: an answer must not say held from memory.
func (q *Queue) notObtained(ctx context.Context, p *place) error {
	st, err := q.Status(ctx, p.l.name)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	s, ok := p.l.mirrored(p.id)
	if !ok && !st.Held {
		return fmt.Errorf("no answer in the time allowed: %w", store.ErrUnavailable)
	}
	e := &NotObtainedError{Status: st}
	if s.here {
		e.Position = s.ahead
		if !s.status.Held {
			e.Position++
		}
	}
	return e
}

// maxWorkers is how many places deal with the store at a time. More would
// only wait there, each with a stack and a half-made request.
const maxWorkers = 64

// schedule has p run. Called with the mutex held.
func (q *Queue) schedule(p *place) {
	p.due = time.Now()
	q.runnable = append(q.runnable, p)
	if q.workers < maxWorkers {
		q.workers++
		go q.work() // ends before the places do, for which Close waits
	}
}

// work runs what is runnable.
func (q *Queue) work() {
	for {
		q.mu.Lock()
		if len(q.runnable) == 0 {
			q.runnable = nil
			q.workers--
			q.mu.Unlock()
			return
		}
		p := q.runnable[0]
		q.runnable = q.runnable[1:]
		q.mu.Unlock()
		p.run()
	}
}

// patience is how long a request stands in the workers' queue before it is told
// of an outage that others have met: as long as a call takes to fail.
const patience = 4 * time.Second

// fail tells of an outage, that p has met, the requests of p and of those that
// have been due for long: while every call takes its time to fail, the workers
// get round to few. Who has a place keeps it and waits for the store to come
// back, also one that was resumed and has not written yet that it waits here; who
// has none yet, or won't wait, is told at once.
func (q *Queue) fail(p *place, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p.fail(err)
	for _, p := range q.runnable {
		if time.Since(p.due) < patience {
			break // they are in the order of being due
		}
		p.fail(err)
	}
}

// fail tells whom an outage concerns. Called with the queue's mutex held, while
// no other goroutine runs p.
func (p *place) fail(err error) {
	// A place that an ended process has left is that of its requests also before
	// they have written that they wait on it here.
	resumed := p.entry.Created != 0 &&
		(p.rec.Anonymous || !p.joined && p.cur.State == waiting && len(p.others()) == 0)
	p.answer(outcome{err: err}, func(w *waiter) bool {
		return w.try || !resumed && !(w.bound && p.joined)
	})
}

// takeBack releases a grant that reached nobody, in exactly the state in which
// it was granted: if somebody has renewed it meanwhile it is theirs. If other
// processes wait on the entry it is made theirs to hold: who of them was told of
// the grant has renewed it.
func (q *Queue) takeBack(d *delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.idle != nil && q.busy == 0 {
		return // closed: it lives by its TTL
	}
	q.busy++
	go func() { // Close waits
		defer q.done()
		var pause backoff
		e := d.entry
		for end := time.Now().Add(e.TTL); time.Now().Before(end); {
			var err error
			if len(d.others) > 0 {
				_, err = q.store.Swap(q.ctx, e, d.rec.with(waiting, d.rec.ttl(), d.others).encode(), 0)
				if !q.session.allLive(d.others) {
					q.session.suspect() // nobody may be there to hold it
				}
			} else {
				err = q.store.Delete(q.ctx, e)
			}
			if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrChanged) {
				return
			}
			q.log.Warn("take back of undelivered grant failed", "key", e.Key, "index", e.Created, "error", err)
			if !pause.wait(q.ctx) {
				return
			}
		}
	}()
}

func (q *Queue) done() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.doneLocked()
}

// doneLocked notes the end of a place or a take-back.
func (q *Queue) doneLocked() {
	q.busy--
	if q.busy == 0 && q.idle != nil {
		close(q.idle)
	}
}

// Drain makes every waiting and every later Acquire return at once: with
// ErrHandover and its place kept when a successor is ready, else with
// ErrDraining. Renew, Release and Status go on working.
func (q *Queue) Drain(successor bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.drained {
		return
	}
	q.drained, q.handover = true, successor
	close(q.draining)
}

func (q *Queue) drainError() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.drainErrorLocked()
}

func (q *Queue) drainErrorLocked() error {
	if q.handover {
		return ErrHandover
	}
	return ErrDraining
}

// Close drains, waits until all places are cleared away or ctx ends, and ends
// the session. Grants stay as they are. It is called once.
func (q *Queue) Close(ctx context.Context) error {
	q.Drain(false)
	q.mu.Lock()
	q.idle = make(chan struct{})
	if q.busy == 0 {
		close(q.idle)
	}
	q.mu.Unlock()
	var err error
	select {
	case <-q.idle:
	case <-ctx.Done():
		err = fmt.Errorf("clear waiting entries: %w", ctx.Err())
	}
	q.mu.Lock()
	q.cancel()
	for _, l := range q.lines { // what could not be cleared in time
		for _, p := range l.places {
			p.wakeUp()
		}
	}
	q.mu.Unlock()
	<-q.idle
	q.wg.Wait()
	q.session.end(ctx)
	return err
}
