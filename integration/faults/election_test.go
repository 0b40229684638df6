package faults

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// The host of candidates is killed: those who stood through it alone are out of
// the election soon, a candidate with a session on another host keeps its place,
// and the leader leads on.
func TestElection_CandidatesHostKilled(t *testing.T) {
	t.Parallel()
	p := programs(t)
	one := p.Start(t, drive.Embedded+drive.Elections)
	two := p.Start(t, drive.Joined(one.Etcd)+drive.Elections)
	e, through := one.Election(t, "job"), two.Election(t, "job")
	boss := e.Lead("boss")
	through.Stand("alone")
	e.AwaitWaiting(1)
	through.Stand("team")
	e.AwaitWaiting(2)
	team := e.Stand("team")
	drive.Eventually(t, func() error {
		if line := e.Line(); len(line) != 3 || len(line[2].Sessions) != 2 {
			return fmt.Errorf("line %+v, want team to wait through both hosts", line)
		}
		return nil
	})
	last := e.Stand("last")
	e.AwaitWaiting(3)
	before := e.Line()

	plugin := two.Module("leader").PID
	two.Kill()
	killed := time.Now()
	drive.Gone(t, plugin, drive.Soon())
	if again := e.Lead("boss"); again != boss {
		t.Errorf("repeat of the leader = %d, want %d", again, boss)
	}
	var line []drive.Entry
	err := drive.Within(clearedWithin, func() error {
		if line = e.Line(); len(line) != 3 {
			return fmt.Errorf("line %+v, want boss, team and last", line)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v after the host was killed: %v", time.Since(killed), err)
	}
	t.Logf("who stood through the killed host alone was out after %v", time.Since(killed).Round(100*time.Millisecond))
	team.StillWaits()
	if who := e.Leader(); who != "boss" {
		t.Errorf("leader = %q, want boss", who)
	}
	e.Withdraw("boss")
	if index := team.Granted(); index != before[2].Index || line[1].Value != "team" {
		t.Errorf("team leads with index %d, want %d, its place from before", index, before[2].Index)
	}
	last.StillWaits()
	e.Withdraw("team")
	last.Granted()
}

// A candidacy that the plugin has not even read when it dies goes on in the
// next one.
func TestElection_CandidacyOnItsWay(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded+drive.Elections)
	e, led := h.Election(t, "onitsway"), h.Election(t, "onitsway-led")
	boss := led.Lead("boss")
	pid := h.Module("leader").PID
	drive.Signal(t, pid, syscall.SIGSTOP)
	leads, waits := e.Stand("one"), led.Stand("two")
	leads.GoesOnWaiting("at a plugin that has stopped")
	drive.Signal(t, pid, syscall.SIGKILL)
	leads.Granted()
	if who := e.Leader(); who != "one" {
		t.Errorf("leader = %q, want one", who)
	}
	led.AwaitWaiting(1, waits)
	led.Withdraw("boss")
	if index := waits.Granted(); index <= boss {
		t.Errorf("two leads with index %d, want one above %d", index, boss)
	}
}
