package main

import (
	"context"
	"math"
	"net/http"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/cluster"
	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/plugins/dashboard/internal/modules"
	"github.com/etcd-modules/modhost/plugins/dashboard/internal/samples"
	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/wire"
)

// slowStore is from where on the p99 of the stores' calls needs attention, in
// milliseconds: what etcd itself warns of. It must have been so for slowFor
// samples: one that is slow happens everywhere.
const (
	slowStore = 100
	slowFor   = 3
)

// An overviewArea is the area of the first page: what the others know, counted.
type overviewArea struct {
	cfg     Config
	heart   *heart
	cluster *clusterArea
	modules *moduleArea
}

func (a *overviewArea) routes(*http.ServeMux) {}

func (a *overviewArea) close() {}

func (a *overviewArea) source(name, arg string) live.Source {
	if name != "overview" {
		return nil
	}
	return whole(func(context.Context) (any, live.Changes, error) {
		pulse, beaten := a.heart.pulse.State()
		members, asked := a.cluster.state()
		sampled, counted := a.modules.ring.State()
		on := live.Changes{beaten, asked, counted}
		var list []sdk.ModuleStatus
		if a.modules.list != nil {
			var s modules.State
			s, on[3] = a.modules.list.State()
			list = s.Modules
		}
		o := overview{Attention: []concern{}}
		o.members(members)
		o.modules(list)
		if pulse.Why != "" {
			o.attention(concern{Finding: cluster.Finding{Kind: "store", Level: cluster.Bad, Text: pulse.Why}})
		}
		o.latency(sampled)
		o.Locks, o.Leaders = count(sampled, a.cfg.Locks), count(sampled, a.cfg.Leaders)
		return o, on, nil
	})
}

// overview is the topic. Its parts are null as long as nothing is known of them.
type overview struct {
	Members   *memberCount `json:"members"`
	Leader    *leader      `json:"leader"` // null also if there is none
	Modules   *moduleCount `json:"modules"`
	Locks     *lineCount   `json:"locks"`
	Leaders   *lineCount   `json:"leaders"`
	Attention []concern    `json:"attention"` // the worst first
}

type memberCount struct {
	Up     int `json:"up"`
	All    int `json:"all"`
	Alarms int `json:"alarms"`
}

type leader struct {
	Name  string `json:"name"`
	Since int64  `json:"since"` // Unix milliseconds; 0 if it does not say
}

type moduleCount struct {
	OK      int `json:"ok"`
	Failing int `json:"failing"`
	Off     int `json:"off"`
	Coming  int `json:"coming"` // starting or draining
}

// lineCount counts the lines of some modules, as these tell every few seconds.
type lineCount struct {
	Held    int `json:"held"`
	Waiting int `json:"waiting"` // requests
}

// A concern is something that needs attention.
type concern struct {
	cluster.Finding
	Module string `json:"module,omitempty"`
	Since  int64  `json:"since,omitempty"` // Unix milliseconds
}

// attention adds a concern behind those that are as bad.
func (o *overview) attention(c concern) {
	i := len(o.Attention)
	for c.Level == cluster.Bad && i > 0 && o.Attention[i-1].Level != cluster.Bad {
		i--
	}
	o.Attention = append(o.Attention[:i], append([]concern{c}, o.Attention[i:]...)...)
}

func (o *overview) members(s cluster.State) {
	c := s.Condition
	if c.At.IsZero() {
		return
	}
	verdicts, whole := cluster.Judge(c)
	o.Members = &memberCount{All: len(c.Members), Alarms: len(c.Alarms)}
	for i, m := range c.Members {
		if m.Reachable {
			o.Members.Up++
		}
		if m.ID == c.Leader && m.Role == store.RoleLeader {
			o.Leader = &leader{cluster.Name(m.Member), unix(c.LeaderSince)}
		}
		for _, f := range verdicts[i].Findings {
			o.attention(concern{Finding: f})
		}
	}
	for _, f := range whole {
		o.attention(concern{Finding: f})
	}
}

func (o *overview) modules(list []sdk.ModuleStatus) {
	if list == nil {
		return
	}
	o.Modules = &moduleCount{}
	for _, m := range list {
		kind, level := cluster.Kind(""), cluster.Warn
		switch m.State {
		case wire.Ready:
			o.Modules.OK++
		case wire.Disabled:
			o.Modules.Off++
		case wire.Failed:
			o.Modules.Failing++
			kind, level = "failed", cluster.Bad
		case wire.Backoff:
			o.Modules.Failing++
			kind = "backoff"
		default:
			o.Modules.Coming++
		}
		if kind == "" && m.Overridden {
			kind = "overridden"
		}
		if kind != "" {
			o.attention(concern{Finding: cluster.Finding{Kind: kind, Level: level, Text: m.Reason}, Module: m.Name, Since: unix(m.Since)})
		}
	}
}

// latency looks at the latest samples.
func (o *overview) latency(s samples.State) {
	if s.Err != nil {
		o.attention(concern{Finding: cluster.Finding{Kind: "unmeasured", Level: cluster.Warn, Text: s.Err.Error()}})
	}
	if len(s.Samples) < slowFor {
		return
	}
	least := math.Inf(1)
	for _, sample := range s.Samples[len(s.Samples)-slowFor:] {
		if !(sample.P99 >= slowStore) { // NaN, too
			return
		}
		least = min(least, sample.P99)
	}
	o.attention(concern{Finding: cluster.Finding{Kind: "slow-store", Level: cluster.Warn, Number: least}})
}

// count adds up what the modules of these names count; nil if none of them does.
func count(s samples.State, names []string) *lineCount {
	var c *lineCount
	for _, name := range names {
		held, ok := s.Held[name]
		if !ok {
			continue
		}
		if c == nil {
			c = &lineCount{}
		}
		c.Held += held
		c.Waiting += s.Waiting[name]
	}
	return c
}
