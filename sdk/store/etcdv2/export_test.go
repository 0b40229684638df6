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
