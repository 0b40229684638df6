package supervisor

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// keptLines is how many lines are kept of each module: for the report after
// a crash, and for who asks.
const keptLines = 200

// A tail holds a module's last lines. Safe for concurrent use.
type tail struct {
	mu    sync.Mutex    // guards the rest
	lines []LogLine     // oldest first
	added uint64        // how many there ever were
	over  bool          // nothing will come any more
	more  chan struct{} // closed when something of this changes; nil until it is asked for
}

func (t *tail) add(level, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == keptLines {
		t.lines = slices.Delete(t.lines, 0, 1)
	}
	t.lines = append(t.lines, LogLine{Time: time.Now(), Level: level, Text: text})
	t.added++
	t.changed()
}

// note adds what has become of the module; pid is 0 without a process.
func (t *tail) note(state State, pid int, reason string) {
	text := fmt.Sprintf("module state: state=%s", state)
	level := "info"
	if pid != 0 {
		text += fmt.Sprintf(" pid=%d", pid)
	}
	if reason != "" {
		text += fmt.Sprintf(" reason=%q", reason)
		level = "warn"
	}
	t.add(level, text)
}

// end lets those who follow come to their end.
func (t *tail) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.changed()
}

// changed wakes who follows. Called with mu held.
func (t *tail) changed() {
	if t.more != nil {
		close(t.more)
		t.more = nil
	}
}

func (t *tail) last() []LogLine {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lines)
}

// follow gives f the lines that there are and those that come.
func (t *tail) follow(ctx context.Context, f func([]LogLine) error) error {
	var next uint64
	for first := true; ; first = false {
		lines, missed, more, over := t.since(&next)
		if missed > 0 && !first {
			lines = slices.Insert(lines, 0, LogLine{Time: time.Now(), Level: "warn", Text: fmt.Sprintf("%d lines were not read in time and are missing here", missed)})
		}
		if len(lines) > 0 || first {
			if err := f(lines); err != nil {
				return err
			}
		}
		if over {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil
		}
	}
}

// since returns a copy of the lines from next on, which it moves behind them,
// and how many of those are no longer kept.
func (t *tail) since(next *uint64) (lines []LogLine, missed uint64, more <-chan struct{}, over bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	oldest := t.added - uint64(len(t.lines))
	if *next < oldest {
		missed, *next = oldest-*next, oldest
	}
	lines = slices.Clone(t.lines[*next-oldest:])
	*next = t.added
	if t.more == nil {
		t.more = make(chan struct{})
	}
	return lines, missed, t.more, t.over
}
