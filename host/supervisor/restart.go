package supervisor

import "time"

const (
	firstDelay  = 200 * time.Millisecond // before the second restart in a row; the first is immediate
	longestWait = 30 * time.Second       // cap of the doubling

	// healthyTime is how long a process must have been ready to start a new
	// row. The delays are there for processes that end at once, over and over;
	// one that serves for a while between its crashes serves best if it is
	// started again at once, and RestartMax tells when it is enough.
	healthyTime = time.Second
)

// A fall is one end of a process that nobody asked for, or one start that
// did not succeed.
type fall struct {
	at time.Time
	up time.Duration // how long the process had been ready before; 0: never was
}

// afterFall decides what follows the last of falls, which are in the order of
// time and not empty: the next start after delay, or none if there were more
// than max falls within window (max 0: any number). jitter, from 0 up to 1,
// takes up to half off the delay, so that modules which fell together do not
// all come back together.
func afterFall(falls []fall, max int, window time.Duration, jitter float64) (delay time.Duration, giveUp bool) {
	now := falls[len(falls)-1].at
	recent := 0
	for _, f := range falls {
		if now.Sub(f.at) < window {
			recent++
		}
	}
	if max > 0 && recent > max {
		return 0, true
	}

	row := 1 // falls since the last healthy time
	for i := len(falls) - 1; i > 0 && falls[i].up < healthyTime; i-- {
		row++
	}
	if row == 1 {
		return 0, false
	}
	delay = firstDelay
	for ; row > 2 && delay < longestWait; row-- {
		delay *= 2
	}
	delay = min(delay, longestWait)
	return delay - time.Duration(jitter*float64(delay)/2), false
}

// keepFalls drops the oldest falls that afterFall has no use for.
func keepFalls(falls []fall, max int) []fall {
	const forDoubling = 10 // firstDelay reaches longestWait before
	return falls[len(falls)-min(len(falls), max+1+forDoubling):]
}
