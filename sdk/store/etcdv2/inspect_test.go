package etcdv2_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/etcdv2"
)

func TestStore_InspectWithoutEtcd(t *testing.T) {
	s := open(t, etcdv2.Config{Endpoints: []string{"http://127.0.0.1:1"}})
	if _, err := s.Inspect(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Inspect = %v, want ErrUnavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Inspect(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Inspect = %v, want the context's error", err)
	}
}

// cannedMember answers as a member would, by path; what is not there is 404.
func cannedMember(t *testing.T, answers map[string]string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := answers[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if text == "silent" {
			io.Copy(io.Discard, r.Body) //nolint:errcheck // else nobody looks whether the client is there
			<-r.Context().Done()
			return
		}
		io.WriteString(w, text) //nolint:errcheck // the test sees
	}))
	t.Cleanup(srv.Close)
	answers["/v2/members"] = fmt.Sprintf(`{"members": [{"id": "a0", "name": "one", "clientURLs": [%q]}, {"id": "b", "name": "two", "clientURLs": []}, {"id": "c", "name": "three", "clientURLs": []}]}`, srv.URL)
	return srv.URL
}

// 64-bit numbers are strings in the gateway's JSON, alarms a text of it.
func TestStore_InspectReadsAlarms(t *testing.T) {
	url := cannedMember(t, map[string]string{
		"/v3/maintenance/status": `{"header": {"cluster_id": "18446744073709551615", "member_id": "160", "raft_term": "3"}, "version": "3.5.35",
			"dbSize": "20480", "leader": "160", "raftIndex": "9007199254740993", "raftTerm": "3", "raftAppliedIndex": "9007199254740992",
			"errors": ["memberID:160 alarm:NOSPACE ", "memberID:11 alarm:CORRUPT "], "dbSizeInUse": "16384"}`,
		"/v3/kv/range":    `{}`,
		"/v2/stats/self":  `{"id": "a0", "state": "StateLeader", "leaderInfo": {"leader": "a0", "startTime": "2026-01-02T03:04:05Z"}}`,
		"/v2/stats/store": `{"getsSuccess": 1, "compareAndDeleteFail": 2, "expireCount": 3, "watchers": 4}`,
		"/v2/stats/leader": `{"leader": "a0", "followers": {
			"b": {"latency": {"current": 1.5, "average": 2, "standardDeviation": 0.5, "minimum": 1, "maximum": 4}, "counts": {"fail": 7, "success": 9}},
			"c": {"latency": {"minimum": 9223372036854775808}, "counts": {"fail": 1, "success": 0}}}}`,
	})
	c, err := open(t, etcdv2.Config{Endpoints: []string{url}}).Inspect(t.Context())
	if err != nil || len(c.Members) != 3 {
		t.Fatalf("Inspect = %+v, %v", c, err)
	}
	if c.ID != "ffffffffffffffff" || c.Leader != "a0" || !c.LeaderSince.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("condition %+v", c)
	}
	if want := []store.Alarm{{Member: "a0", Type: "NOSPACE"}, {Member: "b", Type: "CORRUPT"}}; fmt.Sprint(c.Alarms) != fmt.Sprint(want) {
		t.Errorf("alarms %+v, want %+v", c.Alarms, want)
	}
	one, three, two := c.Members[0], c.Members[1], c.Members[2]
	if one.Healthy || !one.Reachable || one.Reason != "alarm NOSPACE" || one.Index != 9007199254740993 || one.Applied != 9007199254740992 ||
		one.Term != 3 || one.DBSize != 20480 || one.DBInUse != 16384 || one.Version != "3.5.35" {
		t.Errorf("member %+v", one)
	}
	if want := (store.StoreStats{GetSuccess: 1, CompareAndDeleteFail: 2, Expired: 3, Watchers: 4}); one.Store != want {
		t.Errorf("counted %+v, want %+v", one.Store, want)
	}
	if two.Reachable || two.Role != store.RoleUnknown || !strings.Contains(two.Reason, "client URL") {
		t.Errorf("member %+v", two)
	}
	want := store.PeerStats{Current: 1500 * time.Microsecond, Average: 2 * time.Millisecond, StdDev: 500 * time.Microsecond,
		Min: time.Millisecond, Max: 4 * time.Millisecond, Successes: 9, Failures: 7}
	if two.Peer == nil || *two.Peer != want {
		t.Errorf("peer %+v, want %+v", two.Peer, want)
	}
	if want := (store.PeerStats{Failures: 1}); three.Peer == nil || *three.Peer != want {
		t.Errorf("peer %+v, want %+v", three.Peer, want)
	}
}

