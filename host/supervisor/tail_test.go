package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func texts(lines []LogLine) []string {
	var list []string
	for _, l := range lines {
		list = append(list, l.Text)
	}
	return list
}

func TestTail_KeepsTheLastLines(t *testing.T) {
	var tl tail
	for i := range 3 * keptLines {
		tl.add("info", fmt.Sprint(i))
	}
	got := texts(tl.last())
	if len(got) != keptLines || got[0] != "400" || got[keptLines-1] != "599" || !slices.IsSortedFunc(got, strings.Compare) {
		t.Errorf("last() = %d lines from %s to %s", len(got), got[0], got[len(got)-1])
	}
}

// Who follows is given what there is, then each line once, in order, until the
// end; who is too slow is told how much is missing.
func TestTail_Follow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tl tail
		tl.add("info", "before")
		var got []string
		goOn := make(chan struct{}, 100)
		done := make(chan error, 1)
		go func() {
			done <- tl.follow(t.Context(), func(lines []LogLine) error {
				got = append(got, texts(lines)...)
				<-goOn
				return nil
			})
		}()
		synctest.Wait()
		for i := range keptLines + 5 {
			tl.add("info", fmt.Sprint(i))
		}
		for range 100 {
			goOn <- struct{}{}
		}
		synctest.Wait()
		tl.add("info", "later")
		synctest.Wait()
		tl.end()
		if err := <-done; err != nil {
			t.Errorf("follow = %v", err)
		}
		want := []string{"before", "5 lines were not read in time and are missing here"}
		for i := range keptLines {
			want = append(want, fmt.Sprint(i+5))
		}
		if want = append(want, "later"); !slices.Equal(got, want) {
			t.Errorf("followed %q, want %q", got, want)
		}
	})
}

func TestTail_FollowEndsWithItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tl tail
		gone := errors.New("gone")
		if err := tl.follow(t.Context(), func([]LogLine) error { return gone }); err != gone {
			t.Errorf("follow = %v, want the reader's error", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- tl.follow(ctx, func([]LogLine) error { return nil }) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("follow = %v", err)
		}
	})
}
