package main

import (
	"context"
	"net/http"
	"time"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/cluster"
	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/store"
)

// A clusterArea is the area of etcd's members.
type clusterArea struct {
	background
	env   *sdk.Env
	watch *cluster.Watch // nil without the privilege
}

func newClusterArea(env *sdk.Env, hub *live.Hub) *clusterArea {
	a := &clusterArea{env: env}
	if env.Cluster != nil {
		a.watch = &cluster.Watch{Inspector: env.Cluster, Streams: hub.Streams}
		a.start(a.watch.Run)
	}
	return a
}

func (a *clusterArea) routes(*http.ServeMux) {}

func (a *clusterArea) source(name, arg string) live.Source {
	if name != "members" {
		return nil
	}
	if a.watch == nil {
		return live.Never(lacks(a.env, sdk.PrivilegeCluster))
	}
	return whole(func(context.Context) (any, live.Changes, error) {
		s, changed := a.watch.State()
		if s.Err != nil || s.Condition.At.IsZero() {
			return nil, live.Changes{changed}, s.Err
		}
		return membersOf(s.Condition), live.Changes{changed}, nil
	})
}

// state is what is known of the members, and a channel that is closed when that
// changes. Without the privilege nothing ever is.
func (a *clusterArea) state() (cluster.State, <-chan struct{}) {
	if a.watch == nil {
		return cluster.State{Writes: -1}, nil
	}
	return a.watch.State()
}

// writes returns the writes a second, negative if that is not known.
func (a *clusterArea) writes() float64 {
	s, _ := a.state()
	return s.Writes
}

// members is the topic members. What may have 64 bits is text.
type members struct {
	At          int64             `json:"at"` // Unix milliseconds
	ID          string            `json:"id"`
	Leader      string            `json:"leader"`      // id; "" if there is none
	LeaderSince int64             `json:"leaderSince"` // Unix milliseconds; 0 if it does not say
	Bounds      cluster.Bounds    `json:"bounds"`
	Findings    []cluster.Finding `json:"findings"` // of the cluster as a whole
	Members     []member          `json:"members"`
}

type member struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	PeerURLs   []string   `json:"peerURLs"`
	ClientURLs []string   `json:"clientURLs"`
	Reachable  bool       `json:"reachable"`
	Reason     string     `json:"reason"`
	Answered   float64    `json:"answered"` // milliseconds
	Version    string     `json:"version"`
	Role       store.Role `json:"role"`
	Term       uint64     `json:"term,string"`
	Index      uint64     `json:"index,string"`
	Applied    uint64     `json:"applied,string"`
	DBSize     int64      `json:"dbSize"`
	DBInUse    int64      `json:"dbInUse"`
	Alarms     []string   `json:"alarms"`
	Peer       *peer      `json:"peer"` // as the leader sees it; null for itself
	Store      []figure   `json:"store"`
	cluster.Verdict
}

// peer is what the leader counts; times are milliseconds.
type peer struct {
	Current   float64 `json:"current"`
	Average   float64 `json:"average"`
	Min       float64 `json:"min"`
	Max       float64 `json:"max"`
	StdDev    float64 `json:"stdDev"`
	Successes uint64  `json:"successes,string"`
	Failures  uint64  `json:"failures,string"`
}

// figure is one pair of the v2 store's counters.
type figure struct {
	Name    string `json:"name"`
	Success uint64 `json:"success,string"`
	Fail    uint64 `json:"fail,string"`
}

func membersOf(c store.Condition) members {
	verdicts, whole := cluster.Judge(c)
	m := members{At: c.At.UnixMilli(), ID: c.ID, Leader: c.Leader, LeaderSince: unix(c.LeaderSince), Bounds: cluster.Limits,
		Findings: append([]cluster.Finding{}, whole...), Members: []member{}}
	for i, one := range c.Members {
		m.Members = append(m.Members, memberOf(one, c.Alarms, verdicts[i]))
	}
	return m
}

func memberOf(m store.MemberCondition, alarms []store.Alarm, v cluster.Verdict) member {
	out := member{ID: m.ID, Name: cluster.Name(m.Member), PeerURLs: append([]string{}, m.PeerURLs...), ClientURLs: append([]string{}, m.ClientURLs...),
		Reachable: m.Reachable, Reason: m.Reason, Answered: cluster.Milliseconds(m.Answered), Version: m.Version, Role: m.Role,
		Term: m.Term, Index: m.Index, Applied: m.Applied, DBSize: m.DBSize, DBInUse: m.DBInUse, Alarms: []string{}, Store: figures(m.Store), Verdict: v}
	for _, a := range alarms {
		if a.Member == m.ID {
			out.Alarms = append(out.Alarms, a.Type)
		}
	}
	if p := m.Peer; p != nil {
		ms := cluster.Milliseconds
		out.Peer = &peer{ms(p.Current), ms(p.Average), ms(p.Min), ms(p.Max), ms(p.StdDev), p.Successes, p.Failures}
	}
	return out
}

func figures(s store.StoreStats) []figure {
	return []figure{
		{"gets", s.GetSuccess, s.GetFail},
		{"sets", s.SetSuccess, s.SetFail},
		{"creates", s.CreateSuccess, s.CreateFail},
		{"updates", s.UpdateSuccess, s.UpdateFail},
		{"deletes", s.DeleteSuccess, s.DeleteFail},
		{"swaps", s.CompareAndSwapSuccess, s.CompareAndSwapFail},
		{"guardedDeletes", s.CompareAndDeleteSuccess, s.CompareAndDeleteFail},
		{"expired", s.Expired, 0},
		{"watchers", s.Watchers, 0},
	}
}

// unix is t in Unix milliseconds; 0 for no time.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
