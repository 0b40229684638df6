package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
	"github.com/etcd-modules/modhost/integration/history"
)

// A crowd is a number of clients that contend for one lock through several
// hosts and record what they are told.
type crowd struct {
	t       testing.TB
	http    *http.Client
	hosts   []string
	name    string
	history *history.History

	clients int
	time    time.Duration // for which clients begin new rounds
	calm    bool          // no hang-ups, time-outs, shared values, deletions, expiries
	broken  bool          // answers may be wrong: that is the checker's to find

	deletions sync.WaitGroup // under way
}

func (c *crowd) errorf(format string, args ...any) {
	if !c.broken {
		c.t.Helper()
		c.t.Errorf(format, args...)
	}
}

func (c *crowd) lock(rnd *rand.Rand) string {
	return c.hosts[rnd.IntN(len(c.hosts))] + "/mod/v2/lock/" + c.name
}

// run lets all clients contend and waits until they are done.
func (c *crowd) run(seed uint64) {
	var wg sync.WaitGroup
	for id := range c.clients {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(id)))
			for round := 0; c.history.Now() < c.time; round++ {
				c.round(id, round, rnd)
			}
		})
	}
	wg.Wait()
	c.deletions.Wait()
}

// round is one client's attempt at the lock.
func (c *crowd) round(id, round int, rnd *rand.Rand) {
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	owner := fmt.Sprintf("client%d-%d", id, round)
	ttl := 20
	parameters := []string{}
	shared, expires := false, false
	if !c.calm {
		switch n := rnd.IntN(100); {
		case n < 15: // a value that clients of both hosts share
			owner, shared = fmt.Sprintf("team%d", rnd.IntN(8)), true
			parameters = append(parameters, "value", owner)
		case n < 25: // gives up in time
			parameters = append(parameters, "timeout", strconv.Itoa(rnd.IntN(3)))
		case n < 35: // hangs up; if that is at the moment of the answer the lock is free after a second
			ttl = 1
			time.AfterFunc(time.Duration(rnd.IntN(500))*time.Millisecond, cancel)
		case n < 40: // its entry is deleted by its value, waiting or not
			parameters = append(parameters, "value", owner)
			address := c.lock(rnd)
			c.deletions.Add(1)
			time.AfterFunc(time.Duration(rnd.IntN(1500))*time.Millisecond, func() {
				defer c.deletions.Done()
				c.delete(id, owner, address)
			})
		case n < 41: // is never heard of again
			ttl, expires = 1, true
		}
	}
	parameters = append(parameters, "ttl", strconv.Itoa(ttl))
	call := c.history.Now()
	r, err := drive.Send(ctx, c.http, http.MethodPost, c.lock(rnd), parameters...)
	ret := c.history.Now()
	switch {
	case err != nil && ctx.Err() != nil, err == nil && (r.Status == http.StatusLocked || r.Status == http.StatusGone):
		return
	case err != nil || r.Status != http.StatusOK:
		c.errorf("POST by %s = %v, %v", owner, r, err)
		return
	}
	token := r.Token(c.t)
	valid := call + r.ValidFor(c.t)
	c.history.Add(history.Op{Kind: history.Acquire, Client: id, Token: token, Owner: owner, Call: call, Return: ret, Valid: valid})
	if expires {
		return
	}
	time.Sleep(time.Duration(rnd.IntN(3000)) * time.Microsecond) // its work
	ctx = c.t.Context()
	if rnd.IntN(4) == 0 {
		call := c.history.Now()
		r, err := drive.Send(ctx, c.http, http.MethodPut, c.lock(rnd), "index", strconv.FormatUint(token, 10), "ttl", "20")
		ret := c.history.Now()
		switch {
		case err == nil && r.Status == http.StatusOK:
			c.history.Add(history.Op{Kind: history.Renew, Client: id, Token: token, Owner: owner, Call: call, Return: ret, Valid: call + r.ValidFor(c.t)})
		case shared || len(parameters) > 2 || err == nil && r.Status == http.StatusNotFound && ret > valid:
			// somebody who shares it, or the deletion, has released it
		default:
			c.errorf("PUT by holder %s with token %d = %v, %v: lock lost", owner, token, r, err)
		}
	}
	c.release(id, token, "index", strconv.FormatUint(token, 10), c.lock(rnd))
}

// release deletes an entry and records how that went.
func (c *crowd) release(id int, token uint64, field, what, address string) {
	o := history.Op{Client: id, Token: token, Call: c.history.Now()}
	r, err := drive.Send(c.t.Context(), c.http, http.MethodDelete, address, field, what)
	o.Return = c.history.Now()
	switch {
	case err == nil && r.Status == http.StatusOK:
		o.Kind = history.Release
	case err == nil && r.Status == http.StatusNotFound:
		o.Kind = history.Missed
	default:
		c.errorf("DELETE %s=%s = %v, %v", field, what, r, err)
		o.Kind = history.Doubt
	}
	c.history.Add(o)
}

