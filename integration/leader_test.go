package integration

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// Sessions of one name are one candidate, through whichever host they come: all
// are told together, with one index, and nobody else is.
func TestLeader_SessionsOfTwoHostsAreToldTogether(t *testing.T) {
	t.Parallel()
	p := programs(t)
	one := p.Start(t, drive.Embedded+drive.Elections)
	two := p.Start(t, drive.Joined(one.Etcd)+drive.Elections)
	a, b := one.Election(t, "job"), two.Election(t, "job")
	boss := a.Lead("boss")
	team := []*drive.Call{a.Stand("team"), b.Stand("team"), a.Stand("team"), b.Stand("team")}
	drive.Eventually(t, func() error {
		if line := a.Line(); len(line) != 2 || len(line[1].Sessions) != 2 {
			return fmt.Errorf("line %+v, want team to wait through both hosts", line)
		}
		return nil
	})
	other := b.Stand("other")
	b.AwaitWaiting(2, other)

	if again := b.Lead("boss"); again != boss { // the repeat through the other host
		t.Errorf("repeat of the leader = %d, want %d", again, boss)
	}
	for _, c := range team {
		c.StillWaits()
	}
	b.Withdraw("boss")
	index := team[0].Granted()
	first, last := team[0].Answered, team[0].Answered
	for _, c := range team[1:] {
		if i := c.Granted(); i != index || i <= boss {
			t.Errorf("sessions of team are told %d and %d, want one index above %d", index, i, boss)
		}
		if c.Answered.Before(first) {
			first = c.Answered
		} else if c.Answered.After(last) {
			last = c.Answered
		}
	}
	t.Logf("four sessions through two hosts were told within %v", last.Sub(first))
	if last.Sub(first) > drive.Soon() {
		t.Errorf("sessions were told within %v, want it together", last.Sub(first))
	}
	if who := a.Leader(); who != "team" {
		t.Errorf("leader = %q, want team", who)
	}
	other.GoesOnWaiting("after team has begun to lead")
}

// GET names no leader later than a second after its TTL, counted from the last
// renewal, and until then the one who leads.
func TestLeader_NamedNoLongerThanItsTerm(t *testing.T) {
	t.Parallel()
	p := programs(t)
	one := p.Start(t, drive.Embedded+drive.Elections)
	two := p.Start(t, drive.Joined(one.Etcd)+drive.Elections)
	for i := range 12 {
		name, seconds := fmt.Sprint("term", i), 1+i%3
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			leads, sees := one.Election(t, name), two.Election(t, name)
			ttl := time.Duration(seconds) * time.Second
			var sent, renewed time.Time // around the last renewal
			for range 4 {
				sent = time.Now()
				leads.Lead("foo", "ttl", seconds)
				renewed = time.Now()
				<-time.After(time.Duration(rand.Int64N(int64(ttl / 2)))) // any moment of the term
				if who := sees.Leader(); who != "foo" && time.Since(sent) < ttl {
					t.Errorf("%s: leader = %q, %v into a term of %v", name, who, time.Since(sent), ttl)
				}
			}
			drive.Eventually(t, func() error {
				asked := time.Now()
				who := sees.Leader()
				switch late := asked.Sub(renewed) - ttl; {
				case who == "" && time.Since(sent) < ttl:
					t.Errorf("%s: nobody is named %v into a term of %v", name, time.Since(sent), ttl)
				case who != "" && late > drive.Soon():
					t.Errorf("%s: %q is named %v after its ttl of %v", name, who, late, ttl)
				case who != "":
					return fmt.Errorf("%q leads", who)
				}
				return nil
			})
		})
	}
}
