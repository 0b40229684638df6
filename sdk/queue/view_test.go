package queue

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// A watcher is a view that runs, and what a follower of it was told.
type watcher struct {
	*View
	t     *testing.T
	store *memory.Store
	stop  func()

	mu      sync.Mutex // guards what follows
	updates []Update
	lines   map[string]Line // as the follower knows them
	endings []Ending
}

// watcher starts a view. It ends with the test.
func (b *bench) watcher() *watcher {
	b.t.Helper()
	db := b.db.Sub("")
	w := &watcher{View: NewView(db), t: b.t, store: db, lines: make(map[string]Line)}
	ctx, cancel := context.WithCancel(context.Background())
	var both sync.WaitGroup
	both.Go(func() {
		if err := w.Run(ctx); err != context.Canceled {
			b.t.Errorf("Run = %v, want %v", err, context.Canceled)
		}
	})
	both.Go(func() {
		if err := w.Follow(ctx, w.note); err != context.Canceled {
			b.t.Errorf("Follow = %v, want %v", err, context.Canceled)
		}
	})
	w.stop = sync.OnceFunc(func() { cancel(); both.Wait() })
	b.t.Cleanup(w.stop)
	synctest.Wait()
	return w
}

func (w *watcher) note(u Update) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.updates = append(w.updates, u)
	w.endings = append(w.endings, u.Endings...)
	if u.All {
		clear(w.lines)
	}
	for _, l := range u.Lines {
		if w.lines[l.Name] = l; len(l.Places) == 0 {
			delete(w.lines, l.Name)
		}
	}
	return nil
}

// ended checks what has ended since the last time: "line index reason", by whom
// it was forced, and who is next.
func (w *watcher) ended(want ...string) []Ending {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var got []string
	for _, e := range w.endings {
		text := fmt.Sprintf("%s %d %s", e.Line, e.Place.Index, e.Reason)
		if !e.Place.Held {
			text += ", waited"
		}
		if e.By != "" {
			text += " by " + e.By
		}
		if e.Next != nil {
			text += fmt.Sprintf(", next %d", e.Next.Index)
		}
		got = append(got, text)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("ended: %q; want %q", got, want)
	}
	list := w.endings
	w.endings = nil
	return list
}

// places checks a line: "index value" of each, the holder with a star.
func (w *watcher) places(name string, want ...string) []Place {
	w.t.Helper()
	synctest.Wait()
	l, ok := w.Line(name)
	if ok != (len(want) > 0) || l.Name != name {
		w.t.Errorf("Line(%q) = %+v, %v", name, l, ok)
	}
	var got []string
	for _, p := range l.Places {
		text := fmt.Sprintf("%d %s", p.Index, p.Value)
		if p.Held {
			text += "*"
		}
		got = append(got, text)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("line %q: %q; want %q", name, got, want)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if told := w.lines[name]; !reflect.DeepEqual(told.Places, l.Places) && len(told.Places)+len(l.Places) > 0 {
		w.t.Errorf("the follower was told %+v of %q; want %+v", told, name, l.Places)
	}
	return l.Places
}

// index is that of the entry of a value in the line a.
func (b *bench) index(value string) store.Revision {
	b.t.Helper()
	for _, it := range b.entries("a") {
		if it.rec.Value == value {
			return it.entry.Created
		}
	}
	b.t.Fatalf("no entry of %q", value)
	return 0
}

func TestView_ShowsLinesAsTheyAre(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		early := b.watcher() // sees it all happen
		began := time.Now()
		g := b.acquire(p, hourly(b.request("a", "x", Forever))).granted()
		time.Sleep(time.Second)
		b.acquire(p, b.request("a", "y", Forever)).waiting()
		time.Sleep(time.Second)
		b.acquire(q, b.request("a", "", Forever)).waiting()
		b.acquire(q, b.request("a", "y", Forever)).waiting()
		y, none := b.entries("a")[1].entry, b.entries("a")[2].entry
		late := b.watcher() // reads it
		for _, w := range []*watcher{early, late} {
			synctest.Wait()
			l, ok := w.Line("a")
			want := Line{Name: "a", Places: []Place{
				{Index: g.Index, Modified: g.Index, Value: "x", Held: true, TTL: time.Hour, Asked: began, Since: began, Expires: began.Add(time.Hour)},
				{Index: y.Created, Modified: y.Modified, Value: "y", TTL: time.Minute, Asked: began.Add(time.Second), Sessions: 2},
				{Index: none.Created, Modified: none.Created, Anonymous: true, TTL: time.Minute, Asked: began.Add(2 * time.Second), Sessions: 1},
			}}
			if fmt.Sprint(l) != fmt.Sprint(want) || !ok {
				t.Errorf("Line = %v, %v; want\n%v", l, ok, want)
			}
			if c := w.Census(); c.Held != 1 || c.Waiting != 2 {
				t.Errorf("Census = %+v", c)
			}
		}
		b.release(p, "a", g)
		early.places("a", fmt.Sprintf("%d y*", y.Created), fmt.Sprintf("%d ", none.Created))
		late.ended(fmt.Sprintf("a %d released, next %d", g.Index, y.Created))
		if p := early.places("a", fmt.Sprintf("%d y*", y.Created), fmt.Sprintf("%d ", none.Created))[0]; !p.Since.Equal(time.Now()) || p.Sessions != 2 || !p.Asked.Equal(began.Add(time.Second)) || p.Renewed {
			t.Errorf("the new holder is %+v", p)
		}
	})
}

