package etcdv2

import (
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// SetPollTime is for the tests of what happens after a long silence.
func (s *Store) SetPollTime(d time.Duration) { s.pollTime = d }

// SetWatchTimes is for the tests of what a watch of a tree does in silence.
func SetWatchTimes(w store.TreeWatcher, contact, renew time.Duration) {
	w.(*treeWatcher).contact, w.(*treeWatcher).renew = contact, renew
}

// Expires is when a node ends that does so at end by a clock that is ahead.
func Expires(ahead time.Duration, end time.Time, ttl time.Duration, at time.Time, now bool) time.Time {
	var c clock
	c.ahead.Store(int64(ahead))
	return c.expires(end, ttl, reading{at, now})
}
