package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/crowd"
	"github.com/etcd-modules/modhost/integration/drive"
)

// A plugin is stopped at a random point, for longer than every TTL, and goes on:
// nobody is granted what another one has, and what it answers is true or an
// error.
func TestPause_PluginStoppedPastEveryTTL(t *testing.T) {
	t.Parallel()
	p := programs(t)
	one := p.Start(t, drive.Patiently(drive.Embedded))
	two := p.Start(t, drive.Patiently(drive.Joined(one.Etcd)))
	client := drive.NewHTTPClient(t)
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	grants := 0
	for n := range inLongRun(4, 100) {
		var crowds []*crowd.Crowd
		for i := range 3 {
			crowds = append(crowds, &crowd.Crowd{
				HTTP: client, Hosts: []string{one.URL, two.URL}, Lock: fmt.Sprintf("paused%d-%d", n, i), Clients: 8, Time: 2 * time.Second,
				Seed: rnd.Uint64(), Trouble: true, TTL: 1, History: lossy(),
				MayLose: func(time.Time, time.Time) bool { return true }, // a grant that ran out on its way
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		var running sync.WaitGroup
		for _, c := range crowds {
			running.Go(func() { c.Run(ctx) })
		}
		pid := two.Plugin()
		<-time.After(between(rnd, 0, 1500*time.Millisecond)) // a random point
		drive.Signal(t, pid, syscall.SIGSTOP)
		<-time.After(between(rnd, 5500*time.Millisecond, 7*time.Second)) // past every TTL, which is what the test is about
		drive.Signal(t, pid, syscall.SIGCONT)
		running.Wait()
		cancel()
		for _, c := range crowds {
			drive.Eventually(t, func() error { return c.Settled(t.Context()) })
			for _, problem := range c.Problems() {
				t.Errorf("round %d: %s", n, problem)
			}
			for _, err := range c.History.Check(time.Minute) {
				t.Errorf("round %d, %s: %v", n, c.Lock, err)
			}
			grants += c.Grants()
		}
		if pid != two.Plugin() {
			t.Errorf("round %d: the plugin was replaced", n)
		}
	}
	t.Logf("%d grants", grants)
}

// A plugin that stays stopped is replaced, and its clients go on in the next
// one as after a crash.
func TestPause_PluginStoppedForGoodIsReplaced(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Patiently(drive.Embedded))
	l := h.Lock(t, "frozen")
	holder := l.Take("value", "holder")
	first := l.Queue(1)
	place := l.Line()[1].Index
	second := l.Queue(2)
	pid := h.Plugin()
	drive.Signal(t, pid, syscall.SIGSTOP)
	drive.Eventually(t, func() error {
		if now := h.Plugin(); now == pid || now == 0 {
			return fmt.Errorf("process %d is still the plugin", pid)
		}
		return nil
	})
	drive.Gone(t, pid, drive.Soon())
	l.Release(holder)
	if index := first.Granted(); index != place {
		t.Errorf("granted with index %d, want %d", index, place)
	}
	second.StillWaits()
}
