package etcdv2

import (
	"net/http"
	"sync/atomic"
	"time"
)

// A clock knows by how much etcd's clock is ahead of ours.
type clock struct{ ahead atomic.Int64 } // time.Duration

// clockGrain is what the dates in HTTP's headers leave open.
const clockGrain = time.Second

// learn takes the date of an answer that has just come.
func (c *clock) learn(h http.Header) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	ahead := date.Add(clockGrain / 2).Sub(time.Now().Round(0)) // Round: by the wall clock
	if ahead.Abs() < 2*clockGrain {
		ahead = 0
	}
	c.ahead.Store(int64(ahead))
}

// A reading says when a node came, and whether its TTL was told then or earlier,
// as it is with changes that are fetched later.
type reading struct {
	at  time.Time
	now bool
}

func fresh() reading { return reading{time.Now(), true} }

// expires returns when a node ends by our clock that ends at end by etcd's, and
// has ttl to live, as was told by seen.
func (c *clock) expires(end time.Time, ttl time.Duration, seen reading) time.Time {
	end = end.Add(-time.Duration(c.ahead.Load()))
	latest := seen.at.Round(0).UTC().Add(ttl)
	if end.After(latest) {
		return latest
	}
	if earliest := latest.Add(-time.Second); seen.now && end.Before(earliest) {
		return earliest
	}
	return end
}
