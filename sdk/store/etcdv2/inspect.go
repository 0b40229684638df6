package etcdv2

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

var _ store.Inspector = (*Store)(nil)

// inspectTime is what a member has for its answers.
const inspectTime = 2 * time.Second

// Inspect implements [store.Inspector]. It asks at the addresses that the members
// give and at the configured ones, since either may not be reachable from here,
// and writes nothing into raft's log. Sources: /v2/members, /v2/stats, and of the
// v3 API's JSON gateway maintenance/status and kv/range; etcd that was started
// with --enable-grpc-gateway=false has no terms, sizes and alarms to tell.
func (s *Store) Inspect(ctx context.Context) (store.Condition, error) {
	at := time.Now().Round(0)
	members, err := s.listAnywhere(ctx)
	if err != nil {
		return store.Condition{}, wrap(ctx, "inspect", "the cluster", err)
	}
	urls := s.addresses(members)
	reports := make([]*report, len(urls))
	var wg sync.WaitGroup
	for i, url := range urls {
		wg.Go(func() { reports[i] = s.inspect(ctx, url) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return store.Condition{}, wrap(ctx, "inspect", "the cluster", ctx.Err())
	}
	c := condition(members, reports)
	c.At = at
	return c, nil
}

// listAnywhere lists the members as the first endpoint does that answers.
func (s *Store) listAnywhere(ctx context.Context) ([]store.Member, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	type answer struct {
		members []store.Member
		err     error
	}
	answers := make(chan answer, len(s.endpoints))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, ep := range s.endpoints {
		wg.Go(func() {
			list, err := ep.members.List(ctx)
			if err != nil {
				err = fmt.Errorf("%s: %w", ep.url, err)
			}
			answers <- answer{membersOf(list, ""), err}
		})
	}
	var errs []error
	for range s.endpoints {
		a := <-answers
		if a.err == nil {
			return a.members, nil
		}
		errs = append(errs, a.err)
	}
	return nil, errors.Join(errs...)
}

// addresses are those to ask at, each once.
func (s *Store) addresses(members []store.Member) []string {
	var urls []string
	for _, m := range members {
		urls = append(urls, m.ClientURLs...)
	}
	for _, ep := range s.endpoints {
		urls = append(urls, ep.base)
	}
	for i, u := range urls {
		urls[i] = strings.TrimSuffix(u, "/")
	}
	slices.Sort(urls)
	return slices.Compact(urls)
}

// condition puts together what the members have said.
func condition(members []store.Member, reports []*report) store.Condition {
	var c store.Condition
	reports = slices.DeleteFunc(reports, func(r *report) bool { return r.stranger(members) })
	leads := leader(reports)
	for _, m := range members {
		mc := store.MemberCondition{Member: m, Role: store.RoleUnknown, Reason: "it has no client URL: it has not been started yet"}
		if r := of(m, reports); r != nil {
			mc = r.condition
			mc.Member = m
		} else if len(m.ClientURLs) > 0 {
			mc.Reason = "from here, another etcd answers at its client URL; start it with an --advertise-client-urls that leads to it from everywhere"
		}
		mc.Leader = leads != nil && m.ID == leads.leader
		c.Members = append(c.Members, mc)
	}
	if leads == nil {
		return c
	}
	c.Leader = leads.leader
	for _, r := range reports {
		c.ID = cmp.Or(c.ID, r.cluster)
		c.Alarms = append(c.Alarms, r.alarms...)
		if r.id == c.Leader && r.condition.Role == store.RoleLeader {
			c.LeaderSince = r.leaderSince
			for i, m := range c.Members {
				if p, ok := r.peers[m.ID]; ok {
					c.Members[i].Peer = &p
				}
			}
		}
	}
	slices.SortFunc(c.Alarms, func(a, b store.Alarm) int {
		return cmp.Or(strings.Compare(a.Member, b.Member), strings.Compare(a.Type, b.Type))
	})
	c.Alarms = slices.Compact(c.Alarms)
	return c
}

// stranger tells whether it was no member that has answered. What members give as
// their address may lead to another etcd from here: http://localhost:2379, the
// default, does so on every machine that has one.
func (r *report) stranger(members []store.Member) bool {
	return r.id != "" && !slices.ContainsFunc(members, func(m store.Member) bool { return m.ID == r.id })
}

// leader returns the report to believe about who leads: one of the highest term.
// A member that was cut off may still name the one before.
func leader(reports []*report) (best *report) {
	for _, r := range reports {
		if r.leader != "" && (best == nil || r.condition.Term > best.condition.Term) {
			best = r
		}
	}
	return best
}

// of returns the report of m: one that tells its id, or else of an address that
// is m's and doesn't answer.
func of(m store.Member, reports []*report) (silent *report) {
	for _, r := range reports {
		switch {
		case r.id == m.ID:
			return r
		case r.id == "" && slices.Contains(m.ClientURLs, r.url):
			silent = r
		}
	}
	return silent
}
