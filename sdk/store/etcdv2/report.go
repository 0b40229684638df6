package etcdv2

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// A report is what came back from one address.
type report struct {
	url         string
	id, cluster string // in hex; "" if it did not tell
	leader      string // in hex, as it knows; "" if there is none
	leaderSince time.Time
	alarms      []store.Alarm
	peers       map[string]store.PeerStats // by id; of the leader only
	condition   store.MemberCondition
}

// statusAnswer is that of maintenance/status. The gateway gives 64-bit numbers
// as strings, and leaves out what is zero.
type statusAnswer struct {
	Header struct {
		ClusterID uint64 `json:"cluster_id,string"`
		MemberID  uint64 `json:"member_id,string"`
	} `json:"header"`
	Version          string   `json:"version"`
	DBSize           int64    `json:"dbSize,string"`
	DBSizeInUse      int64    `json:"dbSizeInUse,string"`
	Leader           uint64   `json:"leader,string"`
	RaftIndex        uint64   `json:"raftIndex,string"`
	RaftTerm         uint64   `json:"raftTerm,string"`
	RaftAppliedIndex uint64   `json:"raftAppliedIndex,string"`
	Errors           []string `json:"errors"`
	IsLearner        bool     `json:"isLearner"`
}

// selfAnswer is that of stats/self.
type selfAnswer struct {
	ID         string `json:"id"`
	State      string `json:"state"`
	LeaderInfo struct {
		Leader    string    `json:"leader"`
		StartTime time.Time `json:"startTime"`
	} `json:"leaderInfo"`
}

// inspect asks the member at url everything at a time.
func (s *Store) inspect(ctx context.Context, url string) *report {
	ctx, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	var (
		wg                            sync.WaitGroup
		st                            statusAnswer
		self                          selfAnswer
		version                       struct{ EtcdServer string }
		counts                        storeAnswer
		peers                         leaderAnswer
		statusErr, selfErr, healthErr error
		took                          time.Duration
	)
	began := time.Now()
	led, noLeader := context.WithCancelCause(ctx)
	wg.Go(func() {
		statusErr = s.caller.json(ctx, url, "/v3/maintenance/status", "{}", &st)
		took = time.Since(began)
		if statusErr == nil && st.Leader == 0 {
			noLeader(errors.New("it knows no leader")) // a read would wait for one
		}
	})
	wg.Go(func() { selfErr = s.caller.json(ctx, url, "/v2/stats/self", "", &self) })
	wg.Go(func() {
		if healthErr = s.healthy(led, url); healthErr != nil && led.Err() != nil {
			healthErr = context.Cause(led)
		}
		noLeader(nil)
	})
	// What is missing of these is zero, and says nothing about the member.
	wg.Go(func() { s.caller.json(ctx, url, "/version", "", &version) })       //nolint:errcheck // see above
	wg.Go(func() { s.caller.json(ctx, url, "/v2/stats/store", "", &counts) }) //nolint:errcheck // see above
	wg.Go(func() { s.caller.json(ctx, url, "/v2/stats/leader", "", &peers) }) //nolint:errcheck // a follower refuses
	wg.Wait()

	r := &report{url: url, condition: store.MemberCondition{Role: store.RoleUnknown}}
	if statusErr != nil && selfErr != nil {
		r.condition.Reason = silence(selfErr)
		return r
	}
	c := &r.condition
	c.Reachable, c.Answered, c.Version = true, took, version.EtcdServer
	c.Store = store.StoreStats(counts)
	r.peers = peers.stats()
	if selfErr == nil {
		r.self(self)
	}
	if statusErr == nil {
		r.status(st)
	}
	c.Healthy = healthErr == nil && len(r.alarms) == 0
	switch {
	case healthErr != nil:
		c.Reason = "it can't read: " + silence(healthErr)
	case statusErr != nil:
		c.Reason = "no term, sizes and alarms: " + silence(statusErr)
	case len(r.alarms) > 0:
		c.Reason = "alarm " + r.alarms[0].Type
	}
	return r
}

// healthy asks for a read by the v3 API that needs a leader and most of the
// members but no entry of raft's log, or else for what etcd itself finds. An
// etcd with users refuses the read after it has found that it could be answered.
func (s *Store) healthy(ctx context.Context, url string) error {
	var ignored struct{}
	err := s.caller.json(ctx, url, "/v3/kv/range", `{"key":"AA==","limit":"1","keys_only":true}`, &ignored)
	switch status(err) {
	case 404:
		return s.caller.json(ctx, url, "/health", "", &ignored)
	case 400, 401, 403:
		return nil
	}
	return err
}

// self takes over what stats/self tells, which has no word for a candidate or a
// learner.
func (r *report) self(a selfAnswer) {
	r.id, r.leader = a.ID, a.LeaderInfo.Leader
	switch a.State {
	case "StateLeader":
		r.condition.Role, r.leaderSince = store.RoleLeader, a.LeaderInfo.StartTime
	case "StateFollower":
		r.condition.Role = store.RoleFollower
	}
}

// status takes over what maintenance/status tells, which is better.
func (r *report) status(a statusAnswer) {
	c := &r.condition
	r.id, r.cluster, r.leader = hex(a.Header.MemberID), hex(a.Header.ClusterID), ""
	c.Version, c.DBSize, c.DBInUse = a.Version, a.DBSize, a.DBSizeInUse
	c.Term, c.Index, c.Applied = a.RaftTerm, a.RaftIndex, a.RaftAppliedIndex
	switch {
	case a.Leader == 0:
		c.Role = store.RoleCandidate
	case a.Leader == a.Header.MemberID:
		c.Role = store.RoleLeader
	case a.IsLearner:
		c.Role = store.RoleLearner
	default:
		c.Role = store.RoleFollower
	}
	if a.Leader != 0 {
		r.leader = hex(a.Leader)
	}
	for _, text := range a.Errors {
		if m := alarmText.FindStringSubmatch(text); m != nil {
			id, _ := strconv.ParseUint(m[1], 10, 64) //nolint:errcheck // digits
			r.alarms = append(r.alarms, store.Alarm{Member: hex(id), Type: m[2]})
		}
	}
}

// alarmText is how maintenance/status writes an alarm among its errors. To ask
// maintenance/alarm would be an entry in raft's log.
var alarmText = regexp.MustCompile(`memberID:(\d+) +alarm:(\w+)`)

func hex(id uint64) string { return strconv.FormatUint(id, 16) }

// silence says why there is no answer.
func silence(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %v", inspectTime)
	}
	return strings.TrimSpace(err.Error())
}
