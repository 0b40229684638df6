package integration

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/crowd"
	"github.com/etcd-modules/modhost/integration/drive"
	"github.com/etcd-modules/modhost/integration/history"
)

// twoHosts starts two hosts, each with its plugin, on one etcd.
func twoHosts(t testing.TB, p drive.Programs) []string {
	t.Helper()
	one := p.Start(t, drive.Embedded)
	two := p.Start(t, drive.Joined(one.Etcd))
	return []string{one.URL, two.URL}
}

// contend lets a crowd contend for one lock and returns what is wrong with
// what it was told.
func contend(t *testing.T, c *crowd.Crowd) []string {
	t.Helper()
	c.HTTP, c.Lock, c.History = drive.NewHTTPClient(t), "contended", history.New()
	c.Run(t.Context())
	problems := c.Problems()
	for _, err := range c.History.Check(time.Minute) {
		problems = append(problems, err.Error())
	}
	return problems
}

// Two hundred clients contend for one lock through two hosts, and hang up,
// time out, share values, are deleted, expire and renew: one holder at a time,
// first come first served.
func TestLock_Contention(t *testing.T) {
	c := &crowd.Crowd{Hosts: twoHosts(t, programs(t)), Clients: 200, Time: 15 * time.Second, Seed: rand.Uint64()}
	t.Logf("seed %d", c.Seed)
	for _, problem := range contend(t, c) {
		t.Error(problem)
	}
	drive.Eventually(t, func() error { return c.Settled(t.Context()) })
	t.Logf("%d operations, %d grants", len(c.History.Ops()), c.Grants())
	if n := c.Grants(); n < c.Clients {
		t.Errorf("only %d grants", n)
	}
}

// The same checker finds each rule of the protocol that is left out. More of
// them, and what breaks meanwhile, is in package faults.
func TestLock_CheckerFindsBrokenRules(t *testing.T) {
	for name, fault := range map[string]drive.Fault{
		"first without looking who is ahead": {
			File: "sdk/queue/obtain.go",
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
			c := &crowd.Crowd{Hosts: twoHosts(t, broken), Clients: 20, Time: 5 * time.Second, Seed: 1, Calm: true}
			if problems := contend(t, c); len(problems) == 0 {
				t.Error("the checker found nothing wrong")
			}
		})
	}
}

// Clients that queue one after the other are served in that order, whichever
// host they came by.
func TestLock_FirstComeFirstServed(t *testing.T) {
	t.Parallel()
	hosts := twoHosts(t, programs(t))
	var locks []*drive.Lock
	for _, host := range hosts {
		locks = append(locks, drive.LockAt(t, host+"/mod/v2/lock/line"))
	}
	first := locks[0].Take()
	const clients = 50
	granted := make(chan int, clients)
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range clients {
		l, other := locks[i%2], locks[(i+1)%2]
		wg.Go(func() {
			r, err := l.Send(t.Context(), http.MethodPost, "ttl", 60)
			if err != nil {
				t.Error(err)
				return
			}
			granted <- i
			if _, err := other.Send(t.Context(), http.MethodDelete, "index", r.Body); err != nil {
				t.Error(err)
			}
		})
		l.AwaitWaiting(i + 1)
	}
	locks[1].Release(first)
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
