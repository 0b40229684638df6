// Package crowd is many clients that contend for one lock, through several
// hosts, and do all that clients do: wait, share values, renew, release, give
// up, hang up, are deleted, are never heard of again. What they are told is
// recorded in a history, to be judged.
package crowd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
	"github.com/etcd-modules/modhost/integration/history"
)

// A Crowd is set up by its fields, then Run is called once.
type Crowd struct {
	HTTP    *http.Client
	Hosts   []string // URLs
	Lock    string
	Clients int
	Time    time.Duration // for which clients begin new rounds
	Seed    uint64        // of the clients' choices

	// Calm leaves out hang-ups, time-outs, shared values, deletions, expiries.
	Calm bool

	// Trouble says that parts of the system are broken meanwhile: a request may
	// fail with an unknown outcome, or end in a 502 or 503.
	Trouble bool

	// Dying is how many of a hundred clients, beside one, are never heard of
	// again once they have the lock. At most 50.
	Dying int

	// TTL is the shortest of those who release their lock, in seconds; 0: 20.
	// With Trouble it is what stops all others when the release fails.
	TTL int

	// MayLose reports whether a place in the line may have been lost between
	// two times, as its process was out of touch for too long. nil: never.
	MayLose func(from, to time.Time) bool

	// OnProblem is called at each problem, unless it is nil.
	OnProblem func()

	History *history.History

	mu       sync.Mutex // guards problems and team
	problems []string
	team     []visit        // of those who share a value
	asides   sync.WaitGroup // deletions and observers
}

// maxProblems is how many are kept; more tell nothing new.
const maxProblems = 20

func (c *Crowd) problem(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.OnProblem != nil {
		c.OnProblem()
	}
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, fmt.Sprintf("%v %s: ", c.History.Now().Round(time.Millisecond), c.Lock)+fmt.Sprintf(format, args...))
	}
}

// Problems are answers that no correct lock gives, whatever the order of all is.
// Called once, after Run.
func (c *Crowd) Problems() []string {
	for _, v := range c.team {
		if v.end == removed && !c.excused(v) {
			c.problem("POST by %s, sent at %v, got 410 at %v, though nobody can have had the lock and released it: place lost", v.owner, v.from, v.to)
		}
	}
	return c.problems
}

// A visit is the request of a client that shares its value with others.
type visit struct {
	owner    string
	from, to time.Duration
	released time.Duration // when its release was sent; 0: it was not
	end      end
	lost     bool // in spite of all, as MayLose says
}

// An end is how a visit ended.
type end int

const (
	left    end = iota // by timeout or hang-up
	had                // the lock, until it was released or its TTL was over
	doubted            // nobody knows
	removed            // 410
)

// excused reports whether somebody else with the same value can have had the
// lock, and released it, while the visitor waited: on another host he may be
// told of the grant before.
func (c *Crowd) excused(v visit) bool {
	if v.lost {
		return true
	}
	for _, o := range c.team {
		if o.owner != v.owner || o.from > v.to || o.to < v.from {
			continue
		}
		if o.end == doubted || o.end == had && (o.released == 0 || o.released <= v.to) {
			return true
		}
	}
	return false
}

func (c *Crowd) address(rnd *rand.Rand) string {
	return c.Hosts[rnd.IntN(len(c.Hosts))] + "/mod/v2/lock/" + c.Lock
}

// Start is Run in the background. The function that it returns ends it before
// its Time: no client begins a new round, and it waits until they are done.
func (c *Crowd) Start(ctx context.Context) (end func()) {
	over := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { c.run(ctx, over) })
	return func() {
		close(over)
		running.Wait()
	}
}

// Run lets all clients contend and waits until they are done. What still waits
// at the deadline of ctx is a problem; what its cancellation ends is none.
func (c *Crowd) Run(ctx context.Context) { c.run(ctx, nil) }

