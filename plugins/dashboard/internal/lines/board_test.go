package lines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk"
	"github.com/etcd-modules/modhost/sdk/queue"
	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

// A bench has a board of two modules, with a queue for each.
type bench struct {
	*Board
	t      *testing.T
	queues map[string]*queue.Queue
	views  map[string]*memory.Store // the board's
	ctx    context.Context
}

func inBubble(t *testing.T, f func(*bench)) {
	synctest.Test(t, func(t *testing.T) {
		db := memory.New()
		b := &bench{t: t, queues: make(map[string]*queue.Queue), views: make(map[string]*memory.Store)}
		var cancel context.CancelFunc
		b.ctx, cancel = context.WithCancel(context.Background())
		var err error
		b.Board, err = NewBoard([]string{"lock", "semaphore"}, func(name string) (store.Store, error) {
			q, err := queue.New(queue.Options{Store: db.Sub(name), Session: "p-" + name})
			b.queues[name], b.views[name] = q, db.Sub(name)
			return b.views[name], err
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f(b)
		cancel()
		b.Close()
		for _, q := range b.queues {
			q.Drain(false)
			if err := q.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
}

// take obtains a lock of the module lock, or waits for it in the background.
func (b *bench) take(name, value string, ttl time.Duration) <-chan *queue.Grant {
	granted := make(chan *queue.Grant, 1)
	go func() {
		g, err := b.queues["lock"].Acquire(b.ctx, queue.Request{Name: name, Value: value, ID: name + value, TTL: ttl, Wait: queue.Forever})
		if err == nil {
			granted <- g
		}
	}()
	synctest.Wait()
	return granted
}

func (b *bench) release(name string, g *queue.Grant) {
	b.t.Helper()
	if err := b.queues["lock"].Release(b.ctx, name, queue.Target{Index: g.Index}); err != nil {
		b.t.Error(err)
	}
	synctest.Wait()
}

// A browser follows a board's topic.
type browser struct {
	mu       sync.Mutex // guards what follows
	messages []News
	lines    map[string]Line
	endings  []Ending
	contacts []Contact
}

// follow starts one. It ends with the bench.
func (b *bench) follow() *browser {
	w := &browser{lines: make(map[string]Line)}
	go b.Source(b.ctx, func(v any) error { w.note(v.(News)); return nil }) //nolint:errcheck // ctx's own
	b.settle()
	return w
}

// settle lets all be told that is to tell.
func (b *bench) settle() {
	time.Sleep(3 * pause)
	synctest.Wait()
}

func (w *browser) note(n News) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.messages = append(w.messages, n)
	for _, l := range n.Lines {
		w.lines[l.Module+"/"+l.Name] = l
		if l.Gone {
			delete(w.lines, l.Module+"/"+l.Name)
		}
	}
	w.endings = append(w.endings, n.Endings...)
	if n.Contacts != nil {
		w.contacts = n.Contacts
	}
}

// taken returns the messages since the last time.
func (w *browser) taken() []News {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.messages
	w.messages = nil
	return list
}

// told are the endings so far, as text.
func (w *browser) told() (list []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.endings {
		text := fmt.Sprintf("%s/%s %s %s", e.Module, e.Name, e.Value, e.Reason)
		if e.Next != nil {
			text += ", next " + e.Next.Value
		}
		if e.By != "" {
			text += ", by " + e.By
		}
		list = append(list, text)
	}
	return list
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q; want %q", what, got, want)
	}
}

func TestBoard_TellsAllAndThenWhatIsNew(t *testing.T) {
	inBubble(t, func(b *bench) {
		began := time.Now()
		first := <-b.take("a", "x", 5*time.Minute)
		time.Sleep(time.Minute)
		second := b.take("a", "y", 5*time.Minute)
		b.take("a", "z", 5*time.Minute)
		b.settle()
		w := b.follow()
		messages := w.taken()
		if len(messages) != 1 || !messages[0].All || messages[0].More || messages[0].Began != began.UnixMilli() {
			t.Errorf("at first: %+v", messages)
		}
		l := w.lines["lock/a"]
		if l.Holder == nil || l.Holder.Value != "x" || l.Holder.Index != indexText(first.Index) || !l.Holder.Held || l.Waiting != 2 || l.Next.Value != "y" {
			t.Errorf("line = %+v, holder %+v", l, l.Holder)
		}
		if asked := began.Add(time.Minute).UnixMilli(); l.Asked != asked || l.Holder.Since != began.UnixMilli() ||
			l.Holder.Expires != began.Add(5*time.Minute).UnixMilli() || l.Holder.TTL != 300 {
			t.Errorf("line = %+v, holder %+v; want asked at %d", l, l.Holder, asked)
		}
		if c := *mustGet(b.Counts().Get()); c != (Counts{Held: 1, Waiting: 2}) {
			t.Errorf("counts = %+v", c)
		}

		b.release("a", first)
		<-second
		b.settle()
		if l := w.lines["lock/a"]; l.Holder == nil || l.Holder.Value != "y" || l.Waiting != 1 {
			t.Errorf("after the release: %+v", l)
		}
		same(t, "endings", w.told(), []string{"lock/a x released, next y"})
		for _, n := range w.taken() {
			if n.All || len(n.Contacts) > 0 {
				t.Errorf("a change that tells more than that: %+v", n)
			}
		}
		// Who comes later is told the same.
		same(t, "endings", b.follow().told(), []string{"lock/a x released, next y"})

		time.Sleep(5 * time.Minute)
		b.settle()
		time.Sleep(5 * time.Minute)
		b.settle()
		if len(w.lines) != 0 {
			t.Errorf("lines = %+v; want none", w.lines)
		}
		same(t, "endings", w.told(), []string{"lock/a x released, next y", "lock/a y expired, next z", "lock/a z expired"})
	})
}

func mustGet[T any](v T, _ <-chan struct{}) *T { return &v }

// A browser that follows costs no message while nothing happens, and changes
// that come together are told together.
func TestBoard_Coalesces(t *testing.T) {
	inBubble(t, func(b *bench) {
		w := b.follow()
		w.taken()
		time.Sleep(5 * time.Minute)
		if got := w.taken(); len(got) > 0 {
			t.Errorf("%d messages in idle minutes: %+v", len(got), got)
		}
		for range 200 { // in no time
			b.release("a", <-b.take("a", "x", time.Hour))
		}
		b.settle()
		if got := w.taken(); len(got) > 8 {
			t.Errorf("%d messages for a burst", len(got))
		}
		if n := len(w.told()); n != mostOfLine {
			t.Errorf("%d endings were told; want the latest %d", n, mostOfLine)
		}
	})
}

// The history of one line does not displace that of others, and all of it has a
// bound.
func TestHistory_IsBounded(t *testing.T) {
	h := newHistory(time.Now())
	ending := func(line string, i int) []queue.Ending {
		return []queue.Ending{{Line: line, Place: queue.Place{Index: store.Revision(i), Held: true}, Reason: queue.EndReleased}}
	}
	h.add("lock", ending("quiet", 1), 0)
	for i := range 10 * mostOfLine {
		h.add("lock", ending("busy", i), 0)
	}
	list, _, _ := h.after(0)
	if len(list) != 1+mostOfLine || list[0].Name != "quiet" || list[mostOfLine].Index != strconv.Itoa(10*mostOfLine-1) {
		t.Errorf("%d endings, from %+v to %+v", len(list), list[0], list[len(list)-1])
	}
	for i := range 2 * mostOfAll {
		h.add("lock", ending(strconv.Itoa(i), i), 0)
	}
	if list, _, _ := h.after(0); len(list) != mostOfAll || len(h.of) != mostOfAll {
		t.Errorf("%d endings of %d lines; want %d", len(list), len(h.of), mostOfAll)
	}
	last := h.last
	h.add("lock", ending("a", 1), 3)
	h.add("lock", []queue.Ending{{Line: "a", Reason: queue.EndLeft}}, 0) // is no hand-over
	if list, missed, _ := h.after(last); len(list) != 1 || list[0].Name != "a" || missed != 3 {
		t.Errorf("after %d: %+v, %d missed", last, list, missed)
	}
}

func TestBoard_ReleasesWhoIsMeant(t *testing.T) {
	inBubble(t, func(b *bench) {
		first := <-b.take("a", "x", time.Hour)
		second, third := b.take("a", "y", time.Hour), b.take("a", "z", time.Hour)
		b.settle()
		w := b.follow()
		order := func(o Order) error {
			defer b.settle()
			return b.Release(b.ctx, o, "me")
		}
		holder := Order{Module: "lock", Name: "a", Index: indexText(first.Index)}
		for what, o := range map[string]Order{
			"who holds, as one that waits": {Module: "lock", Name: "a", Index: holder.Index, Waiting: true},
			"who waits, as one that holds": {Module: "lock", Name: "a", Index: w.lines["lock/a"].Next.Index},
		} {
			if err := order(o); !isCode(err, sdk.CodeChanged) {
				t.Errorf("%s: %v, want code %d", what, err, sdk.CodeChanged)
			}
		}
		for what, o := range map[string]Order{
			"module":   {Module: "none", Name: "a", Index: holder.Index},
			"index":    {Module: "lock", Name: "a", Index: "4x"},
			"index 0":  {Module: "lock", Name: "a", Index: "0"},
			"no index": {Module: "lock", Name: "a"},
		} {
			if err := order(o); !isCode(err, sdk.CodeRequestInvalid) {
				t.Errorf("%s: %v, want code %d", what, err, sdk.CodeRequestInvalid)
			}
		}
		same(t, "endings", w.told(), nil)

		if err := order(holder); err != nil {
			t.Error(err)
		}
		<-second
		// The lock has changed hands: who was shown before is gone.
		if err := order(holder); !errors.Is(err, queue.ErrNotInLine) {
			t.Errorf("again: %v, want %v", err, queue.ErrNotInLine)
		}
		if l := w.lines["lock/a"]; l.Holder == nil || l.Holder.Value != "y" {
			t.Errorf("line = %+v; want y to hold it", l)
		}
		if err := order(Order{Module: "lock", Name: "a", Index: w.lines["lock/a"].Next.Index, Waiting: true}); err != nil {
			t.Error(err)
		}
		select {
		case g := <-third:
			t.Errorf("z was granted %v", g)
		default:
		}
		same(t, "endings", w.told(), []string{"lock/a x forced, next y, by me", "lock/a z forced, next y, by me"})
	})
}

func isCode(err error, code sdk.Code) bool {
	var e *sdk.Error
	return errors.As(err, &e) && e.Code == code
}

func TestBoard_SaysWhatMayBeOld(t *testing.T) {
	inBubble(t, func(b *bench) {
		g := <-b.take("a", "x", time.Hour)
		b.settle()
		w := b.follow()
		if len(w.contacts) != 2 || w.contacts[0].Error != "" || w.contacts[0].Module != "lock" || w.contacts[1].Module != "semaphore" {
			t.Errorf("contacts = %+v", w.contacts)
		}
		gone := time.Now()
		b.views["lock"].SetHook(func(memory.Op, string) memory.Fault { return memory.Fault{Refuse: store.ErrUnavailable} })
		time.Sleep(3 * time.Second)
		b.release("a", g)
		if c := w.contacts[0]; c.Error == "" || c.Seen > gone.UnixMilli() || c.Seen < gone.Add(-2*time.Second).UnixMilli() {
			t.Errorf("contact = %+v without a store, since %d", c, gone.UnixMilli())
		}
		if w.contacts[1].Error != "" || len(w.lines) != 1 {
			t.Errorf("contacts = %+v, lines = %+v", w.contacts, w.lines)
		}
		b.views["lock"].SetHook(nil)
		time.Sleep(time.Minute)
		b.settle()
		if w.contacts[0].Error != "" || len(w.lines) != 0 {
			t.Errorf("contacts = %+v, lines = %+v with the store back", w.contacts, w.lines)
		}
		same(t, "endings", w.told(), []string{"lock/a x released"})
	})
}

func TestQueueSource_SendsOneLine(t *testing.T) {
	inBubble(t, func(b *bench) {
		g := <-b.take("a:b", "x", time.Hour)
		next := b.take("a:b", "y", time.Hour)
		b.take("c", "z", time.Hour)
		b.settle()
		if s := b.QueueSource("none:a"); s != nil {
			t.Error("there is a source of an unknown module")
		}
		var mu sync.Mutex
		var got []string
		go b.QueueSource("lock:a:b")(b.ctx, func(v any) error { //nolint:errcheck // ctx's own
			mu.Lock()
			defer mu.Unlock()
			text := ""
			for _, p := range v.(Queue).Places {
				text += p.Value
				if p.Held {
					text += "*"
				}
			}
			got = append(got, fmt.Sprintf("%s %d", text, v.(Queue).Total))
			return nil
		})
		b.settle()
		b.take("c", "another line", time.Hour)
		b.settle()
		same(t, "queue", got, []string{"x*y 2"})
		b.release("a:b", g)
		g = <-next
		b.settle()
		b.release("a:b", g)
		b.settle()
		mu.Lock()
		defer mu.Unlock()
		if last := len(got) - 1; got[last] != " 0" || got[last-1] != "y* 1" {
			t.Errorf("queue: %q; want it held by y, and then empty", got)
		}
	})
}

// Long values are cut, between two characters, for who does not ask.
func TestShapes_LongValues(t *testing.T) {
	long := strings.Repeat("ä", mostValue)
	for value, want := range map[string]Owner{
		"short":                        {Index: "7", Value: "short"},
		strings.Repeat("a", mostValue): {Index: "7", Value: strings.Repeat("a", mostValue)},
		"a" + long:                     {Index: "7", Value: "a" + long[:mostValue-2], Size: 2*mostValue + 1},
		long:                           {Index: "7", Value: long[:mostValue], Size: 2 * mostValue},
	} {
		if got := ownerOf(queue.Place{Index: 7, Value: value}); got != want {
			t.Errorf("owner = %+v, want %+v", got, want)
		}
	}
	inBubble(t, func(b *bench) {
		g := <-b.take("a", long, time.Hour)
		b.settle()
		if v, err := b.Value("lock", "a", indexText(g.Index)); v != long || err != nil {
			t.Errorf("Value = %.10q, %v", v, err)
		}
		if _, err := b.Value("lock", "a", "999"); !errors.Is(err, queue.ErrNotInLine) {
			t.Errorf("Value of a place that is not = %v", err)
		}
	})
}

// Ten thousand lines come in messages that a browser can take one by one.
func TestBoard_TenThousandLines(t *testing.T) {
	inBubble(t, func(b *bench) {
		const n = 10_000
		<-b.take("job", "host", time.Hour)
		s := b.views["lock"]
		list, err := s.List(b.ctx, "q", store.Local)
		if err != nil || len(list.Entries) != 1 {
			t.Fatalf("List = %+v, %v", list, err)
		}
		for i := range n - 1 { // much faster than to take them all
			if _, err := s.Create(b.ctx, fmt.Sprintf("q/job-%05d/v1", i), list.Entries[0].Value, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second) // that was too fast for the watch
		w := b.follow()
		messages := w.taken()
		size := 0
		for i, m := range messages {
			text, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			size += len(text)
			if last := i == len(messages)-1; m.All != (i == 0) || m.More == last || len(m.Lines) > mostLines {
				t.Errorf("message %d: all %v, more %v, %d lines", i, m.All, m.More, len(m.Lines))
			}
		}
		t.Logf("%d lines in %d messages, %d bytes", len(w.lines), len(messages), size)
		if len(w.lines) != n || len(messages) != n/mostLines {
			t.Errorf("%d lines in %d messages", len(w.lines), len(messages))
		}
		<-b.take("one more", "host", time.Hour)
		b.settle()
		if got := w.taken(); len(got) != 1 || len(got[0].Lines) != 1 {
			t.Errorf("one more came in %d messages", len(got))
		}
	})
}

func TestNewBoard_WithoutAStore(t *testing.T) {
	why := errors.New("no")
	if _, err := NewBoard([]string{"lock"}, func(string) (store.Store, error) { return nil, why }); !errors.Is(err, why) || !strings.Contains(err.Error(), `"lock"`) {
		t.Errorf("NewBoard = %v", err)
	}
	b, err := NewBoard(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var got []News
	b.Source(ctx, func(v any) error { got = append(got, v.(News)); cancel(); return nil }) //nolint:errcheck // ctx's own
	if len(got) != 1 || !got[0].All || !reflect.DeepEqual(got[0].Lines, []Line(nil)) && len(got[0].Lines) > 0 {
		t.Errorf("a board of nothing tells %+v", got)
	}
}
