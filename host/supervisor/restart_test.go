package supervisor

import (
	"testing"
	"time"
)

// row makes falls of processes that were ready for up, one every step.
func row(n int, step, up time.Duration) []fall {
	var falls []fall
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		falls = append(falls, fall{at.Add(time.Duration(i) * step), up})
	}
	return falls
}

func TestAfterFall_DelayDoublesToTheCap(t *testing.T) {
	want := []time.Duration{
		0, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond,
		3200 * time.Millisecond, 6400 * time.Millisecond, 12800 * time.Millisecond, 25600 * time.Millisecond, longestWait, longestWait,
	}
	for i, w := range want {
		d, giveUp := afterFall(row(i+1, time.Second, time.Millisecond), 0, 0, 0)
		if d != w || giveUp {
			t.Errorf("afterFall of %d falls = %v, %v, want %v, false", i+1, d, giveUp, w)
		}
	}
}

func TestAfterFall_JitterTakesUpToHalf(t *testing.T) {
	falls := row(4, time.Second, 0)
	for _, c := range []struct {
		jitter float64
		want   time.Duration
	}{{0, 800 * time.Millisecond}, {0.5, 600 * time.Millisecond}, {0.999999, 400 * time.Millisecond}} {
		if d, _ := afterFall(falls, 0, 0, c.jitter); (d - c.want).Abs() > time.Millisecond {
			t.Errorf("afterFall with jitter %v = %v, want %v", c.jitter, d, c.want)
		}
	}
}

func TestAfterFall_HealthyTimeForgives(t *testing.T) {
	falls := row(8, time.Second, 0)
	falls[7].up = healthyTime
	if d, _ := afterFall(falls, 0, 0, 0); d != 0 {
		t.Errorf("afterFall after a healthy time = %v, want 0", d)
	}
	falls = append(falls, fall{falls[7].at.Add(time.Second), 0})
	if d, _ := afterFall(falls, 0, 0, 0); d != firstDelay {
		t.Errorf("second fall after a healthy time = %v, want %v", d, firstDelay)
	}
}

func TestAfterFall_GivesUpAboveMaxInWindow(t *testing.T) {
	for _, c := range []struct {
		name   string
		falls  []fall
		max    int
		window time.Duration
		want   bool
	}{
		{"as many as allowed", row(5, time.Second, 0), 5, time.Minute, false},
		{"one too many", row(6, time.Second, 0), 5, time.Minute, true},
		{"the first is out of the window", row(6, time.Second, 0), 5, 5 * time.Second, false},
		{"health does not forgive these", row(6, time.Second, time.Hour), 5, time.Minute, true},
		{"no limit", row(100, time.Second, 0), 0, time.Minute, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, got := afterFall(c.falls, c.max, c.window, 0); got != c.want {
				t.Errorf("afterFall gives up = %v, want %v", got, c.want)
			}
		})
	}
}

func TestKeepFalls_ChangesNoDecision(t *testing.T) {
	var kept []fall
	for _, f := range row(100, time.Second, 0) {
		kept = keepFalls(append(kept, f), 3)
	}
	if len(kept) > 20 {
		t.Errorf("keepFalls kept %d", len(kept))
	}
	if d, giveUp := afterFall(kept, 3, time.Second, 0); d != longestWait || giveUp {
		t.Errorf("afterFall of what was kept = %v, %v, want %v, false", d, giveUp, longestWait)
	}
}
