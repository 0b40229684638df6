package lines

import (
	"slices"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/queue"
)

// How many endings a history keeps: of one line, so that a busy one does not
// displace all others, and of all.
const (
	mostOfLine = 100
	mostOfAll  = 2000
)

// A history keeps how holders ended, and who was taken out of a line by force.
// Those who left while they waited are no hand-over, and may be thousands.
type history struct {
	began time.Time

	mu      sync.Mutex // guards what follows
	last    int64      // number of the latest ending
	missed  int        // endings that the views were too slow for
	endings []Ending   // oldest first
	of      map[lineKey]int
	wake    chan struct{} // closed when there is more
}

// A lineKey names a line of a board.
type lineKey struct{ module, name string }

func newHistory(began time.Time) history {
	return history{began: began, of: make(map[lineKey]int), wake: make(chan struct{})}
}

// add takes endings of the lines of a module.
func (h *history) add(module string, endings []queue.Ending, missed int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.last
	for _, e := range endings {
		if e.Place.Held || e.Reason == queue.EndForced {
			h.keep(module, e)
		}
	}
	h.missed += missed
	if h.last > before || missed > 0 {
		close(h.wake)
		h.wake = make(chan struct{})
	}
}

// keep adds one, and forgets what is too much. The mutex is held.
func (h *history) keep(module string, e queue.Ending) {
	h.last++
	key := lineKey{module, e.Line}
	h.endings = append(h.endings, endingOf(h.last, module, e))
	h.of[key]++
	if h.of[key] > mostOfLine {
		h.forget(slices.IndexFunc(h.endings, func(e Ending) bool { return e.key() == key }))
	}
	if len(h.endings) > mostOfAll {
		h.forget(0)
	}
}

func (h *history) forget(i int) {
	key := h.endings[i].key()
	h.endings = slices.Delete(h.endings, i, i+1)
	if h.of[key]--; h.of[key] == 0 {
		delete(h.of, key)
	}
}

// after returns the endings with numbers above n, how many were missed in all,
// and a channel that is closed when there is more.
func (h *history) after(n int64) (list []Ending, missed int, more <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i, _ := slices.BinarySearchFunc(h.endings, n+1, func(e Ending, n int64) int { return int(e.Number - n) })
	return slices.Clone(h.endings[i:]), h.missed, h.wake
}
