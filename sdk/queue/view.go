package queue

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// A View shows the lines of a module to somebody who stands in none of them:
// who holds, who waits, and how holders ended. It writes nothing but by
// [View.Force]. Its store is that of the module which has the queue, mostly
// another one than the own.
//
// It costs one listing and one watch of all the module has in the store, and a
// small read about every second. All methods are safe for concurrent use.
type View struct {
	store store.Store

	mu        sync.Mutex                      // guards what follows
	lines     map[string]*viewLine            // by directory
	words     map[store.Revision][]forcedWord // by the index that they are about
	rev       store.Revision                  // that all of it is as of
	contact   Contact
	followers map[*follower]struct{}
}

// A Line is one lock with all who stand in line for it.
type Line struct {
	Name string

	// Places are in the order of their turn; the first one is the holder if it is
	// Held. It is never empty, but in an [Update], where it says that the line is
	// gone. It is shared with others: don't change it.
	Places []Place
}

// A Place is one entry of a line: all requests of one owner.
type Place struct {
	Index     store.Revision // of its creation: the lock's index and token
	Modified  store.Revision // of its last write
	Value     string         // the owner; "" if Anonymous
	Anonymous bool           // a request without a value
	Held      bool           // it holds the lock: it is the first, and was granted
	TTL       time.Duration  // as asked for, counted from the grant or the last renewal
	Asked     time.Time      // when it came into the line, by the clock of its host; zero if an older version has made it
	Since     time.Time      // of the grant, by the clock of the host that wrote it; zero before
	Expires   time.Time      // as of [store.Entry]; zero while it waits: then it can't expire
	Sessions  int            // how many processes wait on it, or did until the grant; at least 1 while it waits
	Renewed   bool           // since the grant
}

// An EndReason says how a place ended.
type EndReason string

// How places end. Those of holders first.
const (
	EndReleased  EndReason = "released"  // by its owner, or by a host that could not deliver the grant
	EndExpired   EndReason = "expired"   // its TTL ran out, and it was never renewed
	EndLapsed    EndReason = "lapsed"    // its TTL ran out after it had been renewed
	EndForced    EndReason = "forced"    // by View.Force; also of one that waited
	EndWithdrawn EndReason = "withdrawn" // the grant reached nobody; the place waits on for others of its owner
	EndLeft      EndReason = "left"      // it waited: its clients hung up or their time was over, or its process has ended
	EndUnseen    EndReason = "unseen"    // while the store was out of reach or faster than the view
)

// An Ending tells that a place is gone, or that it no longer holds its lock.
type Ending struct {
	Line   string // its name
	Place  Place  // as it was last seen; Held tells a holder from who waited
	Reason EndReason
	By     string    // who has forced it, as told to View.Force; else ""
	At     time.Time // when the view learned of it, by this machine's clock
	Next   *Place    // the first of the line after it; nil: nobody
}

// A Contact says how true a view is.
type Contact struct {
	Seen time.Time // when what it shows was last known to be true; zero before the first listing
	Err  error     // why that is not now; nil if it is. [store.ErrUnavailable] mostly
}

// An Update is what is new to one follower of a view.
type Update struct {
	// All says that Lines are all there are: so it is in the first update.
	All bool

	// Lines are those that have changed, sorted by name, as they are now. One
	// without places is gone.
	Lines []Line

	// Endings are in the order in which they came. Missed is how many more there
	// were before them, which the follower was too slow for.
	Endings []Ending
	Missed  int

	Contact Contact
}

// NewView returns a view of the queue that works in s. It is empty until Run.
func NewView(s store.Store) *View {
	return &View{
		store:     s,
		lines:     make(map[string]*viewLine),
		words:     make(map[store.Revision][]forcedWord),
		contact:   Contact{Err: errNotListed},
		followers: make(map[*follower]struct{}),
	}
}

var errNotListed = errors.New("not read yet")

// Lines returns all lines, sorted by name.
func (v *View) Lines() []Line {
	v.mu.Lock()
	defer v.mu.Unlock()
	return snapshots(maps.Values(v.lines), len(v.lines))
}

// Line returns the line of that name; false if nobody stands in it.
func (v *View) Line(name string) (Line, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	l := v.lines[lineDir(name)]
	if l == nil {
		return Line{Name: name}, false
	}
	return l.snapshot(), true
}

// Census counts what the view shows, without asking the store.
func (v *View) Census() Census {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := Census{Revision: v.rev}
	for _, l := range v.lines {
		c.Waiting += len(l.items)
		if l.holds(0) {
			c.Held++
			c.Waiting--
		}
	}
	return c
}

// Contact says how true the view is at this moment.
func (v *View) Contact() Contact {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.contact
}

// Follow calls f with what there is, and then again whenever something has
// changed, until ctx ends or f returns an error: it returns either. What changes
// while f runs comes together in the next update, so a follower that takes its
// time costs little, however long the lines are.
func (v *View) Follow(ctx context.Context, f func(Update) error) error {
	w := v.subscribe()
	defer v.unsubscribe(w)
	for {
		if err := f(v.take(w)); err != nil {
			return err
		}
		select {
		case <-w.news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// mostEndings is how many are kept for a follower that is behind.
const mostEndings = 1000

// A follower is one call of Follow. But for news, it is guarded by the view's
// mutex.
type follower struct {
	news    chan struct{} // holds one when there is something to take
	all     bool          // nothing was taken yet
	changed map[string]struct{}
	endings []Ending
	missed  int
}

func (v *View) subscribe() *follower {
	w := &follower{news: make(chan struct{}, 1), all: true, changed: make(map[string]struct{})}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.followers[w] = struct{}{}
	return w
}

func (v *View) unsubscribe(w *follower) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.followers, w)
}

// take returns what is new to w.
func (v *View) take(w *follower) Update {
	v.mu.Lock()
	defer v.mu.Unlock()
	u := Update{All: w.all, Endings: w.endings, Missed: w.missed, Contact: v.contact}
	if w.all {
		u.Lines = snapshots(maps.Values(v.lines), len(v.lines))
	} else {
		for dir := range w.changed {
			if l := v.lines[dir]; l != nil {
				u.Lines = append(u.Lines, l.snapshot())
			} else {
				u.Lines = append(u.Lines, Line{Name: lineName(dir)})
			}
		}
		sortLines(u.Lines)
	}
	clear(w.changed)
	w.all, w.endings, w.missed = false, nil, 0
	return u
}

// tell wakes all followers. The mutex is held.
func (v *View) tell(note func(*follower)) {
	for w := range v.followers {
		note(w)
		select {
		case w.news <- struct{}{}:
		default:
		}
	}
}

// changed notes that a line is not what it was. The mutex is held.
func (v *View) changed(dir string) {
	v.tell(func(w *follower) { w.changed[dir] = struct{}{} })
}

// ended tells of the end of a place. The mutex is held.
func (v *View) ended(e Ending) {
	v.tell(func(w *follower) {
		if len(w.endings) == mostEndings {
			w.endings = slices.Delete(w.endings, 0, mostEndings/2)
			w.missed += mostEndings / 2
		}
		w.endings = append(w.endings, e)
	})
}

// touch notes how true the view is. The mutex is held.
func (v *View) touch(c Contact) {
	before := v.contact
	v.contact = c
	if text(before.Err) != text(c.Err) {
		v.tell(func(*follower) {})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func sortLines(lines []Line) {
	slices.SortFunc(lines, func(a, b Line) int { return cmp.Compare(a.Name, b.Name) })
}
