package keys

import (
	"context"
	"errors"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// A Node is an entry with its value, or a directory, as the page gets it.
type Node struct {
	Key      string         `json:"key"`
	Dir      bool           `json:"dir"`
	Value    string         `json:"value"`
	Size     int            `json:"size"` // bytes of the value
	Damaged  bool           `json:"damaged"`
	Expires  int64          `json:"expires"` // Unix milliseconds, 0: never
	TTL      int64          `json:"ttl"`     // seconds left, rounded up; 0: never expires
	Created  store.Revision `json:"created,string"`
	Modified store.Revision `json:"modified,string"`
	Count    int            `json:"count"` // of a directory: how much is directly below
}

// showNode makes a Node as of now.
func showNode(n store.Node, count int) *Node {
	s := &Node{Key: "/" + n.Key, Dir: n.Dir, Value: n.Value, Size: len(n.Value), Damaged: store.Damaged(n.Value),
		Expires: millis(n.Expires), Created: n.Created, Modified: n.Modified, Count: count}
	if !n.Expires.IsZero() {
		s.TTL = int64(max(time.Second, time.Until(n.Expires)+time.Second-1) / time.Second)
	}
	return s
}

// A NodeState is what the topic of a node tells.
type NodeState struct {
	Node     *Node          `json:"node"`   // nil: it is not there
	Reason   string         `json:"reason"` // why it is not: "deleted", "expired", or "never" if it was not seen
	Revision store.Revision `json:"revision,string"`
}

// A watched node is one that somebody looks at. The realm's mu guards it.
type watched struct {
	users    int
	known    bool        // else it must be read
	node     *store.Node // nil: not there
	reason   string
	revision store.Revision
	version  int           // counts what was told
	changed  chan struct{} // closed by the next change; nil if nobody waits
}

func (n *watched) tell() {
	n.version++
	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
}

func (n *watched) forget() {
	n.known = false
	n.tell()
}

func (n *watched) next() <-chan struct{} {
	if n.changed == nil {
		n.changed = make(chan struct{})
	}
	return n.changed
}

// applyNode makes a change in the nodes that are looked at. The caller holds mu.
func (r *realm) applyNode(c store.TreeChange) {
	if len(r.nodes) == 0 {
		return
	}
	reason := "deleted"
	if c.Type == store.EventExpire {
		reason = "expired"
	}
	for key, n := range r.nodes {
		_, below := cutDir(key, c.Node.Key)
		_, above := cutDir(c.Node.Key, key)
		switch {
		case n.known && c.Revision <= n.revision:
		case key == c.Node.Key && c.Type == store.EventPut:
			state := c.Node
			n.known, n.node, n.reason, n.revision = true, &state, "", c.Revision
			n.tell()
		case key == c.Node.Key, below && c.Type != store.EventPut && c.Node.Dir:
			n.known, n.node, n.reason, n.revision = true, nil, reason, c.Revision
			n.tell()
		case above && c.Type == store.EventPut && n.known && n.node == nil:
			n.forget() // a directory that came into being by it
		}
	}
}

// Node returns an entry or a directory as it stands now.
func (x *Index) Node(ctx context.Context, key string) (*Node, error) {
	n, err := x.tree.Node(ctx, key, store.Linearizable)
	if err != nil {
		return nil, err
	}
	if !n.Dir {
		return showNode(n, 0), nil
	}
	r, path, release := x.use(key)
	defer release()
	l, err := r.load(ctx, path)
	if err != nil {
		return nil, err
	}
	defer r.mu.Unlock()
	return showNode(n, l.rows.n), nil
}

// readNode makes sure that a node is known, and returns its version.
func (r *realm) readNode(ctx context.Context, key string, n *watched) error {
	for {
		r.mu.Lock()
		known, version := n.known, n.version
		r.mu.Unlock()
		if known {
			return nil
		}
		got, err := r.tree.Node(ctx, key, store.Linearizable)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		r.mu.Lock()
		switch {
		case n.version != version: // it was told, or told to be read again
		case err != nil:
			n.known, n.node = true, nil
			if n.reason == "" {
				n.reason = "never"
			}
		default:
			n.known, n.node, n.reason, n.revision = true, &got, "", got.Modified
		}
		r.mu.Unlock()
	}
}