func (c *Crowd) run(ctx context.Context, enough <-chan struct{}) {
	goesOn := func() bool {
		select {
		case <-enough:
			return false
		default:
			return c.History.Now() < c.Time && ctx.Err() == nil
		}
	}
	over, end := context.WithCancel(ctx)
	c.asides.Go(func() { c.observe(over) })
	var clients sync.WaitGroup
	for id := range c.Clients {
		clients.Go(func() {
			for n := 0; goesOn(); n++ {
				r := &round{c: c, id: id, rnd: rand.New(rand.NewPCG(c.Seed+uint64(n), uint64(id)))}
				r.choose(n)
				r.run(ctx)
			}
		})
	}
	clients.Wait()
	end()
	c.asides.Wait()
}

// A round is one client's attempt at the lock, with its choices.
type round struct {
	c   *Crowd
	id  int
	rnd *rand.Rand

	owner      string
	parameters []string
	ttl        int           // seconds
	shared     bool          // others have the same value
	timed      bool          // has a timeout
	deleted    bool          // somebody deletes its entry
	expires    bool          // does not release
	hangUp     time.Duration // after which it leaves; 0: never
	work       time.Duration // while it holds the lock
	renews     bool
}

// choose makes the n-th round of the client. What is chosen depends on nothing
// but the seed, the client and n.
func (r *round) choose(n int) {
	r.owner = fmt.Sprintf("client%d-%d", r.id, n)
	r.ttl = 20
	if r.c.TTL > 0 {
		r.ttl = r.c.TTL + r.rnd.IntN(4)
	}
	if !r.c.Calm {
		switch k := r.rnd.IntN(100); {
		case k < 15: // a value that clients of all hosts share
			teams := 8
			if r.c.Trouble { // for more of them to come at the same moment
				teams = 3
			}
			r.owner, r.shared = fmt.Sprintf("team%d", r.rnd.IntN(teams)), true
			r.parameters = append(r.parameters, "value", r.owner)
			r.ttl = max(r.c.TTL, 5) // who shortens it takes from the others
			switch r.rnd.IntN(6) {
			case 0: // leaves the others alone
				r.timed = true
				r.parameters = append(r.parameters, "timeout", strconv.Itoa(r.rnd.IntN(3)))
			case 1:
				r.hangUp = time.Duration(1+r.rnd.IntN(2000)) * time.Millisecond
			}
		case k < 25: // gives up in time
			r.timed = true
			r.parameters = append(r.parameters, "timeout", strconv.Itoa(r.rnd.IntN(3)))
		case k < 35: // hangs up; if that is at the moment of the answer the lock is free after a second
			r.ttl = 1
			r.hangUp = time.Duration(1+r.rnd.IntN(500)) * time.Millisecond
		case k < 40: // its entry is deleted by its value, waiting or not
			r.deleted = true
			r.parameters = append(r.parameters, "value", r.owner)
		case k < 41+r.c.Dying: // is never heard of again
			r.ttl, r.expires = 1+r.rnd.IntN(2), true
		case k < 47+r.c.Dying: // an owner with a name of its own
			r.parameters = append(r.parameters, "value", r.owner)
		}
	}
	r.parameters = append(r.parameters, "ttl", strconv.Itoa(r.ttl))
	r.work = time.Duration(r.rnd.IntN(3000)) * time.Microsecond
	r.renews = r.rnd.IntN(4) == 0
	if !r.c.Trouble {
		return
	}
	switch k := r.rnd.IntN(40); { // who holds it when something breaks must keep it
	case k == 0:
		r.work = 2*time.Second + time.Duration(r.rnd.IntN(4000))*time.Millisecond
	case k < 5:
		r.work = time.Duration(r.rnd.IntN(1500)) * time.Millisecond
	}
}

// failed reports whether an answer, or none, says nothing about the outcome.
func failed(a drive.Reply, err error) bool {
	return err != nil || a.Status == http.StatusServiceUnavailable || a.Status == http.StatusBadGateway
}

