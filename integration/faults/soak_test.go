package faults

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/crowd"
	"github.com/etcd-modules/modhost/integration/drive"
	"github.com/etcd-modules/modhost/integration/history"
)

// What make soak sets: how long to go on, which seed to begin with, and at
// which round.
const (
	soakTime  = "MODHOST_SOAK_DURATION"
	soakSeed  = "MODHOST_SOAK_SEED"
	soakRound = "MODHOST_SOAK_ROUND"
)

// A soak is rounds of a crowd in a storm, one after the other on one site.
type soak struct {
	site  *site
	seed  uint64
	total tally
}

// A tally is what was done.
type tally struct{ operations, grants int }

// stormTime is how long clients and troubles begin new things in one round.
const stormTime = 20 * time.Second

// calmTime is how long after that everybody must have been served: what was
// lost has expired or was cleared away, and who waits goes on.
const calmTime = 60 * time.Second

// round lets crowds contend for some locks in a storm and returns what is wrong
// with what they were told.
func (s *soak) round(n int) []string {
	t := s.site.t
	rnd := rand.New(rand.NewPCG(s.seed, uint64(n)))
	var lost record
	k := kinds[n%len(kinds)]
	s.site.kind, s.site.last = k, 0
	t.Logf("round %d, %s; to repeat it: make soak SEED=%d ROUND=%d DURATION=1s", n, k.name, s.seed, n)
	var crowds []*crowd.Crowd
	ctx, cancel := context.WithTimeout(t.Context(), stormTime+calmTime)
	defer cancel()
	for i := range k.locks {
		crowds = append(crowds, &crowd.Crowd{
			OnProblem: cancel, // what comes after it tells nothing new
			HTTP:      s.site.http, Hosts: s.site.urls(), Lock: fmt.Sprintf("soak%d-%d", n, i), Clients: k.clients, Time: stormTime,
			Seed: rnd.Uint64(), Trouble: true, Dying: k.dying, TTL: k.ttl, MayLose: lost.mayLose, History: lossy(),
		})
	}
	var running sync.WaitGroup
	for _, c := range crowds {
		running.Go(func() { c.Run(ctx) })
	}
	s.site.storm(ctx, rnd, &lost, time.Now().Add(stormTime))
	running.Wait()
	var problems []string
	for _, c := range crowds {
		problems = append(problems, c.Problems()...)
		if len(problems) == 0 {
			if err := drive.Within(calmTime, func() error { return c.Settled(t.Context()) }); err != nil {
				problems = append(problems, err.Error())
			}
		}
		for _, err := range c.History.Check(time.Minute) {
			problems = append(problems, fmt.Sprintf("%s: %v%s", c.Lock, err, witnesses(c.History, err.Error())))
		}
		s.total.operations += len(c.History.Ops())
		s.total.grants += c.Grants()
	}
	return problems
}

var tokens = regexp.MustCompile(`token (\d+)`)

// witnesses are the operations with a token that text names.
func witnesses(h *history.History, text string) string {
	var b strings.Builder
	named := tokens.FindAllStringSubmatch(text, -1)
	for _, o := range h.Ops() {
		if slices.ContainsFunc(named, func(m []string) bool { return m[1] == strconv.FormatUint(o.Token, 10) }) {
			fmt.Fprintf(&b, "\n    %v", o)
		}
	}
	return b.String()
}

// TestSoak lets clients contend while everything breaks that can break: a short
// while in every run of the tests, long with make soak.
func TestSoak(t *testing.T) {
	seed, first, rounds := rand.Uint64(), 0, 2
	var limit time.Duration
	if text := os.Getenv(soakTime); text != "" {
		var err error
		if limit, err = time.ParseDuration(text); err != nil {
			t.Fatalf("DURATION: %v", err)
		}
		rounds = math.MaxInt
	}
	for name, into := range map[string]func(uint64){
		soakSeed:  func(n uint64) { seed = n },
		soakRound: func(n uint64) { first = int(n) },
	} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			into(n)
		}
	}
	s := &soak{site: newSite(t, programs(t), 3, 3), seed: seed}
	begun := time.Now()
	done := 0
	for more := true; more; {
		for _, problem := range s.round(first + done) {
			t.Errorf("round %d: %s", first+done, problem)
		}
		done++
		// After a problem the logs of what led to it are what counts.
		more = !t.Failed() && done < rounds && (limit == 0 || time.Since(begun) < limit)
	}
	t.Logf("%d rounds in %v: %d operations, %d grants", done, time.Since(begun).Round(time.Second), s.total.operations, s.total.grants)
	if s.total.grants < 10*done {
		t.Errorf("only %d grants", s.total.grants)
	}
}