func TestView_NamesComeBackAsTheyWere(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		w := b.watcher()
		names := []string{"a", "a/", "a/b", "~", "~~", "~2f", "_", "-", " ", "ä€🔒", "\x00\xff", "a~", "%2F", "A"}
		for _, name := range names {
			b.acquire(q, b.request(name, "", Forever)).granted()
		}
		slices.Sort(names)
		for _, w := range []*watcher{w, b.watcher()} {
			synctest.Wait()
			var got []string
			for _, l := range w.Lines() {
				got = append(got, l.Name)
			}
			if !slices.Equal(got, names) {
				t.Errorf("Lines = %q, want %q", got, names)
			}
		}
		for _, dir := range []string{"q/~", "q/~2", "q/~zz", "q/a~2", "q/ok~2fx"} { // none but the last is of lineDir
			if got := lineName(dir); "q/"+got != dir && got != "ok/x" {
				t.Errorf("lineName(%q) = %q", dir, got)
			}
		}
	})
}

func TestView_TellsHowPlacesEnd(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, _ := b.process("q")
		w := b.watcher()
		g := b.acquire(p, b.request("a", "x", Forever)).granted()
		b.acquire(p, b.request("a", "y", Forever)).waiting()
		hangs := b.acquire(q, b.request("a", "z", Forever))
		y, z := b.index("y"), b.index("z")
		hangs.cancel()
		w.ended(fmt.Sprintf("a %d left, waited, next %d", z, g.Index))
		b.release(p, "a", g)
		w.ended(fmt.Sprintf("a %d released, next %d", g.Index, y))

		time.Sleep(time.Minute) // y's own TTL, never renewed
		w.ended(fmt.Sprintf("a %d expired", y))
		w.places("a")

		// A renewal is one, by PUT or by asking again, and not the taking over by
		// a second session.
		for _, again := range []bool{true, false} {
			shares := b.request("a", "s", Forever)
			g = b.acquire(p, b.request("a", "", Forever)).granted()
			b.acquire(p, shares).waiting()
			b.acquire(q, shares).waiting()
			s := b.index("s")
			b.release(p, "a", g)
			if w.places("a", fmt.Sprintf("%d s*", s))[0].Renewed {
				t.Error("renewed by being granted")
			}
			w.ended(fmt.Sprintf("a %d released, next %d", g.Index, s))
			time.Sleep(30 * time.Second)
			if again {
				b.acquire(q, shares).granted()
			} else if _, err := q.Renew(context.Background(), "a", Target{Value: "s"}, time.Minute); err != nil {
				b.t.Fatal(err)
			}
			if p := w.places("a", fmt.Sprintf("%d s*", s))[0]; !p.Renewed || !p.Expires.Equal(time.Now().Add(time.Minute)) {
				t.Errorf("after a renewal: %+v", p)
			}
			time.Sleep(time.Minute)
			w.ended(fmt.Sprintf("a %d lapsed", s))
		}

		// Granted to a client that is gone, while another process waits on it.
		g = b.acquire(p, b.request("a", "", Forever)).granted()
		shares := b.request("a", "t", Forever)
		b.acquire(p, shares).waiting()
		tt := b.index("t")
		w.ended()
		e := b.entries("a")[1]
		b.release(p, "a", g)
		w.ended(fmt.Sprintf("a %d released, next %d", g.Index, tt))
		if _, err := q.Renew(context.Background(), "a", Target{Index: tt}, time.Minute); err != nil {
			b.t.Fatal(err)
		}
		now := b.entries("a")[0]
		if now.rec.State != held || now.entry.Created != e.entry.Created {
			b.t.Fatalf("first is %+v", now)
		}
		back := now.rec.with(waiting, time.Minute, []string{"q"})
		if _, err := b.db.Swap(context.Background(), now.entry, back.encode(), 0); err != nil {
			b.t.Fatal(err)
		}
		if e := w.ended(fmt.Sprintf("a %d withdrawn, next %d", tt, tt)); len(e) == 1 && (!e[0].Place.Renewed || e[0].Next.Renewed || e[0].Next.Held) {
			t.Errorf("ending: %+v, next %+v", e[0], e[0].Next)
		}
		if _, err := b.db.Get(context.Background(), now.entry.Key, store.Local); err != nil {
			b.t.Fatal(err)
		}
		if err := b.db.DeleteCreation(context.Background(), now.entry.Key, tt); err != nil {
			b.t.Fatal(err)
		}
	})
}

