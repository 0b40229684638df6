package life

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
)

// All that can happen to a module happens to it in a random order, some of it at
// the same time, in programs that have the race detector, if the tests have it:
// a data race ends the host, which fails the test. The neighbour's clients notice
// nothing.
func TestLife_Storm(t *testing.T) {
	t.Parallel()
	h := start(t, racing.programs(t), lock.block(), neighbour.block())
	stock := takeStock(t, h)
	beside := h.Module(neighbour.name).PID
	waiting := neighbour.queue(t, h, "line", 4)
	shaken, calm := lock.begin(t, h, 6), neighbour.begin(t, h, 6)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	reconfigure := func(n int) { h.Configure(config(h.Etcd, lock.block(fmt.Sprint(n)), neighbour.block())) }
	const kinds = 6
	var todo []int
	for n := range inLongRun(1, 16) * kinds {
		if len(todo) == 0 {
			todo = rnd.Perm(kinds)
		}
		what := todo[0]
		todo = todo[1:]
		switch what {
		case 0:
			reconfigure(n)
			h.Reload()
		case 1: // and on to the next thing before it is done
			reconfigure(n)
			h.Hangup()
		case 2:
			h.Order("module", "restart", lock.name)
		case 3:
			h.Disable(lock.name)
			h.Enable(lock.name)
		case 4:
			if pid := h.Module(lock.name).PID; pid != 0 {
				syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it may just have ended
			}
		case 5:
			h.Order("log-level", []string{"debug", "info"}[rnd.IntN(2)])
			h.Order("module", "logs", lock.name)
		}
		waiting.kept()
	}
	h.Order("log-level", "info")
	h.Enable(lock.name)
	shaken.await(shaken.good() + 50)
	for _, f := range shaken.end() {
		switch f.reply.Code() {
		case moduleDisabled:
		case draining, moduleStarting:
			if !saysWhen(f.reply) {
				t.Errorf("lock: %v", f)
			}
		case moduleDied:
			if f.method == lock.take {
				t.Errorf("lock: %v", f)
			}
		default:
			t.Errorf("lock: %v", f)
		}
	}
	calm.unhurt()
	waiting.served()
	if m := h.Module(neighbour.name); m.PID != beside || m.Restarts != 0 {
		t.Errorf("the neighbour is %+v, want it in process %d as before", m, beside)
	}
	stock.nothingLeft()
	stock.nothingAfter()
}
