package supervisor

import (
	"slices"
	"sync"
	"time"
)

// keptEnds is how many ends of a module's processes are kept for who asks.
const keptEnds = 20

// A past holds how a module's processes ended. Safe for concurrent use.
type past struct {
	mu   sync.Mutex // guards ends
	ends []End      // oldest first
}

func (p *past) add(e End) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.Time = time.Now()
	p.ends = append(p.ends, e)
	p.ends = slices.Delete(p.ends, 0, max(0, len(p.ends)-keptEnds))
}

func (p *past) all() []End {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.ends)
}

// Ends returns how the latest processes of a module ended, at most 20, oldest
// first; nil for an unknown module.
func (s *Supervisor) Ends(name string) []End {
	if m := s.module(name); m != nil {
		return m.past.all()
	}
	return nil
}
