package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/cluster"
	"github.com/etcd-modules/modhost/plugins/dashboard/internal/samples"
	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/wire"
)

func TestOverview_CountsAndConcerns(t *testing.T) {
	o := overview{Attention: []concern{}}
	o.modules([]sdk.ModuleStatus{
		{Name: "a", State: wire.Ready}, {Name: "b", State: wire.Disabled}, {Name: "c", State: wire.Disabled, Overridden: true},
		{Name: "d", State: wire.Backoff, Reason: "exit status 2"}, {Name: "e", State: wire.Failed}, {Name: "f", State: wire.Starting},
	})
	o.members(cluster.State{Condition: store.Condition{At: time.Now(), Leader: "1", LeaderSince: time.UnixMilli(5), Alarms: []store.Alarm{{Member: "2", Type: "NOSPACE"}}, Members: []store.MemberCondition{
		{Member: store.Member{ID: "1", Name: "one"}, Reachable: true, Healthy: true, Role: store.RoleLeader},
		{Member: store.Member{ID: "2", Name: "two"}, Reachable: true, Role: store.RoleFollower},
		{Member: store.Member{ID: "3", Name: "three"}},
	}}})
	if *o.Modules != (moduleCount{OK: 1, Failing: 2, Off: 2, Coming: 1}) {
		t.Errorf("modules: %+v", *o.Modules)
	}
	if *o.Members != (memberCount{Up: 2, All: 3, Alarms: 1}) || *o.Leader != (leader{"one", 5}) {
		t.Errorf("members: %+v, leader: %+v", *o.Members, *o.Leader)
	}
	var list []string
	for _, c := range o.Attention {
		list = append(list, string(c.Kind)+":"+c.Module+c.Member)
	}
	// The bad ones first, each kind in the order in which they came.
	if got, want := strings.Join(list, " "), "failed:e alarm:two unreachable:three overridden:c backoff:d thin:"; got != want {
		t.Errorf("attention: %s, want %s", got, want)
	}
}

func TestOverview_SlowOnlyIfItLasts(t *testing.T) {
	for _, tt := range []struct {
		p99  []float64
		want int
	}{
		{[]float64{500, 500}, 0},
		{[]float64{500, 20, 500}, 0},
		{[]float64{500, math.NaN(), 500}, 0},
		{[]float64{1, 500, 100, 300}, 1},
	} {
		var s samples.State
		for _, v := range tt.p99 {
			s.Samples = append(s.Samples, samples.Sample{P99: v})
		}
		o := overview{}
		o.latency(s)
		if len(o.Attention) != tt.want || tt.want == 1 && o.Attention[0].Number != 100 {
			t.Errorf("after %v: %+v", tt.p99, o.Attention)
		}
	}
}

// Numbers that may have 64 bits are text: a browser would round them.
func TestMembers_LongNumbersAreText(t *testing.T) {
	const long = math.MaxUint64
	text, err := json.Marshal(membersOf(store.Condition{At: time.Now(), Members: []store.MemberCondition{{
		Reachable: true, Term: long, Index: long, Applied: long, Peer: &store.PeerStats{Successes: long, Failures: long}, Store: store.StoreStats{SetSuccess: long},
	}}}))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), `"18446744073709551615"`); n != 6 || strings.Count(string(text), "18446744073709551615") != 6 {
		t.Errorf("%d of six numbers are text in %s", n, text)
	}
}

// Without the privilege modules nothing can be switched, and the pages of others
// have what they need.
func TestModules_WithoutPrivilege(t *testing.T) {
	m := start(t, defaults())
	for _, order := range []string{"switch", "restart"} {
		m.Send(m.NewRequest("POST", "/api/modules/"+order, strings.NewReader(`{"name":"lock"}`), "Content-Type", "application/json")).Expect(t, 403, "720")
	}
}