// Of two that were created held at the same moment the second never holds.
func TestView_SecondOfARaceHoldsNothing(t *testing.T) {
	inBubble(t, func(b *bench) {
		p, _ := b.process("p")
		q, view := b.process("q")
		w := b.watcher()
		gate := make(chan struct{})
		first, second := b.race(p, q, view, b.request("a", "y", Forever), on(memory.OpSwap, "q", memory.Fault{Pause: gate}))
		y := b.index("y")
		w.places("a", fmt.Sprintf("%d *", first.Index), fmt.Sprintf("%d y", y))
		if c := w.Census(); c.Held != 1 || c.Waiting != 1 {
			t.Errorf("Census = %+v", c)
		}
		close(gate)
		second.waiting()
		w.ended() // being made to wait takes nothing from it
		second.cancel()
		w.ended(fmt.Sprintf("a %d left, waited, next %d", y, first.Index))
	})
}

func TestView_GathersWhatComesWhileAFollowerIsBusy(t *testing.T) {
	inBubble(t, func(b *bench) {
		q, _ := b.process("p")
		w := b.watcher()
		var got []Update
		gate, stop := make(chan struct{}), errors.New("enough")
		done := make(chan error)
		go func() {
			done <- w.Follow(context.Background(), func(u Update) error {
				if got = append(got, u); len(got) == 3 {
					return stop
				}
				<-gate
				return nil
			})
		}()
		synctest.Wait()
		for range 20 {
			for _, name := range []string{"c", "b", "a"} {
				b.release(q, name, b.acquire(q, b.request(name, "", Forever)).granted())
			}
		}
		g := b.acquire(q, b.request("b", "", Forever)).granted()
		gate <- struct{}{}
		synctest.Wait()
		for range mostEndings + 10 {
			b.release(q, "b", g)
			g = b.acquire(q, b.request("b", "", Forever)).granted()
		}
		gate <- struct{}{}
		if err := <-done; err != stop || len(got) != 3 {
			b.t.Fatalf("Follow = %v after %d updates", err, len(got))
		}
		if u := got[0]; !u.All || len(u.Lines) != 0 {
			t.Errorf("at first: %+v", u)
		}
		u := got[1]
		if u.All || len(u.Lines) != 3 || len(u.Endings) != 60 || u.Missed != 0 || u.Contact.Err != nil {
			b.t.Fatalf("then: %+v", u)
		}
		for i, name := range []string{"a", "b", "c"} {
			if l := u.Lines[i]; l.Name != name || len(l.Places) != i%2 {
				t.Errorf("line %d is %+v", i, l)
			}
		}
		if u := got[2]; len(u.Lines) != 1 || u.Missed+len(u.Endings) != mostEndings+10 || len(u.Endings) > mostEndings || u.Endings[len(u.Endings)-1].Next != nil {
			t.Errorf("at last: %d lines, %d endings, %d missed", len(u.Lines), len(u.Endings), u.Missed)
		}
	})
}
