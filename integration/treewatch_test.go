package integration

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/etcdv2"
)

// A watch of all keys goes on at another member when its own is paused or cut
// off, and tells every change once.
func TestTreeWatch_MemberInTrouble(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]struct {
		begin, end func(*drive.Cluster, *drive.Member)
	}{
		"paused": {
			func(_ *drive.Cluster, m *drive.Member) { drive.Signal(t, m.PID(), syscall.SIGSTOP) },
			func(_ *drive.Cluster, m *drive.Member) { drive.Signal(t, m.PID(), syscall.SIGCONT) },
		},
		"cut off": {
			func(c *drive.Cluster, m *drive.Member) { c.Isolate(m) },
			func(c *drive.Cluster, _ *drive.Member) { c.Heal() },
		},
		"killed": {
			func(_ *drive.Cluster, m *drive.Member) { m.Kill() },
			func(_ *drive.Cluster, m *drive.Member) { m.Restart() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := plain(t).StartCluster(t, 3)
			open := func(endpoints ...string) *etcdv2.Store {
				s, err := etcdv2.New(etcdv2.Config{Endpoints: endpoints, AnyKey: true})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { s.Close() }) //nolint:errcheck // never fails
				return s
			}
			watched := cluster.Members[0]
			s, writer := open(cluster.Endpoints()...), open(cluster.Members[1].URL, cluster.Members[2].URL)
			l, err := s.Level(t.Context(), "", store.Linearizable)
			if err != nil {
				t.Fatal(err)
			}
			w := s.WatchTree("", l.Revision)
			t.Cleanup(func() { w.Close() }) //nolint:errcheck // never fails

			written := 0
			write := func(n int) {
				t.Helper()
				for range n {
					drive.Eventually(t, func() error { // without a leader for a moment
						_, err := writer.Put(t.Context(), fmt.Sprint("a/", written), "", 0)
						return err
					})
					written++
				}
			}
			seen, unavailable := make(map[string]bool), 0
			last := l.Revision
			read := func() {
				t.Helper()
				deadline := time.Now().Add(time.Minute)
				for len(seen) < written && time.Now().Before(deadline) {
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
					changes, err := w.Next(ctx)
					cancel()
					if errors.Is(err, store.ErrUnavailable) {
						unavailable++
						continue
					}
					if err != nil {
						t.Fatalf("Next = %v", err)
					}
					for _, c := range changes {
						if c.Revision <= last {
							t.Fatalf("%+v follows revision %d", c, last)
						}
						last = c.Revision
						seen[c.Node.Key] = true
					}
				}
				if len(seen) != written {
					t.Fatalf("%d of %d changes were told", len(seen), written)
				}
			}
			write(5)
			read()
			trouble.begin(cluster, watched)
			write(5)
			read()
			if unavailable == 0 {
				t.Error("the watch has not said that it has lost contact")
			}
			trouble.end(cluster, watched)
			write(5)
			read()
		})
	}
}
