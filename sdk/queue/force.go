package queue

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

const (
	// forcedTTL is how long a word about a place that was forced stays, for
	// views that are out of touch meanwhile.
	forcedTTL = time.Hour

	// forcedWithin is how long after such a word an end counts as forced: who
	// wrote it may have got no further.
	forcedWithin = time.Minute
)

// A forcedWord is left in the store, as f/<index>-<nonce>, by who removes a
// place by force, before it does.
type forcedWord struct {
	By    string `json:"by"`    // who
	Line  string `json:"line"`  // its name; information only
	Nonce string `json:"nonce"` // makes it unique

	index store.Revision
	key   string
	seen  time.Time // by our clock
}

// Force removes the place with the index of seen from the line, if it still is
// what seen says: one that holds, whose client is not told, or one that waits,
// whose requests end with [ErrRemoved]. The next one gets its turn as after a
// release. By says who does it: every view, also those of other hosts, tells of an
// ending that was forced, and by whom.
//
// [store.ErrChanged] if it holds by now and waited, or the other way round: who
// orders a waiter out must not take the lock from a holder. [ErrNotInLine] if the
// line has no such index, even if its owner has another place there by now.
// Nothing is changed then. [store.ErrUnavailable] and ctx's error: it may be
// removed or not.
func (v *View) Force(ctx context.Context, name string, seen Place, by string) error {
	e, err := v.standing(ctx, name, seen)
	if err != nil {
		return err
	}
	w := forcedWord{By: by, Line: name, Nonce: rand.Text()}
	b, err := json.Marshal(w)
	if err != nil {
		return err
	}
	word, err := v.store.Create(ctx, forcedDir+"/"+strconv.FormatUint(uint64(seen.Index), 10)+"-"+w.Nonce, string(b), forcedTTL)
	if err != nil {
		return err
	}
	err = v.removeStanding(ctx, e, seen)
	if err == nil || unknown(err) && !errors.Is(err, ErrNotInLine) {
		return err // the word counts for a minute only, should nothing have come of it
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	v.store.Delete(late, word) //nolint:errcheck // it says nothing of anybody who is there
	return err
}

// removeStanding deletes e. What was written to it meanwhile, as by a renewal, is
// no obstacle as long as the place still is what seen says.
func (v *View) removeStanding(ctx context.Context, e store.Entry, seen Place) error {
	for {
		err := v.store.Delete(ctx, e)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return notInLine(seen.Index)
		case !errors.Is(err, store.ErrChanged):
			return err
		}
		if e, err = v.read(ctx, e.Key, seen); err != nil {
			return err
		}
	}
}

func notInLine(index store.Revision) error {
	return fmt.Errorf("%s: %w", Target{Index: index}, ErrNotInLine)
}

// standing returns the entry of a place as it is in the store, if it still is
// what seen says. Where it is the view knows, which may be old, or a listing.
func (v *View) standing(ctx context.Context, name string, seen Place) (store.Entry, error) {
	dir := lineDir(name)
	if key, ok := v.shownKey(dir, seen.Index); ok {
		return v.read(ctx, key, seen)
	}
	list, err := v.store.List(ctx, dir, store.Linearizable)
	if err != nil {
		return store.Entry{}, err
	}
	i := slices.IndexFunc(list.Entries, func(e store.Entry) bool { return e.Created == seen.Index })
	if i < 0 {
		return store.Entry{}, notInLine(seen.Index)
	}
	return list.Entries[i], still(list.Entries[i], seen)
}

// read is standing for a key.
func (v *View) read(ctx context.Context, key string, seen Place) (store.Entry, error) {
	e, err := v.store.Get(ctx, key, store.Linearizable)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return e, notInLine(seen.Index)
	case err != nil:
		return e, err
	}
	return e, still(e, seen)
}

// still returns an error if e is not of the place seen, or is not what that was.
// It goes by what the entry says and not by who is first: one that was made held
// beside another one holds without a further write when that is gone.
func still(e store.Entry, seen Place) error {
	holds := decode(e, time.Now()).rec.State == held
	switch {
	case e.Created != seen.Index:
		return notInLine(seen.Index)
	case holds && !seen.Held:
		return fmt.Errorf("%s: holds by now: %w", Target{Index: seen.Index}, store.ErrChanged)
	case !holds && seen.Held:
		return fmt.Errorf("%s: does not hold any more, but waits: %w", Target{Index: seen.Index}, store.ErrChanged)
	}
	return nil
}

func (v *View) shownKey(dir string, index store.Revision) (string, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	l := v.lines[dir]
	if l == nil {
		return "", false
	}
	i, ok := l.find(index)
	if !ok {
		return "", false
	}
	return l.items[i].entry.Key, true
}

// applyWord brings the change of a word into the view. The mutex is held.
func (v *View) applyWord(ev store.Event, now time.Time) {
	w, ok := readWord(ev.Entry, now)
	if !ok {
		return
	}
	others := slices.DeleteFunc(v.words[w.index], func(o forcedWord) bool { return o.key == w.key })
	if ev.Type == store.EventPut {
		others = append(others, w)
	}
	v.words[w.index] = others
	if len(others) == 0 {
		delete(v.words, w.index)
	}
}

// readWord is what e says; false if it is none of ours.
func readWord(e store.Entry, now time.Time) (w forcedWord, ok bool) {
	index, _, _ := strings.Cut(strings.TrimPrefix(e.Key, forcedDir+"/"), "-")
	n, err := strconv.ParseUint(index, 10, 64)
	if errors.Join(err, json.Unmarshal([]byte(e.Value), &w)) != nil {
		return w, false
	}
	w.index, w.key, w.seen = store.Revision(n), e.Key, now
	if e.TTL > 0 {
		w.seen = now.Add(e.TTL - forcedTTL)
	}
	return w, true
}
