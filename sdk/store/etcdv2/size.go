package etcdv2

import (
	"context"
	"sync"
	"time"
)

// A clusterSize knows whether the cluster has only one member, in which case a
// plain read is as good as a quorum read: a write is answered when the member
// that got it has applied it, and that is the one we read from. A cluster that
// grows is noticed within sizeKept.
type clusterSize struct {
	asking  sync.Mutex // held while somebody asks
	mu      sync.Mutex // guards the rest
	members int        // 0 = unknown
	next    time.Time  // when to ask again
	last    time.Time  // when it was asked
}

const (
	sizeKept  = time.Minute
	sizeAgain = time.Second // after an error
)

// single tells whether a plain read will do. It asks etcd when it is time to,
// one call at a time; the others go by what was known. Not knowing is false.
func (s *Store) single(ctx context.Context) bool {
	z := &s.size
	members, due := z.known()
	if !due || !z.asking.TryLock() {
		return members == 1
	}
	defer z.asking.Unlock()
	if members, due = z.known(); !due {
		return members == 1
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	n := s.first.Load()
	list, err := s.endpoints[n].members.List(ctx)
	if ctx.Err() != nil { // silent; an endpoint that refuses this question may answer others
		s.first.CompareAndSwap(n, (n+1)%int64(len(s.endpoints)))
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.last = time.Now()
	z.members, z.next = len(list), z.last.Add(sizeKept)
	if err != nil {
		z.members, z.next = 0, z.last.Add(sizeAgain)
	}
	return z.members == 1
}

func (z *clusterSize) known() (members int, due bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.members, !time.Now().Before(z.next)
}

// forget is called after an error: the cluster may have changed.
func (z *clusterSize) forget() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.members, z.next = 0, z.last.Add(sizeAgain)
}
