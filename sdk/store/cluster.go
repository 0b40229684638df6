package store

import (
	"context"
	"time"
)

// A Cluster is a store whose members can be listed: an ability that not every
// driver has.
type Cluster interface {
	// Members returns the members of etcd's cluster as it knows them itself,
	// sorted by name. Errors: [ErrUnavailable] and ctx's.
	Members(ctx context.Context) ([]Member, error)
}

// A Member is one member of etcd's cluster.
type Member struct {
	ID         string   // as etcd prints it, in hex
	Name       string   // may be empty before its first start
	PeerURLs   []string // at which other members reach it
	ClientURLs []string // at which clients do; empty before its first start
	Leader     bool     // by what the member that was asked knows
}

// An Inspector is a cluster whose members can be asked how they are.
type Inspector interface {
	Cluster

	// Inspect asks every member, all at a time and each for two seconds at the
	// most, and returns what came back. That members don't answer is no error:
	// the condition says so. Errors: [ErrUnavailable] if nobody answers at all,
	// and ctx's.
	Inspect(ctx context.Context) (Condition, error)
}

// A Condition is how a cluster is at one moment.
type Condition struct {
	ID      string            // of the cluster, in hex
	Members []MemberCondition // sorted by name
	Alarms  []Alarm           // none: empty

	// Leader is the id of the member that leads, "" if there is none; if the
	// members differ, what one in the highest term says. LeaderSince is when it
	// began to lead, by its own clock; zero if it does not say.
	Leader      string
	LeaderSince time.Time

	At time.Time // when it was asked, by this machine's clock
}

// A MemberCondition is one member's part of a [Condition].
type MemberCondition struct {
	Member

	// Reachable says that the member has answered, and Answered how long that
	// took. Reason says why it has not, or what is wrong with its answer.
	// Without an answer everything below is zero, Role is RoleUnknown.
	Reachable bool
	Reason    string
	Answered  time.Duration

	Version string // of etcd, as 3.5.21
	Role    Role

	// Healthy says that the member serves: it has no alarm, and could agree with
	// the others on what is the latest state. Reason says why it does not.
	Healthy bool

	Term    uint64 // of raft: each election begins one
	Index   uint64 // of raft's log: the last entry that it knows to be committed
	Applied uint64 // of raft's log: the last entry that it has applied

	// DBSize is the size of the v3 API's file in bytes, and DBInUse how much of
	// it is used. What the v2 API stores is not in there, but in memory and in
	// raft's log and snapshots.
	DBSize, DBInUse int64

	// Peer is how the leader sees this follower; nil for the leader itself, and
	// if the leader does not say.
	Peer *PeerStats

	Store StoreStats
}

// A Role is the part that a member plays in raft.
type Role string

// The roles.
const (
	RoleLeader    Role = "leader"
	RoleFollower  Role = "follower"
	RoleCandidate Role = "candidate" // knows no leader, and may want to be one
	RoleLearner   Role = "learner"   // follows without a vote
	RoleUnknown   Role = "unknown"
)

// PeerStats are what the leader has counted about one follower since the leader
// was started: messages to it, and how long it took to send them.
type PeerStats struct {
	Current, Average, Min, Max, StdDev time.Duration
	Successes, Failures                uint64
}

// StoreStats count what one member has done with its copy of the v2 store since
// it was started. Writes count on every member, reads on the one that was asked.
type StoreStats struct {
	GetSuccess, GetFail                           uint64
	SetSuccess, SetFail                           uint64
	CreateSuccess, CreateFail                     uint64
	UpdateSuccess, UpdateFail                     uint64
	DeleteSuccess, DeleteFail                     uint64
	CompareAndSwapSuccess, CompareAndSwapFail     uint64
	CompareAndDeleteSuccess, CompareAndDeleteFail uint64
	Expired                                       uint64
	Watchers                                      uint64 // at the moment
}

// An Alarm is what a member has found so wrong that the cluster takes no more
// writes.
type Alarm struct {
	Member string // its id
	Type   string // as etcd names it: NOSPACE, CORRUPT
}
