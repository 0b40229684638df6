package etcdv2

import (
	"context"
	"slices"
	"strings"

	"go.etcd.io/etcd/client/v2"

	"github.com/etcd-modules/modhost/sdk/store"
)

var _ store.Cluster = (*Store)(nil)

// Members implements [store.Cluster]. A cluster that has no leader at the
// moment has none in the list.
func (s *Store) Members(ctx context.Context) (list []store.Member, err error) {
	err = call(ctx, "list members of", "the cluster", func(ctx context.Context) error {
		_, err := s.read(ctx, func(ctx context.Context, ep *endpoint) (*client.Response, error) {
			members, err := ep.members.List(ctx)
			if err != nil {
				return nil, err
			}
			leader := ""
			if m, err := ep.members.Leader(ctx); err == nil && m != nil {
				leader = m.ID
			}
			list = membersOf(members, leader)
			return &client.Response{}, nil // has no index
		})
		return err
	})
	return list, err
}

func membersOf(members []client.Member, leader string) []store.Member {
	list := make([]store.Member, 0, len(members))
	for _, m := range members {
		list = append(list, store.Member{
			ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, Leader: m.ID == leader,
		})
	}
	slices.SortFunc(list, func(a, b store.Member) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	return list
}
