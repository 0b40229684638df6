package keys

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

const (
	atATime   = 16 // writes under way
	maxFailed = 100
	reports   = 200 * time.Millisecond // between two lines of progress
)

// A Failure is something that was not done.
type Failure struct {
	Key string `json:"key"`
	Why string `json:"why"`
}

// Progress is how far a deletion is.
type Progress struct {
	Done  int `json:"done"` // entries and directories that were tried
	Total int `json:"total"`
}

// An Outcome is what has become of a deletion.
type Outcome struct {
	Progress
	End        bool      `json:"end"`        // always
	Deleted    int       `json:"deleted"`    // entries and directories
	Absent     int       `json:"absent"`     // had gone by themselves
	Failed     []Failure `json:"failed"`     // at most 100
	MoreFailed int       `json:"moreFailed"` // beyond those
	Stopped    string    `json:"stopped"`    // why the rest was not tried; "": all was
}

// Execute carries out a plan whose text was typed: it deletes the entries that
// are as they were, several at a time, and then the directories that are empty.
// It stops when ctx ends or the store is away. Now and then report is called with
// how far it is. store.ErrNotFound: there is no such plan; store.ErrInvalid:
// something else was typed.
func (x *Index) Execute(ctx context.Context, id, typed string, report func(Progress)) (*Outcome, error) {
	p, err := x.plans.take(id, typed)
	if err != nil {
		return nil, err
	}
	e := &execution{tree: x.tree}
	e.Total, e.End, e.Failed = len(p.entries)+len(p.dirs), true, []Failure{}
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		defer close(done)
		e.entries(ctx, p.entries)
		e.dirs(ctx, p.dirs)
	})
	defer running.Wait()
	ticks := time.NewTicker(reports)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			e.mu.Lock()
			now := e.Progress
			e.mu.Unlock()
			report(now)
		case <-done:
			return &e.Outcome, nil
		}
	}
}

// An execution is one under way.
type execution struct {
	tree store.Tree
	mu   sync.Mutex // guards Outcome
	Outcome
}

// stopped tells whether to go on.
func (e *execution) stopped(ctx context.Context) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.Stopped == "" && ctx.Err() != nil {
		e.Stopped = "the client has gone"
	}
	return e.Stopped != ""
}

// tried notes what has become of key.
func (e *execution) tried(ctx context.Context, key string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	why := ""
	switch {
	case err == nil:
		e.Deleted++
	case errors.Is(err, store.ErrNotFound):
		e.Absent++
	case errors.Is(err, store.ErrChanged):
		why = "it was changed since"
	case errors.Is(err, store.ErrNotEmpty):
		why = "it has new or hidden keys, or some that were not deleted"
	case ctx.Err() != nil:
		why = "the client has gone; it may have been deleted"
	case errors.Is(err, store.ErrUnavailable):
		why = "etcd has not answered; it may have been deleted"
		if e.Stopped == "" {
			e.Stopped = err.Error()
		}
	default:
		why = err.Error()
	}
	e.Done++
	switch {
	case why == "":
	case len(e.Failed) < maxFailed:
		e.Failed = append(e.Failed, Failure{"/" + key, why})
	default:
		e.MoreFailed++
	}
}

func (e *execution) entries(ctx context.Context, entries []target) {
	next := make(chan target)
	var running sync.WaitGroup
	for range min(atATime, len(entries)) {
		running.Go(func() {
			for one := range next {
				e.tried(ctx, one.key, e.delete(ctx, one))
			}
		})
	}
	for _, one := range entries {
		if e.stopped(ctx) {
			break
		}
		next <- one
	}
	close(next)
	running.Wait()
}

// delete says store.ErrChanged also of an entry that was made anew, which a plain
// PUT of the v2 API does.
func (e *execution) delete(ctx context.Context, one target) error {
	err := e.tree.Delete(ctx, store.Entry{Key: one.key, Created: one.created, Modified: one.modified})
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if _, back := e.tree.Node(ctx, one.key, store.Linearizable); !errors.Is(back, store.ErrNotFound) {
		return store.ErrChanged
	}
	return err
}

// dirs takes the deepest first.
func (e *execution) dirs(ctx context.Context, dirs []string) {
	for i := len(dirs) - 1; i >= 0 && !e.stopped(ctx); i-- {
		e.tried(ctx, dirs[i], e.tree.RemoveDir(ctx, dirs[i]))
	}
}
