package lines

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk/queue"
)

// News are what a topic of a board sends. Those that begin anew have All; as
// long as there is More of that to come, it is not whole yet.
type News struct {
	All      bool      `json:"all,omitempty"`
	More     bool      `json:"more,omitempty"`
	Began    int64     `json:"began,omitempty"`    // with All: since when there is a history
	Lines    []Line    `json:"lines,omitempty"`    // those that have changed
	Endings  []Ending  `json:"endings,omitempty"`  // those that are new, oldest first
	Missed   int       `json:"missed,omitempty"`   // endings that nobody has seen, in all
	Contacts []Contact `json:"contacts,omitempty"` // all, if one has changed
}

// mostLines is how many lines one message has: a browser takes it between two
// pictures.
const mostLines = 1000

// Source sends all lines, the history and how true they are, and then what is
// new.
func (b *Board) Source(ctx context.Context, send func(any) error) error {
	ctx, cancel := context.WithCancel(ctx)
	f := feed{fresh: len(b.modules), lines: make(map[lineKey]Line), contacts: make([]Contact, len(b.modules)), wake: make(chan struct{}, 1)}
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	for i, m := range b.modules {
		following.Go(func() {
			m.view.Follow(ctx, func(u queue.Update) error { f.note(i, m.name, u); return rest(ctx) }) //nolint:errcheck // ctx's own
		})
	}
	var last int64
	for {
		news, ok := f.take()
		if !ok { // the history is not told before there is something that it is of
			select {
			case <-f.wake:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		var more <-chan struct{}
		news.Endings, news.Missed, more = b.history.after(last)
		if n := len(news.Endings); n > 0 {
			last = news.Endings[n-1].Number
		}
		if news.All {
			news.Began = millis(b.history.began)
		}
		if err := sendParts(news, send); err != nil {
			return err
		}
		select {
		case <-f.wake:
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendParts sends news in messages that are not too large; nothing, if there is
// nothing new.
func sendParts(news News, send func(any) error) error {
	if !news.All && len(news.Lines) == 0 && len(news.Endings) == 0 && len(news.Contacts) == 0 {
		return nil
	}
	rest := news.Lines
	for {
		n := min(len(rest), mostLines)
		news.Lines, rest = rest[:n], rest[n:]
		news.More = len(rest) > 0
		if err := send(news); err != nil || !news.More {
			return err
		}
		news = News{}
	}
}

// A feed gathers what one browser has yet to be told.
type feed struct {
	wake chan struct{} // holds one when there is something

	mu       sync.Mutex // guards what follows
	fresh    int        // modules that have not told anything yet
	begun    bool       // all has been taken
	lines    map[lineKey]Line
	contacts []Contact
	changed  bool // contacts
}

// note takes an update of the i-th module.
func (f *feed) note(i int, module string, u queue.Update) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u.All {
		f.fresh--
	}
	for _, l := range u.Lines {
		f.lines[lineKey{module, l.Name}] = lineOf(module, l)
	}
	if c := contactOf(module, u.Contact); c.Error != f.contacts[i].Error || f.contacts[i].Module == "" {
		f.contacts[i], f.changed = c, true
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// take returns what there is; false before each module has told what it has.
func (f *feed) take() (news News, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fresh > 0 {
		return news, false
	}
	news.All = !f.begun
	f.begun = true
	news.Lines = slices.SortedFunc(maps.Values(f.lines), func(a, b Line) int {
		if c := strings.Compare(a.Module, b.Module); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	clear(f.lines)
	if f.changed {
		news.Contacts = slices.Clone(f.contacts)
		f.changed = false
	}
	return news, true
}

// QueueSource sends one line with its places, anew when something about it has
// changed. Arg is "module:name"; it returns nil if there is no such module.
func (b *Board) QueueSource(arg string) live.Source {
	name, line, _ := strings.Cut(arg, ":")
	m, ok := b.module(name)
	if !ok {
		return nil
	}
	return func(ctx context.Context, send func(any) error) error {
		return m.view.Follow(ctx, func(u queue.Update) error {
			if !u.All && !slices.ContainsFunc(u.Lines, func(l queue.Line) bool { return l.Name == line }) {
				return nil
			}
			l, _ := m.view.Line(line)
			if err := send(queueOf(m.name, l)); err != nil {
				return err
			}
			return rest(ctx)
		})
	}
}
