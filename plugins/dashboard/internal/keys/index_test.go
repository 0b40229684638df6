package keys

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// wantLevel compares rows with what the store says.
func wantLevel(t *testing.T, s *memory.Store, dir string, rows []Row, gone bool) {
	t.Helper()
	l, err := s.Level(t.Context(), dir, store.Linearizable)
	if err != nil {
		if !gone {
			t.Errorf("%q is shown, but: %v", dir, err)
		}
		return
	}
	want := []Row{}
	for _, n := range l.Nodes {
		r := newRow(n)
		want = append(want, r.shown())
	}
	if gone || !slices.Equal(rows, want) {
		t.Errorf("%q: shown (gone %v) are\n%v, there are\n%v", dir, gone, rows, want)
	}
}

func wantShown(t *testing.T, s *memory.Store, d *shownDir) {
	t.Helper()
	rows, gone, _ := d.now()
	wantLevel(t, s, d.dir, rows, gone)
}

// What pages show stays what the store has, and the counts stay true, whatever
// others do to it.
func TestIndex_FollowsEverything(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
				random := rand.New(rand.NewPCG(seed, 1))
				some := func() string {
					key := string("abc"[random.IntN(3)])
					if random.IntN(10) == 0 {
						key = "_h/" + key
					}
					for random.IntN(3) > 0 {
						key += "/" + string("abcd"[random.IntN(4)])
					}
					return key
				}
				act := func(n int) {
					for range n {
						ctx, key := t.Context(), some()
						ttl := time.Duration(max(0, random.IntN(12)-8)) * time.Second
						var err error
						switch random.IntN(8) {
						case 0, 1, 2, 3:
							_, err = mine.Put(ctx, key, fmt.Sprint(random.IntN(1000)), ttl)
						case 4:
							_, err = mine.MakeDir(ctx, key, ttl)
						case 5:
							err = mine.RemoveDir(ctx, key)
						case 6:
							var n store.Node
							if n, err = mine.Node(ctx, key, store.Local); err == nil && !n.Dir {
								err = mine.Delete(ctx, n.Entry)
							}
						case 7:
							time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
						}
						if errors.Is(err, store.ErrUnavailable) {
							t.Fatal(err)
						}
					}
				}
				act(100)
				under.SetHook(slow)
				f := follow[Counts](t, x.Counts, nil)
				var shown []*shownDir
				for _, dir := range []string{"", "a", "a/b", "b/c/d", "_h", "_h/a"} {
					s, _ := show(t, x, dir)
					shown = append(shown, s)
				}
				trouble := func() {
					switch random.IntN(6) {
					case 0:
						mine.Touch(2000) // changes are missed
					case 1: // away for a while
						under.SetHook(func(memory.Op, string) memory.Fault { return memory.Fault{Refuse: store.ErrUnavailable} })
						act(20)
						time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
						under.SetHook(slow)
					case 2:
						x.Page(t.Context(), Question{Dir: some(), Limit: 1}) //nolint:errcheck // for what it reads
					}
				}
				for round := range 6 {
					for range 10 {
						act(random.IntN(60))
						if round%2 == 0 { // else all is known before and after
							trouble()
						}
					}
					time.Sleep(time.Hour) // longer than any TTL, any pause after an error, and reading all
					for _, s := range shown {
						wantShown(t, mine, s)
					}
					counts := f.last(t)
					want := Counts{Complete: true, Limit: Limit, Since: counts.Since}
					countStore(t, mine, "", &want)
					if counts != want {
						t.Errorf("round %d: counts are %+v, want %+v", round, counts, want)
					}
				}
			})
		})
	}
}

