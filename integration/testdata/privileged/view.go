package main

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/queue"
	"github.com/etcd-modules/modhost/sdk/store"
)

// A view of another module's lines, with what has ended since it was first asked
// for.
type view struct {
	*queue.View

	mu      sync.Mutex // guards what follows
	endings []queue.Ending
}

// viewOf returns the view of a module's lines, which lasts as long as the process.
func (m *module) viewOf(name string) (*view, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v := m.views[name]; v != nil {
		return v, nil
	}
	s, err := m.StoreOf(name)
	if err != nil {
		return nil, err
	}
	v := &view{View: queue.NewView(s)}
	m.views[name] = v
	go v.Run(context.Background())            //nolint:errcheck // the process ends it
	go v.Follow(context.Background(), v.note) //nolint:errcheck // likewise
	return v, nil
}

func (v *view) note(u queue.Update) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.endings = append(v.endings, u.Endings...)
	return nil
}

// shown is what GET view answers.
type shown struct {
	Lines   []queue.Line
	Endings []queue.Ending
	Seen    time.Time
	Stale   string // why it may be old; empty if it is not
}

func (m *module) view(w http.ResponseWriter, r *http.Request) {
	answer(w, func() (any, error) {
		v, err := m.viewOf(r.PathValue("module"))
		if err != nil {
			return nil, err
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		c := v.Contact()
		s := shown{Lines: v.Lines(), Endings: v.endings, Seen: c.Seen}
		if c.Err != nil {
			s.Stale = c.Err.Error()
		}
		return s, nil
	})
}

func (m *module) force(w http.ResponseWriter, r *http.Request) {
	answer(w, func() (any, error) {
		v, err := m.viewOf(r.PathValue("module"))
		if err != nil {
			return nil, err
		}
		index, err := strconv.ParseUint(r.PathValue("index"), 10, 64)
		if err != nil {
			return nil, err
		}
		line, _ := v.Line(r.PathValue("line"))
		seen := queue.Place{Index: store.Revision(index)}
		for _, p := range line.Places {
			if p.Index == seen.Index {
				seen = p
			}
		}
		return "done", v.Force(r.Context(), line.Name, seen, m.Name)
	})
}
