package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/etcdv2"
)

// inspector asks all members of a cluster; n names each member's condition.
func inspector(t *testing.T, c *drive.Cluster) func() (store.Condition, map[string]store.MemberCondition) {
	t.Helper()
	s, err := etcdv2.New(etcdv2.Config{Endpoints: c.Endpoints()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) //nolint:errcheck // never fails
	return func() (store.Condition, map[string]store.MemberCondition) {
		t.Helper()
		cond, err := s.Inspect(t.Context())
		if err != nil {
			t.Fatalf("Inspect = %v", err)
		}
		n := make(map[string]store.MemberCondition)
		for _, m := range cond.Members {
			n[m.Name] = m
		}
		return cond, n
	}
}

// One member leads itself. To be asked is no entry in its log.
func TestInspect_SingleMember(t *testing.T) {
	cluster := plain(t).StartCluster(t, 1)
	inspect := inspector(t, cluster)
	c, members := inspect()
	m := members[cluster.Members[0].Name]
	if c.ID == "" || c.Leader != m.ID || len(c.Members) != 1 || len(c.Alarms) != 0 || time.Since(c.At) > time.Minute {
		t.Errorf("condition %+v", c)
	}
	if since := time.Since(c.LeaderSince); since < 0 || since > time.Hour {
		t.Errorf("leads since %v", c.LeaderSince)
	}
	if !m.Reachable || !m.Healthy || m.Reason != "" || m.Role != store.RoleLeader || !m.Leader || m.Peer != nil {
		t.Errorf("member %+v", m)
	}
	if !strings.HasPrefix(m.Version, "3.5.") || m.Term == 0 || m.Index == 0 || m.Applied == 0 || m.DBSize == 0 || m.DBInUse == 0 || m.Answered <= 0 {
		t.Errorf("member %+v", m)
	}
	if m.Store.GetSuccess == 0 { // that of AwaitReady
		t.Errorf("counted %+v", m.Store)
	}
	if _, again := inspect(); again[m.Name].Index != m.Index {
		t.Errorf("the log was at %d and is at %d after an Inspect", m.Index, again[m.Name].Index)
	}
}

// What is told of three members: all well, one paused, its end, and the leader
// cut off from the others.
func TestInspect_Cluster(t *testing.T) {
	t.Parallel()
	cluster := plain(t).StartCluster(t, 3)
	inspect := inspector(t, cluster)

	// All see the leader once it has been in contact with each.
	var lead *drive.Member
	drive.Eventually(t, func() error {
		c, members := inspect()
		lead = cluster.Leader()
		if c.Leader != lead.ID || c.ID == "" || len(c.Members) != 3 || len(c.Alarms) != 0 || c.LeaderSince.IsZero() {
			return fmt.Errorf("the leader is %s: %+v", lead.ID, c)
		}
		for _, m := range cluster.Members {
			got := members[m.Name]
			if got.ID != m.ID || !got.Reachable || !got.Healthy || got.Reason != "" || got.Term == 0 || got.Applied == 0 || got.DBSize == 0 {
				return fmt.Errorf("member %+v", got)
			}
			role := store.RoleFollower
			if m == lead {
				role = store.RoleLeader
			}
			if got.Role != role || got.Leader != (m == lead) {
				return fmt.Errorf("member %+v, want a %s", got, role)
			}
			if (got.Peer == nil) != (m == lead) || got.Peer != nil && got.Peer.Successes == 0 {
				return fmt.Errorf("peer %+v of %+v", got.Peer, got)
			}
		}
		return nil
	})

	// One is paused: it is silent, the others go on, and nobody waits for it.
	paused := cluster.Members[0]
	if paused == lead {
		paused = cluster.Members[1]
	}
	drive.Signal(t, paused.PID(), syscall.SIGSTOP)
	drive.Eventually(t, func() error { // who leads the others may change
		c, members := inspect()
		if m := members[paused.Name]; m.Reachable || m.Healthy || m.Role != store.RoleUnknown || !strings.Contains(m.Reason, "no answer within 2s") || m.Peer == nil {
			return fmt.Errorf("the paused member: %+v", m)
		}
		if lead = cluster.Leader(); c.Leader != lead.ID || !members[lead.Name].Healthy {
			return fmt.Errorf("the others: %+v", c)
		}
		return nil
	})
	drive.Signal(t, paused.PID(), syscall.SIGCONT)
	drive.Eventually(t, func() error {
		if _, members := inspect(); !members[paused.Name].Healthy {
			return fmt.Errorf("it goes on, but is said to be %+v", members[paused.Name])
		}
		return nil
	})

	// The leader is cut off: two elect another in a higher term, it can't read.
	lead = cluster.Leader()
	cluster.Isolate(lead)
	drive.Eventually(t, func() error {
		c, members := inspect()
		old := members[lead.Name]
		if c.Leader == lead.ID || c.Leader == "" || old.Healthy || old.Leader || !old.Reachable || old.Reason == "" {
			return fmt.Errorf("%s is cut off: %+v", lead.ID, c)
		}
		return nil
	})
	cluster.Heal()
	lead.Kill()
	drive.Eventually(t, func() error {
		_, members := inspect()
		if m := members[lead.Name]; m.Reachable || !strings.Contains(m.Reason, "refused") {
			return fmt.Errorf("it is killed, but is said to be %+v", m)
		}
		return nil
	})
}