// slow lets reads and the watch take their time, each another one, so that
// changes come before, while and after a level is read, and are told then.
func slow(op memory.Op, _ string) memory.Fault {
	later := func(most time.Duration) <-chan struct{} {
		over := make(chan struct{})
		time.AfterFunc(rand.N(most), func() { close(over) })
		return over
	}
	switch op {
	case memory.OpLevel, memory.OpNode:
		return memory.Fault{Pause: later(300 * time.Millisecond), Hold: later(300 * time.Millisecond)}
	case memory.OpWatch:
		return memory.Fault{Pause: later(500 * time.Millisecond)}
	}
	return memory.Fault{}
}

func countStore(t *testing.T, s *memory.Store, dir string, c *Counts) {
	t.Helper()
	l, err := s.Level(t.Context(), dir, store.Linearizable)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range l.Nodes {
		if n.Dir {
			c.Dirs++
			countStore(t, s, n.Key, c)
		} else {
			c.Entries++
		}
	}
}

// Missed changes are found by reading again. A few are told one by one, so that
// a page stays where it is.
func TestIndex_MissedChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		for i := range 20 {
			put(t, mine, fmt.Sprintf("a/%02d", i), "x", 0)
		}
		s, f := show(t, x, "a")
		settle()
		cut := make(chan struct{})
		under.SetHook(func(op memory.Op, _ string) memory.Fault {
			if op == memory.OpWatch {
				return memory.Fault{Pause: cut}
			}
			return memory.Fault{}
		})
		put(t, mine, "b", "wakes the watch", 0)
		synctest.Wait()
		put(t, mine, "a/055", "new", 0)
		put(t, mine, "a/07", "other", 0)
		mine.Touch(3000)
		close(cut)
		settle()
		wantShown(t, mine, s)
		if _, _, reset := s.now(); reset != 1 {
			got, _ := f.all()
			t.Errorf("%d times all anew, want the changes one by one: %+v", reset, got)
		}
		if past := x.Past("a/07"); past.Missed == 0 {
			t.Errorf("the past does not say that changes were missed: %+v", past)
		}
	})
}

// More changes at once than a page can follow are a reset.
func TestIndex_TooManyChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		put(t, mine, "a/b", "x", 0)
		s, f := show(t, x, "a")
		settle()
		late := make(chan struct{})
		under.SetHook(func(op memory.Op, _ string) memory.Fault {
			if op == memory.OpWatch {
				return memory.Fault{Pause: late}
			}
			return memory.Fault{}
		})
		put(t, mine, "wakes", "the watch", 0)
		synctest.Wait()
		for i := range maxChanges + 1 {
			put(t, mine, fmt.Sprintf("a/%04d", i), "x", 0)
		}
		close(late)
		settle()
		if got := f.last(t); !got.Reset || *got.Count != maxChanges+2 {
			t.Errorf("was told %d changes of %+v, want a reset", len(got.Changes), got)
		}
		wantShown(t, mine, s)
	})
}

// Without etcd topics say why, again and again, and go on by themselves; pages
// are answered with what is known, and say that it may be old.
func TestIndex_StoreAway(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		put(t, mine, "a/b", "x", 0)
		s, f := show(t, x, "a")
		settle()
		under.SetHook(func(memory.Op, string) memory.Fault { return memory.Fault{Refuse: store.ErrUnavailable} })
		put(t, mine, "a/c", "wakes the watch", 0)
		time.Sleep(5 * time.Second)
		if _, errs := f.all(); len(errs) < 4 {
			t.Errorf("%d errors in five seconds", len(errs))
		}
		if p := page(t, x, Question{Dir: "a"}); p.Stale == "" || p.Count != 1 {
			t.Errorf("page %+v, want what is known", p)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := x.Page(ctx, Question{Dir: "", Limit: 1}); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a page that is not known: %v", err)
		}
		under.SetHook(nil)
		time.Sleep(lastPause + 2*time.Second)
		settle()
		wantShown(t, mine, s)
		if p := page(t, x, Question{Dir: "a"}); p.Stale != "" {
			t.Errorf("page %+v is stale", p)
		}
	})
}

