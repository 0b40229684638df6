package memory

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// makeParents makes the directories above key that are not there yet. Nobody is
// told.
func (d *db) makeParents(key string) error {
	for dir := range parents(key) {
		if d.nodes[dir] != nil {
			return fmt.Errorf("there is an entry above the key: %w", store.ErrInvalid)
		}
	}
	for dir := range parents(key) {
		if d.dirs[dir] == nil {
			d.dirs[dir] = d.newDir(dir)
		}
	}
	return nil
}

// newDir returns a directory as the next change makes it.
func (d *db) newDir(path string) *node {
	return &node{Entry: store.Entry{Key: path, Created: d.rev + 1, Modified: d.rev + 1}, dir: true}
}

func (d *db) makeDir(path string, ttl time.Duration) (store.Node, error) {
	if d.nodes[path] != nil || d.dirs[path] != nil {
		return store.Node{}, store.ErrExists
	}
	if err := d.makeParents(path); err != nil {
		return store.Node{}, err
	}
	n := d.newDir(path)
	if ttl > 0 {
		n.deadline = time.Now().Add(ttl)
		d.expireAt(n.deadline)
	}
	d.dirs[path] = n
	d.rev++
	d.changed(change{TreeChange: store.TreeChange{Type: store.EventPut, Node: n.node(), Revision: d.rev}})
	return n.node(), nil
}

// removeDir removes a directory and all that is in it.
func (d *db) removeDir(n *node, why store.EventType) {
	last, empty := n.node(), d.empty(n.Key)
	inside := func(key string, _ *node) bool { return strings.HasPrefix(key, n.Key+"/") }
	maps.DeleteFunc(d.nodes, inside)
	maps.DeleteFunc(d.dirs, inside)
	delete(d.dirs, n.Key)
	d.rev++
	d.changed(change{store.TreeChange{Type: why, Node: last, Revision: d.rev}, empty})
}

func (d *db) prune(below string) int {
	before := d.idle
	d.idle = maps.Clone(before)
	maps.DeleteFunc(d.idle, func(dir string, _ store.Revision) bool { return strings.HasPrefix(dir, below) })
	n := 0
	for path, dir := range d.dirs {
		if name, ok := strings.CutPrefix(path, below); !ok || strings.Contains(name, "/") || !d.empty(path) {
			continue
		}
		if before[path] != dir.Created {
			d.idle[path] = dir.Created
			continue
		}
		d.removeDir(dir, store.EventDelete)
		d.writes++
		n++
	}
	return n
}

func (d *db) empty(dir string) bool {
	for key := range d.nodes {
		if strings.HasPrefix(key, dir+"/") {
			return false
		}
	}
	for sub := range d.dirs {
		if strings.HasPrefix(sub, dir+"/") {
			return false
		}
	}
	return true
}

// node returns the node's state as others see it.
func (n *node) node() store.Node { return store.Node{Entry: n.entry(), Dir: n.dir} }

// hidden tells whether name, which is relative to what is listed or watched, has
// a segment that etcd hides.
func hidden(name string) bool { return strings.HasPrefix(name, "_") || strings.Contains(name, "/_") }

// parents yields the directories above key, the nearest last.
func parents(key string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i, c := range key {
			if c == '/' && !yield(key[:i]) {
				return
			}
		}
	}
}
