package etcdv2

import "time"

// SetPollTime is for the tests of what happens after a long silence.
func (s *Store) SetPollTime(d time.Duration) { s.pollTime = d }