func (r *round) run(ctx context.Context) {
	c := r.c
	waiting, leave := context.WithCancel(ctx)
	defer leave()
	if r.hangUp > 0 {
		defer time.AfterFunc(r.hangUp, leave).Stop()
	}
	if r.deleted {
		address, after := c.address(r.rnd), time.Duration(r.rnd.IntN(1500))*time.Millisecond
		c.asides.Go(func() {
			<-time.After(after)
			r.delete(ctx, address)
		})
	}
	v := visit{owner: r.owner, from: c.History.Now()}
	v.end = r.attempt(ctx, waiting, &v)
	if r.shared {
		v.to = c.History.Now()
		c.mu.Lock()
		c.team = append(c.team, v)
		c.mu.Unlock()
	}
}

// renewEvery is how often who works for longer renews its lock.
const renewEvery = 500 * time.Millisecond

// attempt asks for the lock until waiting ends, and uses and releases it.
func (r *round) attempt(ctx, waiting context.Context, v *visit) end {
	c := r.c
	sent, call := time.Now(), c.History.Now()
	a, err := drive.Send(waiting, c.HTTP, http.MethodPost, c.address(r.rnd), r.parameters...)
	ret := c.History.Now()
	switch {
	case ctx.Err() != nil:
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			c.problem("POST by %s, sent at %v, was never answered", r.owner, call)
		}
		return doubted
	case err != nil && waiting.Err() != nil:
		return left
	case failed(a, err):
		if !c.Trouble {
			c.problem("POST by %s = %v, %v", r.owner, a, err)
		}
		<-time.After(time.Duration(50+r.rnd.IntN(200)) * time.Millisecond) // as curl --retry does
		return doubted
	case a.Status == http.StatusLocked:
		if !r.timed {
			c.problem("POST by %s without timeout = %v", r.owner, a)
		}
		return left
	case a.Status == http.StatusGone:
		v.lost = c.MayLose != nil && c.MayLose(sent, time.Now()) ||
			c.Trouble && r.ttl < c.TTL || // so short a grant may run out on its way
			r.ttl <= 2 && ret-call >= time.Duration(r.ttl)*time.Second // without trouble only where the machine stalls
		if !r.deleted && !r.shared && !v.lost { // what is shared is judged when all is known
			c.problem("POST by %s, sent at %v = %v: place lost", r.owner, call, a)
		}
		return removed
	}
	token, valid, err := grant(a)
	if err != nil {
		c.problem("POST by %s: %v", r.owner, err)
		return doubted
	}
	c.History.Add(history.Op{Kind: history.Acquire, Client: r.id, Token: token, Owner: r.owner, Call: call, Return: ret, Valid: call + valid})
	if r.expires {
		return had
	}
	until := call + valid
	for rest := r.work; rest > 0; rest -= renewEvery {
		<-time.After(min(rest, renewEvery))
		if r.renews || rest > renewEvery {
			until = r.renew(ctx, token, until)
		}
	}
	v.released = c.History.Now()
	r.release(ctx, token)
	return had
}

// renew renews the lock of a holder who may rely on it until then, and returns
// until when it may now.
func (r *round) renew(ctx context.Context, token uint64, then time.Duration) time.Duration {
	c := r.c
	call := c.History.Now()
	a, err := drive.Send(ctx, c.HTTP, http.MethodPut, c.address(r.rnd), "index", strconv.FormatUint(token, 10), "ttl", strconv.Itoa(r.ttl))
	ret := c.History.Now()
	switch {
	case err == nil && a.Status == http.StatusOK && a.Header.Get("X-Lock-Valid-For") != "":
		_, more, err := grant(a)
		if err != nil {
			c.problem("PUT by holder %s: %v", r.owner, err)
			break
		}
		c.History.Add(history.Op{Kind: history.Renew, Client: r.id, Token: token, Owner: r.owner, Call: call, Return: ret, Valid: call + more})
		return max(then, call+more)
	case r.shared, r.deleted: // somebody who shares it, or the deletion, has released it
	case err == nil && a.Status == http.StatusNotFound && ret > then: // too late
	case failed(a, err) && c.Trouble:
	default:
		c.problem("PUT by holder %s with token %d, valid until %v = %v, %v: lock lost", r.owner, token, then, a, err)
	}
	return then
}