// rules are the rules of the queue's protocol (see package queue), each broken
// in one way at least.
var rules = []plant{
	{"", "1: an entry is made whether there is one of the same owner or not", breaks("sdk/store/etcdv2/write.go",
		"client.SetOptions{PrevExist: client.PrevNoExist, TTL: ttl}", "client.SetOptions{TTL: ttl}")},
	{"", "1: the index is that of the last write, not of the creation", breaks("sdk/queue/obtain.go",
		"g := Grant{Index: p.entry.Created,", "g := Grant{Index: p.entry.Modified,")},
	{"", "2: a waiting entry has the lock's TTL", breaks("sdk/queue/obtain.go",
		"[]string{p.l.q.session.id}), 0\n", "[]string{p.l.q.session.id}), d.ttl\n")},
	{"", "2: of two entries created held at the same moment both hold", breaks("sdk/queue/obtain.go",
		"case first && p.cur.State == held:", "case p.cur.State == held:")},
	{"", "2: who joins a place does not name its session", []drive.Fault{
		{File: "sdk/queue/obtain.go", Old: "append(p.others(), p.l.q.session.id)", New: "append(p.others(), p.l.q.session.id)[:max(1, len(p.others()))]"},
		{File: "sdk/queue/obtain.go", Old: "!slices.Contains(p.cur.Sessions, p.l.q.session.id), ttl", New: "false && slices.Contains(p.cur.Sessions, \"\"), ttl"},
		{File: "sdk/queue/entry.go", Old: "p.joined = p.cur.State == held ||", New: "p.joined = true ||"},
	}},
	{"", "3: the first in the mirror is the holder without a write", grantWithoutWrite},
	{"", "4: validity is counted from the answer, not from before the write", validityFromAnswer},
	{"", "5: a session lives a second without a heartbeat", breaks("sdk/queue/session.go",
		"sessionTTL = 8 * time.Second", "sessionTTL = time.Second")},
	{"", "6: a successor clears held entries, too", breaks("sdk/queue/reap.go",
		"			case it.rec.State != waiting:\n			case !q.fromEnded(it):", "			case it.rec.State == waiting && !q.fromEnded(it):")},
	{"", "7: a list is taken that is older than the mirror", []drive.Fault{
		{File: "sdk/queue/line.go", Old: "fresh := list.Revision >= l.rev", New: "fresh := true"},
		{File: "sdk/queue/line.go", Old: "l.items, l.rev = items, rev\n", New: "l.items, l.rev = items, max(l.rev, rev)\n"},
	}},
}

// The same storm and judge find each rule that is left out.
func TestSoak_FindsBrokenRules(t *testing.T) {
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			if err := (drive.Build{Faults: rule.faults}).Fits(); err != nil {
				t.Fatal(err)
			}
			if os.Getenv(runPlanted) == "" {
				return
			}
			broken, err := drive.Build{Faults: rule.faults, Base: programs(t)}.Make(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			most := 4 * len(kinds)
			s := &soak{site: newSite(t, broken, 3, 3), seed: rand.Uint64()}
			for n := range most {
				if problems := s.round(n); len(problems) > 0 {
					t.Logf("found in round %d with seed %d: %s", n, s.seed, strings.Join(problems[:min(3, len(problems))], "\n"))
					return
				}
			}
			t.Errorf("nothing was found wrong in %d rounds with seed %d", most, s.seed)
		})
	}
}
