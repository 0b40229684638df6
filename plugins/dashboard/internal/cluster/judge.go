package cluster

import (
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// A Level is how bad something is.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Bad  Level = "bad"
)

// worse returns the worse of two.
func worse(a, b Level) Level {
	for _, l := range []Level{Bad, Warn} {
		if a == l || b == l {
			return l
		}
	}
	return OK
}

// Bounds are from where on a member is amber or red.
type Bounds struct {
	// SlowWarn and SlowBad are milliseconds that the leader takes to send to a
	// follower: half of etcd's own heartbeat interval, and twice it.
	SlowWarn float64 `json:"slowWarn"`
	SlowBad  float64 `json:"slowBad"`

	// BehindWarn and BehindBad are entries of raft's log that are committed and
	// not applied. From the latter on etcd sends a whole snapshot.
	BehindWarn uint64 `json:"behindWarn"`
	BehindBad  uint64 `json:"behindBad"`
}

// Limits are the bounds.
var Limits = Bounds{SlowWarn: 50, SlowBad: 200, BehindWarn: 1000, BehindBad: 5000}

// A Kind names what can be wrong.
type Kind string

// What can be wrong with a member, the first ones with a Number or a Text.
const (
	Unreachable Kind = "unreachable" // Text: why
	Alarmed     Kind = "alarm"       // Text: its type
	Unhealthy   Kind = "unhealthy"   // Text: why, or empty
	Slow        Kind = "slow"        // Number: milliseconds
	Behind      Kind = "behind"      // Number: entries
	Leaderless  Kind = "leaderless"  // it knows no leader

	// And with the cluster as a whole.
	NoLeader Kind = "no-leader"
	Thin     Kind = "thin"     // one more member lost, and there is no quorum. Number: members that are up
	Versions Kind = "versions" // members are of several. Text: which
)

// A Finding is one thing that is wrong.
type Finding struct {
	Kind   Kind    `json:"kind"`
	Level  Level   `json:"level"`
	Member string  `json:"member,omitempty"` // its name, or its id if it has none; empty: the cluster
	ID     string  `json:"id,omitempty"`     // of the member
	Number float64 `json:"number,omitempty"`
	Text   string  `json:"text,omitempty"`
}

// A Verdict is how one member is.
type Verdict struct {
	Level    Level     `json:"level"`
	Findings []Finding `json:"findings"` // the worst first; not nil
	Lag      uint64    `json:"lag,string"`
}

// Judge returns how each member of c is, in the same order, and what is wrong
// with the cluster.
func Judge(c store.Condition) (verdicts []Verdict, whole []Finding) {
	head := uint64(0) // the newest entry that anybody knows to be committed
	for _, m := range c.Members {
		head = max(head, m.Index, m.Applied)
	}
	up := 0
	for _, m := range c.Members {
		v := judge(m, c.Alarms, head)
		if m.Reachable {
			up++
		}
		verdicts = append(verdicts, v)
	}
	quorum := len(c.Members)/2 + 1
	if c.Leader == "" {
		whole = append(whole, Finding{Kind: NoLeader, Level: Bad})
	} else if up < len(c.Members) && up == quorum {
		whole = append(whole, Finding{Kind: Thin, Level: Warn, Number: float64(up)})
	}
	if text, many := versions(c); many {
		whole = append(whole, Finding{Kind: Versions, Level: Warn, Text: text})
	}
	return verdicts, whole
}

func judge(m store.MemberCondition, alarms []store.Alarm, head uint64) Verdict {
	v := Verdict{Level: OK, Findings: []Finding{}}
	add := func(kind Kind, level Level, number float64, text string) {
		v.Level = worse(v.Level, level)
		v.Findings = append(v.Findings, Finding{Kind: kind, Level: level, Member: Name(m.Member), ID: m.ID, Number: number, Text: text})
	}
	if !m.Reachable {
		add(Unreachable, Bad, 0, m.Reason)
		return v
	}
	alarmed := false
	for _, a := range alarms {
		if a.Member == m.ID {
			alarmed = true
			add(Alarmed, Bad, 0, a.Type)
		}
	}
	switch {
	case m.Role == store.RoleCandidate || m.Role == store.RoleUnknown:
		add(Leaderless, Bad, 0, m.Reason)
	case !m.Healthy && !alarmed:
		add(Unhealthy, Bad, 0, m.Reason)
	}
	if head > m.Applied {
		v.Lag = head - m.Applied
	}
	switch {
	case v.Lag >= Limits.BehindBad:
		add(Behind, Bad, float64(v.Lag), "")
	case v.Lag >= Limits.BehindWarn:
		add(Behind, Warn, float64(v.Lag), "")
	}
	if m.Peer != nil {
		ms := Milliseconds(m.Peer.Current)
		switch {
		case ms >= Limits.SlowBad:
			add(Slow, Bad, ms, "")
		case ms >= Limits.SlowWarn:
			add(Slow, Warn, ms, "")
		}
	}
	return v
}

// versions returns the versions of the members that tell theirs, and whether
// there are several.
func versions(c store.Condition) (text string, many bool) {
	seen := make(map[string]bool)
	for _, m := range c.Members {
		if m.Version == "" || seen[m.Version] {
			continue
		}
		seen[m.Version] = true
		if text != "" {
			text += ", "
		}
		text += m.Version
	}
	return text, len(seen) > 1
}

// Name is what a member is called; its id before its first start.
func Name(m store.Member) string {
	if m.Name != "" {
		return m.Name
	}
	return m.ID
}

// Milliseconds is d as people read it here.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