// What is hidden is shown when it is asked for by name, and watched only then.
func TestIndex_Hidden(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		put(t, mine, "_mod/lock/a", "1", 0)
		put(t, mine, "_mod/_deep/a/b", "1", 0)
		for dir, want := range map[string][]string{"": {}, "_mod": {"lock"}, "_mod/lock": {"a"}, "_mod/_deep": {"a"}, "_mod/_deep/a": {"b"}} {
			wantNames(t, names(page(t, x, Question{Dir: dir}).Rows), want...)
		}
		made, _ := show(t, x, "_made")
		s, _ := show(t, x, "_mod/lock")
		deep, f := show(t, x, "_mod/_deep/a")
		settle()
		wantShown(t, mine, made)
		mkdir(t, mine, "_made", 0)
		settle()
		wantShown(t, mine, made)
		if err := mine.RemoveDir(t.Context(), "_made"); err != nil {
			t.Fatal(err)
		}
		put(t, mine, "_mod/lock/b", "2", 0)
		put(t, mine, "_mod/_deep/a/c", "2", 0)
		settle()
		for _, s := range []*shownDir{made, s, deep} {
			wantShown(t, mine, s)
		}
		f.end()
		time.Sleep(linger + time.Second)
		synctest.Wait()
		x.mu.Lock()
		defer x.mu.Unlock()
		if len(x.realms) != 3 || x.realms["_mod/_deep"] != nil {
			t.Errorf("%d realms are left, want those of /, /_mod and /_made", len(x.realms))
		}
	})
}

// Without a history nothing is watched while nobody looks.
func TestIndex_IdleWithoutHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		under := memory.New(memory.AnyKey())
		var asked atomic.Int64
		under.SetHook(func(memory.Op, string) memory.Fault { asked.Add(1); return memory.Fault{} })
		x := New(under, 0)
		defer x.Close()
		put(t, under.Sub(""), "a/b", "1", 0)
		time.Sleep(time.Hour)
		if n := asked.Load(); n > 0 {
			t.Errorf("the store was asked %d times", n)
		}
		wantNames(t, names(page(t, x, Question{Dir: "a"}).Rows), "b")
		time.Sleep(linger + time.Second)
		asked.Store(0)
		put(t, under.Sub(""), "a/c", "1", 0)
		synctest.Wait()
		if asked.Load() > 0 {
			t.Error("the store is still watched")
		}
		wantNames(t, names(page(t, x, Question{Dir: "a"}).Rows), "b", "c")
		if past := x.Past("a/b"); past.Since != 0 || len(past.Versions) > 0 {
			t.Errorf("past %+v, want none", past)
		}
	})
}

// A request that outlives the module's drain is answered.
func TestIndex_AfterItsEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		put(t, mine, "a/b", "1", 0)
		page(t, x, Question{Dir: "a"})
		r, path, release := x.use("a")
		defer release()
		x.Close()
		_, err := x.Page(t.Context(), Question{Dir: "a", Limit: 10})
		wantErr(t, "a page", err, store.ErrUnavailable)
		_, err = r.load(t.Context(), path)
		wantErr(t, "a level of before", err, store.ErrUnavailable)
		err = x.Dir("_hidden")(t.Context(), func(any) error { return nil })
		wantErr(t, "a topic", err, store.ErrUnavailable)
	})
}

// Who asks for one hidden directory after another does not make etcd watch all.
func TestIndex_ManyHidden(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		realms := func() int {
			synctest.Wait()
			x.mu.Lock()
			defer x.mu.Unlock()
			return len(x.realms)
		}
		for i := range 100 {
			put(t, mine, fmt.Sprintf("_h%d/k", i), "1", 0)
			wantNames(t, names(page(t, x, Question{Dir: fmt.Sprintf("_h%d", i)}).Rows), "k")
			if n := realms(); n > 1+maxIdle {
				t.Fatalf("%d realms after %d directories", n, i+1)
			}
		}
		time.Sleep(linger)
		if n := realms(); n != 1 {
			t.Errorf("%d realms are left", n)
		}
	})
}
