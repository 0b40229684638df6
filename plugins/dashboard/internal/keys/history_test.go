package keys

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

func TestPast(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		settle()
		start := time.Now()
		time.Sleep(time.Second)
		put(t, mine, "a/b", "1", 0)
		put(t, mine, "a/b", strings.Repeat("ö", maxKept), 0)
		e := put(t, mine, "a/b", "3", 10*time.Second)
		mkdir(t, mine, "t", 5*time.Second)
		put(t, mine, "t/x", "1", 0)
		time.Sleep(20 * time.Second)
		put(t, mine, "a/b", "4", 0)
		settle()
		types := func(p Past) (all []string) {
			for _, v := range p.Versions {
				all = append(all, v.Type+" "+cut(v.Value, 3))
			}
			return all
		}
		p := x.Past("a/b")
		wantNames(t, types(p), "put 4", "expire ", "put 3", "put ö", "put 1")
		if p.Since > start.UnixMilli() || p.Bounded || p.Why == "" || p.Versions[2].Revision != e.Modified || p.Versions[2].Expires == 0 || p.Versions[1].At <= p.Versions[2].At {
			t.Errorf("past %+v", p)
		}
		if v := p.Versions[3]; !v.Truncated || v.Size != 2*maxKept || len(v.Value) != maxKept {
			t.Errorf("a long value: %d bytes of %d", len(v.Value), v.Size)
		}
		wantNames(t, types(x.Past("t/x")), "expire ", "put 1")
		wantNames(t, types(x.Past("t/none")))
		wantNames(t, types(x.Past("none")))
		// It does not seem as if nothing had happened to what is hidden.
		put(t, mine, "_hidden/k", "1", 0)
		settle()
		if p := x.Past("_hidden/k"); p.Since != 0 || len(p.Versions) > 0 || p.Why != whyHidden {
			t.Errorf("of a hidden key: %+v", p)
		}
	})
}

// Of what was there before, the last state is known, at no time.
func TestPast_Before(t *testing.T) {
	h := &history{limit: 1000}
	h.began()
	before := store.Node{Entry: store.Entry{Key: "a", Value: "0", Created: 1, Modified: 1}}
	h.add(store.TreeChange{Type: store.EventPut, Node: store.Node{Entry: store.Entry{Key: "a", Value: "1", Created: 1, Modified: 5}}, Before: &before, Revision: 5})
	h.add(store.TreeChange{Type: store.EventDelete, Node: store.Node{Entry: store.Entry{Key: "b", Value: "1", Created: 1, Modified: 2}}, Revision: 6})
	if p := h.past("a"); len(p.Versions) != 2 || p.Versions[1].At != 0 || p.Versions[1].Value != "0" || p.Versions[0].At == 0 {
		t.Errorf("%+v", p)
	}
	if p := h.past("b"); len(p.Versions) != 2 || p.Versions[1].Value != "1" || p.Versions[0].Revision != 6 {
		t.Errorf("%+v", p)
	}
	if h.ended("b") != "deleted" || h.ended("a") != "" {
		t.Error("how they ended")
	}
}

// The oldest go when there is no room.
func TestPast_Bounded(t *testing.T) {
	h := &history{limit: 10_000}
	h.began()
	for i := range 1000 {
		n := store.Node{Entry: store.Entry{Key: fmt.Sprintf("k%d", i%7), Value: strings.Repeat("x", i), Created: 1, Modified: store.Revision(i + 1)}}
		h.add(store.TreeChange{Type: store.EventPut, Node: n, Revision: n.Modified})
		if h.bytes > h.limit {
			t.Fatalf("%d bytes", h.bytes)
		}
	}
	var bytes int64
	n := 0
	for key, versions := range h.versions {
		for _, v := range versions {
			bytes += cost(key, v)
			n++
		}
	}
	if bytes != h.bytes || n != len(h.order) || n == 0 {
		t.Errorf("%d versions of %d bytes, counted %d of %d", n, bytes, len(h.order), h.bytes)
	}
	if p := h.past("k5"); !p.Bounded || len(p.Versions) == 0 || p.Versions[0].Revision != 1000 {
		t.Errorf("the latest: bounded %v, %d versions", p.Bounded, len(p.Versions))
	}
}

// What is cut off a large value is not kept by what is left of it.
func TestPast_HoldsNoMoreThanItsBound(t *testing.T) {
	const limit, size = 1 << 20, 1 << 20
	h := &history{limit: limit}
	before := heap()
	for i := range 50 {
		h.add(store.TreeChange{Type: store.EventPut, Node: store.Node{Entry: store.Entry{
			Key: fmt.Sprintf("k%d", i), Value: strings.Repeat("x", size), Modified: store.Revision(i + 1),
		}}, Revision: store.Revision(i + 1)})
	}
	if grown := heap() - before; grown > 4*limit {
		t.Errorf("%d bytes are kept, with a bound of %d", grown, limit)
	}
	runtime.KeepAlive(h)
}

// heap is how many bytes are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
