package store

import "context"

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
