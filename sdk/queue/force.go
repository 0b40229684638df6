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

// Force removes the place with that index from the line, whoever it is of: the
// holder, whose client is not told, or one that waits, whose requests end with
// [ErrRemoved]. The next one gets its turn as after a release. By says who does
// it: every view, also those of other hosts, tells of an ending that was forced,
// and by whom.
//
// [ErrNotInLine] if the line has no such index, even if its owner has another
// place there by now; nothing is changed then. [store.ErrUnavailable] and ctx's
// error: it may be removed or not.
func (v *View) Force(ctx context.Context, name string, index store.Revision, by string) error {
	key, err := v.keyOf(ctx, name, index)
	if err != nil {
		return err
	}
	w := forcedWord{By: by, Line: name, Nonce: rand.Text()}
	b, err := json.Marshal(w)
	if err != nil {
		return err
	}
	word, err := v.store.Create(ctx, forcedDir+"/"+strconv.FormatUint(uint64(index), 10)+"-"+w.Nonce, string(b), forcedTTL)
	if err != nil {
		return err
	}
	err = v.store.DeleteCreation(ctx, key, index)
	if err == nil || unknown(err) {
		return err // the word counts for a minute only, should nothing have come of it
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	v.store.Delete(late, word) //nolint:errcheck // it says nothing of anybody who is there
	return notInLine(index)
}

func notInLine(index store.Revision) error {
	return fmt.Errorf("%s: %w", Target{Index: index}, ErrNotInLine)
}

// keyOf finds the entry with that index: in the view, which may be old, or in
// the store.
func (v *View) keyOf(ctx context.Context, name string, index store.Revision) (string, error) {
	dir := lineDir(name)
	if key, ok := v.shownKey(dir, index); ok {
		return key, nil
	}
	list, err := v.store.List(ctx, dir, store.Linearizable)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(list.Entries, func(e store.Entry) bool { return e.Created == index })
	if i < 0 {
		return "", notInLine(index)
	}
	return list.Entries[i].Key, nil
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
