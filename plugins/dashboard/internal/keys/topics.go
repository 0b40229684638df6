package keys

import (
	"context"
	"errors"
	"time"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk/store"
)

const (
	pause      = 250 * time.Millisecond  // between two changes that are sent
	maxChanges = 500                     // of a directory at once; more is a reset
	overdue    = 1500 * time.Millisecond // after its TTL ran out an entry that is still there is read again
	freshen    = 5 * time.Second         // between two looks for such in a directory
	maxFreshen = 20                      // of them at once
)

// A DirState is what the topic of a directory tells: first, and after a Reset,
// the number of its rows and their version; then Changes, each of which makes
// the next version, the last of them Seq.
type DirState struct {
	Count    *int            `json:"count,omitempty"`
	Seq      uint64          `json:"seq,omitempty"`
	Revision *store.Revision `json:"revision,string,omitempty"`
	Changes  []Change        `json:"changes,omitempty"`
	Reset    bool            `json:"reset,omitempty"`
	Gone     bool            `json:"gone,omitempty"`  // there is no such directory now
	Entry    bool            `json:"entry,omitempty"` // with Gone: it is an entry
}

// Dir is the topic of a directory.
func (x *Index) Dir(dir string) live.Source {
	return func(ctx context.Context, send func(any) error) error {
		r, path, release := x.use(dir)
		defer release()
		l := r.join(path)
		defer r.leave(l)
		var sent uint64 // version that the client has
		first, gone, entry := true, false, false
		looked := time.Now()
		for {
			why, ill := r.health.Get()
			if why != nil {
				return why
			}
			held, err := r.load(ctx, path)
			var m DirState
			var changed <-chan struct{}
			switch {
			case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrInvalid):
				m.Gone, m.Entry = true, errors.Is(err, store.ErrInvalid)
				changed = r.nextOf(l)
			case err != nil:
				return err
			default:
				m = held.news(sent, first || gone)
				changed = held.next()
				sent = held.seq
				r.mu.Unlock()
			}
			if m.Gone != gone || m.Entry != entry || first || m.Changes != nil || m.Reset {
				if err := send(m); err != nil {
					return err
				}
			}
			first, gone, entry = false, m.Gone, m.Entry
			var again <-chan time.Time
			if !gone {
				again = time.After(freshen)
			}
			if err := (live.Changes{changed, ill}).Wait(ctx, pause, again); err != nil {
				return err
			}
			if time.Since(looked) >= freshen {
				looked = time.Now()
				r.freshen(ctx, path)
			}
		}
	}
}

// news returns what a client has to be told who has version sent, or nothing.
func (l *level) news(sent uint64, all bool) DirState {
	n, revision := l.rows.n, l.revision
	whole := DirState{Count: &n, Seq: l.seq, Revision: &revision}
	if all {
		return whole
	}
	changes, ok := l.since(sent, maxChanges)
	if !ok {
		whole.Reset = true
		return whole
	}
	return DirState{Seq: l.seq, Changes: changes}
}

func (r *realm) nextOf(l *level) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.state != gone { // it has appeared since
		over := make(chan struct{})
		close(over)
		return over
	}
	return l.next()
}

// Follow is the topic of an entry or a directory.
func (x *Index) Follow(key string) live.Source {
	return func(ctx context.Context, send func(any) error) error {
		r, path, release := x.use(key)
		defer release()
		if err := r.begin(ctx); err != nil {
			return err
		}
		l := r.join(path)
		defer r.leave(l)
		n := r.look(key, x.past.ended(key))
		defer r.unlook(key, n)
		for {
			why, ill := r.health.Get()
			if why != nil {
				return why
			}
			if err := r.readNode(ctx, key, n); err != nil {
				return err
			}
			state, changed, rows, err := r.nodeState(ctx, path, n)
			if err != nil {
				return err
			}
			if err := send(state); err != nil {
				return err
			}
			var again <-chan time.Time
			if state.Node != nil && state.Node.Expires != 0 {
				// Its TTL may be extended without a word, see [store.Tree].
				again = time.After(time.Until(time.UnixMilli(state.Node.Expires)) + overdue)
			}
			if err := (live.Changes{changed, rows, ill}).Wait(ctx, pause, again); err != nil {
				return err
			}
			if state.Node != nil && state.Node.Expires != 0 && time.Since(time.UnixMilli(state.Node.Expires)) >= overdue {
				r.mu.Lock()
				n.known = false
				r.mu.Unlock()
			}
		}
	}
}

// nodeState is what the client is told, and what tells of the next: one channel
// for the node, and for a directory another for what is in it.
func (r *realm) nodeState(ctx context.Context, path string, n *watched) (s NodeState, changed, rows <-chan struct{}, err error) {
	r.mu.Lock()
	changed = n.next()
	s.Reason, s.Revision = n.reason, n.revision
	if n.node == nil || !n.node.Dir {
		defer r.mu.Unlock()
		if n.node != nil {
			s.Node = showNode(*n.node, 0)
		}
		return s, changed, nil, nil
	}
	dir := *n.node
	r.mu.Unlock()
	l, err := r.load(ctx, path)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrInvalid):
		s.Node = showNode(dir, 0) // gone in this moment, which the watch will tell
		return s, changed, nil, nil
	case err != nil:
		return s, nil, nil, err
	}
	defer r.mu.Unlock()
	s.Node, s.Revision = showNode(dir, l.rows.n), max(s.Revision, l.revision)
	return s, changed, l.next(), nil
}

func (r *realm) look(key, reason string) *watched {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.nodes[key]
	if n == nil {
		n = &watched{reason: reason}
		r.nodes[key] = n
	}
	n.users++
	return n
}

func (r *realm) unlook(key string, n *watched) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.users--; n.users == 0 && r.nodes[key] == n {
		delete(r.nodes, key)
	}
}