// delete removes the entry of a value whose token is learnt from the line.
func (c *crowd) delete(id int, value, address string) {
	call := c.history.Now()
	r, err := drive.Send(context.Background(), c.http, http.MethodDelete, address, "value", value)
	if err != nil || r.Status != http.StatusOK {
		return // not there any more
	}
	// The token is that of the client's own grant, if it had one: its record
	// is what tells. Without one a waiter was deleted, which frees nothing.
	c.history.AddRelease(value, id, call, c.history.Now())
}

// settle waits until nobody is left in the line.
func (c *crowd) settle() {
	c.t.Helper()
	for _, host := range c.hosts {
		drive.Eventually(c.t, func() error {
			if s := drive.StateOf(c.t, c.http, host+"/mod/v2/lock/"+c.name); s.State != "free" || s.Waiting != 0 {
				return fmt.Errorf("left in the line: %+v", s)
			}
			return nil
		})
	}
}

// twoHosts starts two hosts, each with its plugin, on one etcd.
func twoHosts(t testing.TB, p drive.Programs) []string {
	t.Helper()
	one := p.Start(t, drive.Embedded)
	two := p.Start(t, drive.Joined(one.Etcd))
	return []string{one.URL, two.URL}
}

// Two hundred clients contend for one lock through two hosts, and hang up,
// time out, share values, are deleted, expire and renew: one holder at a time,
// first come first served.
func TestLock_Contention(t *testing.T) {
	c := &crowd{
		t: t, http: drive.NewHTTPClient(t), hosts: twoHosts(t, programs(t)), name: "contended",
		history: history.New(), clients: 200, time: 15 * time.Second,
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	c.run(seed)
	c.settle()
	grants := 0
	for _, o := range c.history.Ops() {
		if o.Kind == history.Acquire {
			grants++
		}
	}
	t.Logf("%d operations, %d grants", len(c.history.Ops()), grants)
	if grants < c.clients {
		t.Errorf("only %d grants", grants)
	}
	for _, err := range c.history.Check(time.Minute) {
		t.Error(err)
	}
}

// The same checker finds each rule of the protocol that is left out.
func TestLock_CheckerFindsBrokenRules(t *testing.T) {
	for name, fault := range map[string]drive.Fault{
		"first without looking who is ahead": {
			File: "sdk/queue/place.go",
			Old:  "first := s.rev >= p.entry.Created && s.ahead == 0",
			New:  "first := s.rev >= p.entry.Created",
		},
		"renewal taken for a release": {
			File: "sdk/queue/line.go",
			Old:  "if ev.Type == store.EventPut {",
			New:  "if ev.Type == store.EventPut && ev.Entry.Created == ev.Entry.Modified {",
		},
	} {
		t.Run(name, func(t *testing.T) {
			broken := drive.Build{Faults: []drive.Fault{fault}}.MustMake(t)
			c := &crowd{
				t: t, http: drive.NewHTTPClient(t), hosts: twoHosts(t, broken), name: "contended",
				history: history.New(), clients: 20, time: 5 * time.Second, calm: true, broken: true,
			}
			c.run(1)
			if errs := c.history.Check(time.Minute); len(errs) == 0 {
				t.Error("the checker found nothing wrong")
			}
		})
	}
}

// Clients that queue one after the other are served in that order, whichever
// host they came by.
func TestLock_FirstComeFirstServed(t *testing.T) {
	hosts := twoHosts(t, programs(t))
	c := drive.NewHTTPClient(t)
	lock := func(i int) string { return hosts[i%len(hosts)] + "/mod/v2/lock/line" }
	first := drive.Must(t, c, http.MethodPost, lock(0), "ttl", "60").Token(t)
	const clients = 50
	granted := make(chan int, clients)
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range clients {
		wg.Go(func() {
			r, err := drive.Send(t.Context(), c, http.MethodPost, lock(i), "ttl", "60")
			if err != nil {
				t.Error(err)
				return
			}
			granted <- i
			if _, err := drive.Send(t.Context(), c, http.MethodDelete, lock(i+1), "index", r.Body); err != nil {
				t.Error(err)
			}
		})
		drive.AwaitWaiting(t, c, lock(i), i+1)
	}
	drive.Must(t, c, http.MethodDelete, lock(1), "index", strconv.FormatUint(first, 10))
	for i := range clients {
		select {
		case got := <-granted:
			if got != i {
				t.Errorf("grant %d went to client %d", i, got)
			}
		case <-time.After(drive.Patience):
			t.Fatalf("grant %d of %d did not come", i, clients)
		}
	}
}