func TestStore_InspectWithoutGateway(t *testing.T) {
	url := cannedMember(t, map[string]string{
		"/health":        `{"health": "true"}`,
		"/version":       `{"etcdserver": "3.4.30"}`,
		"/v2/stats/self": `{"id": "a0", "state": "StateFollower", "leaderInfo": {"leader": "b"}}`,
	})
	c, err := open(t, etcdv2.Config{Endpoints: []string{url}}).Inspect(t.Context())
	if err != nil || c.Leader != "b" || !c.LeaderSince.IsZero() {
		t.Fatalf("Inspect = %+v, %v", c, err)
	}
	if m := c.Members[0]; !m.Reachable || !m.Healthy || m.Role != store.RoleFollower || m.Version != "3.4.30" || !strings.Contains(m.Reason, "no term") {
		t.Errorf("member %+v", m)
	}
}

func TestStore_InspectKnowsNoLeader(t *testing.T) {
	url := cannedMember(t, map[string]string{
		"/v3/maintenance/status": `{"header": {"member_id": "160"}, "raftTerm": "3", "errors": ["etcdserver: no leader"]}`,
		"/v2/stats/self":         `{"id": "a0", "state": "StateFollower", "leaderInfo": {"leader": "b"}}`,
		"/v3/kv/range":           "silent", // it would wait for one
	})
	c, err := open(t, etcdv2.Config{Endpoints: []string{url}}).Inspect(t.Context())
	if err != nil || c.Leader != "" || len(c.Alarms) != 0 {
		t.Fatalf("Inspect = %+v, %v", c, err)
	}
	if m := c.Members[0]; m.Role != store.RoleCandidate || !m.Reachable || m.Healthy || m.Reason != "it can't read: it knows no leader" {
		t.Errorf("member %+v", m)
	}
}

// A member may give an address that leads to another etcd from here.
func TestStore_InspectIgnoresAnotherCluster(t *testing.T) {
	answers := map[string]string{
		"/v3/maintenance/status": `{"header": {"cluster_id": "1", "member_id": "160"}, "leader": "160", "raftTerm": "3"}`,
		"/v3/kv/range":           `{}`,
		"/v2/stats/self":         `{"id": "a0", "state": "StateLeader", "leaderInfo": {"leader": "a0"}}`,
	}
	url := cannedMember(t, answers)
	other := cannedMember(t, map[string]string{
		"/v3/maintenance/status": `{"header": {"cluster_id": "2", "member_id": "255"}, "leader": "255", "raftTerm": "9", "errors": ["memberID:255 alarm:NOSPACE "]}`,
		"/v3/kv/range":           `{}`,
		"/v2/stats/self":         `{"id": "ff", "state": "StateLeader", "leaderInfo": {"leader": "ff"}}`,
	})
	answers["/v2/members"] = fmt.Sprintf(`{"members": [{"id": "a0", "name": "one", "clientURLs": [%q]}, {"id": "b", "name": "two", "clientURLs": [%[1]q]}]}`, other)
	c, err := open(t, etcdv2.Config{Endpoints: []string{url}}).Inspect(t.Context())
	if err != nil || len(c.Members) != 2 {
		t.Fatalf("Inspect = %+v, %v", c, err)
	}
	if m := c.Members[1]; m.Reachable || !strings.Contains(m.Reason, "another etcd") {
		t.Errorf("member %+v", m)
	}
	if m := c.Members[0]; c.ID != "1" || c.Leader != "a0" || len(c.Alarms) != 0 || !m.Reachable || m.Role != store.RoleLeader || !m.Leader {
		t.Errorf("Inspect = %+v", c)
	}
}