// release deletes an entry and records how that went.
func (r *round) release(ctx context.Context, token uint64) {
	c := r.c
	o := history.Op{Client: r.id, Token: token, Call: c.History.Now()}
	a, err := drive.Send(ctx, c.HTTP, http.MethodDelete, c.address(r.rnd), "index", strconv.FormatUint(token, 10))
	o.Return = c.History.Now()
	switch {
	case err == nil && a.Status == http.StatusOK:
		o.Kind = history.Release
	case err == nil && a.Status == http.StatusNotFound:
		o.Kind = history.Missed
	default:
		o.Kind = history.Doubt
		if !c.Trouble || !failed(a, err) {
			c.problem("DELETE index=%d = %v, %v", token, a, err)
		}
	}
	c.History.Add(o)
}

// delete removes the entry of the round's value. Its token, if it was granted
// the lock, is in the client's own record.
func (r *round) delete(ctx context.Context, address string) {
	c := r.c
	call := c.History.Now()
	a, err := drive.Send(ctx, c.HTTP, http.MethodDelete, address, "value", r.owner)
	switch {
	case err == nil && a.Status == http.StatusOK:
		c.History.AddByOwner(history.Release, r.owner, r.id, call, c.History.Now())
	case err == nil && a.Status == http.StatusNotFound:
	default:
		c.History.AddByOwner(history.Doubt, r.owner, r.id, call, c.History.Now())
		if !c.Trouble || !failed(a, err) {
			c.problem("DELETE value=%s = %v, %v", r.owner, a, err)
		}
	}
}

// observeEvery is the time between two looks at who holds the lock.
const observeEvery = 100 * time.Millisecond

// observe asks who holds the lock, now here and now there, until ctx ends.
func (c *Crowd) observe(ctx context.Context) {
	rnd := rand.New(rand.NewPCG(c.Seed, uint64(c.Clients)))
	for ctx.Err() == nil {
		o := history.Op{Kind: history.Read, Client: c.Clients, Call: c.History.Now()}
		a, err := drive.Send(ctx, c.HTTP, http.MethodGet, c.address(rnd), "field", "index")
		o.Return = c.History.Now()
		switch {
		case ctx.Err() != nil:
			return
		case failed(a, err):
			if !c.Trouble {
				c.problem("GET = %v, %v", a, err)
			}
		case a.Status != http.StatusOK:
			c.problem("GET = %v", a)
		default:
			if a.Body != "" {
				if o.Token, err = strconv.ParseUint(a.Body, 10, 64); err != nil {
					c.problem("GET = %v", a)
				}
			}
			c.History.Add(o)
		}
		select {
		case <-ctx.Done():
		case <-time.After(observeEvery):
		}
	}
}

// grant reads a grant or a renewal. The body of a renewal is empty.
func grant(a drive.Reply) (token uint64, valid time.Duration, err error) {
	token, err = strconv.ParseUint(a.Header.Get("X-Lock-Token"), 10, 64)
	if err != nil || a.Status != http.StatusOK || a.Body != "" && a.Body != a.Header.Get("X-Lock-Token") {
		return 0, 0, fmt.Errorf("answer %v with token %q is no grant", a, a.Header.Get("X-Lock-Token"))
	}
	s, err := strconv.ParseFloat(a.Header.Get("X-Lock-Valid-For"), 64)
	return token, time.Duration(s * float64(time.Second)), err
}

// Settled returns an error unless every host says that nobody is in the line.
func (c *Crowd) Settled(ctx context.Context) error {
	for _, host := range c.Hosts {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, host+"/mod/v2/lock/"+c.Lock, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Accept", "application/json")
		resp, err := c.HTTP.Do(req)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close() //nolint:errcheck // read to the end
		if err != nil {
			return err
		}
		var s drive.LockState
		if err := json.Unmarshal(text, &s); err != nil || s.State != "free" || s.Waiting != 0 {
			return fmt.Errorf("%s: left in the line: %s", c.Lock, text)
		}
	}
	return nil
}

// Grants is how many grants the clients were told.
func (c *Crowd) Grants() (n int) {
	for _, o := range c.History.Ops() {
		if o.Kind == history.Acquire {
			n++
		}
	}
	return n
}
