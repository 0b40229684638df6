package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/integration/drive"
)

// bulk is how many keys the tests of wide directories have; with the race
// detector all processes are several times slower.
func bulk() int {
	if drive.Race {
		return 10_000
	}
	return 100_000
}

// A directory of 100,000 keys: the count is true, the last page has the last
// key, and changes in the middle are told at their place.
func TestKeys_WideDirectory(t *testing.T) {
	h := plain(t).Start(t, drive.Embedded+drive.Dashboard(""))
	b := browseKeys(t, h)
	n := bulk()
	start := time.Now()
	b.fill("/wide", n, strings.Repeat("x", 100))
	t.Logf("wrote %d keys in %v", n, time.Since(start))
	memory := func() int { return residentKB(t, h.Module("dashboard").PID) }
	before := memory()

	start = time.Now()
	p, status := b.page("/wide", "limit", "200")
	t.Logf("first page after %v; memory %d kB, before %d kB", time.Since(start), memory(), before)
	if status != 200 || p.Count != n || len(p.Rows) != 200 || p.Rows[0].Name != "key-000000" || p.Rows[199].Name != "key-000199" {
		t.Fatalf("first page: %d, count %d, %d rows", status, p.Count, len(p.Rows))
	}
	start = time.Now()
	p, _ = b.page("/wide", "limit", "200", "offset", strconv.Itoa(n-200))
	t.Logf("last page after %v", time.Since(start))
	if last := p.Rows[len(p.Rows)-1]; last.Name != fmt.Sprintf("key-%06d", n-1) || last.Size != 100 || last.Preview != strings.Repeat("x", 64) {
		t.Errorf("the last row is %+v", last)
	}
	start = time.Now()
	p, _ = b.page("/wide", "filter", "777", "limit", "1")
	t.Logf("filtered after %v: %d of %d", time.Since(start), p.Count, p.Of)

	topic := b.follow("dir:/wide")
	drive.Eventually(t, func() error { return topic.last(&struct{}{}) })
	middle := fmt.Sprintf("/wide/key-%06d", n/2)
	b.mustPut(middle+"-new", "in the middle")
	b.mustPut(middle, "changed")
	drive.Eventually(t, func() error {
		var told []string
		events, _ := topic.all()
		for _, e := range events[1:] {
			var m struct {
				Changes []struct {
					Op  string
					At  int
					Row keyRow
				}
			}
			if err := json.Unmarshal(e, &m); err != nil {
				t.Fatal(err)
			}
			for _, c := range m.Changes {
				told = append(told, fmt.Sprintf("%s %d %s", c.Op, c.At, c.Row.Preview))
			}
		}
		want := []string{fmt.Sprintf("insert %d in the middle", n/2+1), fmt.Sprintf("update %d changed", n/2)}
		if !slices.Equal(told, want) {
			return fmt.Errorf("told %q, want %q", told, want)
		}
		return nil
	})
	p, _ = b.page("/wide", "around", fmt.Sprintf("key-%06d-new", n/2))
	if !p.Found || p.Count != n+1 || p.Offset != n/2/200*200 {
		t.Errorf("around the new key: found %v, count %d, offset %d", p.Found, p.Count, p.Offset)
	}
	start = time.Now()
	var found int
	b.lines("search", url.Values{"q": {"middle"}, "in": {"value"}}, nil, func(line json.RawMessage) {
		if strings.HasPrefix(string(line), `{"match"`) {
			found++
		}
	})
	t.Logf("searched the values in %v", time.Since(start))
	if found != 1 {
		t.Errorf("found %d values", found)
	}
	t.Logf("memory %d kB", memory())
}

// A directory goes with all in it, but what was changed or made since it was
// looked at, and what has a name that begins alike.
func TestKeys_RecursiveDelete(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded+drive.Dashboard(""))
	b := browseKeys(t, h)
	const n = 1000
	b.fill("/app/deep/er", n, "x")
	b.mustPut("/app/one", "12345")
	b.mustPut("/app2/stays", "x")
	var plan struct {
		Plan, Typed          string
		Entries, Dirs, Bytes int
		Sample               []string
	}
	if status := b.post("plan", map[string]any{"items": []any{map[string]any{"key": "/app", "dir": true}}}, &plan); status != 200 ||
		plan.Entries != n+1 || plan.Dirs != 3 || plan.Bytes != n+5 || len(plan.Sample) != 20 || plan.Typed != "/app" {
		t.Fatalf("plan: %d %+v", status, plan)
	}
	b.mustPut("/app/one", "changed")
	b.mustPut("/app/deep/_hidden", "x")
	if status := b.post("delete-plan", map[string]any{"plan": plan.Plan, "typed": "/app2"}, nil); status != 400 {
		t.Errorf("with the wrong text: %d", status)
	}
	start := time.Now()
	var last struct {
		End             bool
		Deleted, Absent int
		Failed          []struct{ Key, Why string }
	}
	b.lines("delete-plan", nil, map[string]any{"plan": plan.Plan, "typed": "/app"}, func(line json.RawMessage) {
		if err := json.Unmarshal(line, &last); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("deleted %d in %v", last.Deleted, time.Since(start))
	var failed []string
	for _, f := range last.Failed {
		failed = append(failed, f.Key)
	}
	slices.Sort(failed)
	if !last.End || last.Deleted != n+1 || last.Absent != 0 || !slices.Equal(failed, []string{"/app", "/app/deep", "/app/one"}) {
		t.Errorf("the end is %+v", last)
	}
	drive.Eventually(t, func() error {
		for dir, want := range map[string][]string{"/": {"app", "app2"}, "/app": {"deep", "one"}, "/app/deep": nil, "/app2": {"stays"}, "/app/deep/er": nil} {
			p, _ := b.page(dir)
			var names []string
			for _, r := range p.Rows {
				names = append(names, r.Name)
			}
			if !slices.Equal(names, want) {
				return fmt.Errorf("%s has %q, want %q", dir, names, want)
			}
		}
		return nil
	})
	if n, _ := b.node("/app/one"); n.Value != "changed" {
		t.Errorf("/app/one is %+v", n)
	}
}

// A TTL that somebody extends by etcd's refresh, of which no watch is told, is
// shown all the same when it should have run out.
func TestKeys_RefreshedTTL(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded+drive.Dashboard(""))
	b := browseKeys(t, h)
	b.mustPut("/a/x", "1", "ttl", "10") // ends after the refresh, whatever the machine does
	dir, node := b.follow("dir:/a"), b.follow("node:/a/x")
	drive.Eventually(t, func() error { return errors.Join(dir.last(&struct{}{}), node.last(&struct{}{})) })
	form := url.Values{"ttl": {"1000"}, "refresh": {"true"}, "prevExist": {"true"}}
	if status, err := b.do("PUT", b.etcdURL("/a/x"), "application/x-www-form-urlencoded", strings.NewReader(form.Encode()), nil); status != 200 || err != nil {
		t.Fatal(status, err)
	}
	drive.Eventually(t, func() error {
		var s struct{ Node keyNode }
		if err := node.last(&s); err != nil || s.Node.TTL < 900 {
			return fmt.Errorf("the key is told to be %+v, %w", s, err)
		}
		var d struct {
			Changes []struct{ Row keyRow }
		}
		if err := dir.last(&d); err != nil || len(d.Changes) != 1 || d.Changes[0].Row.Expires < time.Now().Add(900*time.Second).UnixMilli() {
			return fmt.Errorf("the directory is told to have %+v, %w", d, err)
		}
		return nil
	})
}

// residentKB is the memory of a process.
func residentKB(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	fields := strings.Fields(rest)
	n, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// No update is lost, whoever writes: each adds its mark to what it has read, and
// who is told of a success finds its mark in the end.
func TestKeys_NoUpdateIsLost(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded+drive.Dashboard(""))
	b := browseKeys(t, h)
	b.mustPut("/doc", "", "ttl", "1000")
	const races = 200
	var marks []string
	for race := range races {
		now, status := b.node("/doc")
		if status != 200 {
			t.Fatal(status)
		}
		var running sync.WaitGroup
		var mu sync.Mutex // guards won
		var won []string
		writers := 2 + rand.IntN(3)
		for w := range writers {
			mark := fmt.Sprintf("%d.%d ", race, w)
			viaEtcd := w > 0 && rand.IntN(2) == 0
			running.Go(func() {
				time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond) // in any order: it is a race
				var done bool
				if viaEtcd {
					done = b.put("/doc", now.Value+mark, "prevIndex", now.Modified) == nil
				} else {
					var answer struct {
						ErrorCode int
						Current   *keyNode
						Node      *keyNode
					}
					status, err := b.tryPost("save", map[string]any{"key": "/doc", "value": now.Value + mark, "modified": now.Modified, "ttl": "keep"}, &answer)
					done = err == nil && status == 200
					if err != nil || !done && (status != 409 || answer.ErrorCode != 725 || answer.Current == nil || answer.Current.Modified == now.Modified) {
						t.Errorf("save: %d %+v %v", status, answer, err)
					}
				}
				if done {
					mu.Lock()
					won = append(won, mark)
					mu.Unlock()
				}
			})
		}
		running.Wait()
		if len(won) != 1 {
			t.Fatalf("race %d: %d of %d writers were told of a success", race, len(won), writers)
		}
		marks = append(marks, won...)
	}
	if n, _ := b.node("/doc"); n.Value != strings.Join(marks, "") {
		t.Errorf("the value is\n%q, want\n%q", n.Value, strings.Join(marks, ""))
	}
}

// A saving keeps the TTL to the second, if asked to.
func TestKeys_SavingKeepsTheTTL(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded+drive.Dashboard(""))
	b := browseKeys(t, h)
	b.mustPut("/a", "1", "ttl", "100")
	n, _ := b.node("/a")
	end := n.Expires
	for i := range 30 {
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond) // a TTL is whole seconds: any fraction may be left
		var answer struct{ Node keyNode }
		sent := time.Now()
		if status := b.post("save", map[string]any{"key": "/a", "value": strconv.Itoa(i), "modified": n.Modified, "ttl": "keep"}, &answer); status != 200 {
			t.Fatal(status)
		}
		n = answer.Node
		took := time.Since(sent).Milliseconds() // the rest may be read at its beginning and written at its end
		if off := n.Expires - end; off < -1000 || off > 1000+took {
			t.Errorf("saved %d times: the end has moved by %d ms", i+1, off)
		}
	}
	if n, _ = b.node("/a"); n.Value != "29" || n.TTL < 80 || n.TTL > 100 {
		t.Errorf("in the end %+v", n)
	}
	for _, ttl := range []int64{50, 0} {
		var answer struct{ Node keyNode }
		if status := b.post("save", map[string]any{"key": "/a", "value": "x", "modified": n.Modified, "ttl": ttl}, &answer); status != 200 || answer.Node.TTL != ttl {
			t.Errorf("with ttl %d: %d %+v", ttl, status, answer)
		}
		n = answer.Node
	}
}

// Keys as nobody should name them, and those that are hidden.
func TestKeys_OddAndHidden(t *testing.T) {
	t.Parallel()
	h := programs(t).Start(t, drive.Embedded+drive.Dashboard(""))
	b := browseKeys(t, h)
	odd := []string{"a b", "q?x=1", "#top", "100%", "%2f", "user@host", "äöü 日本 🔒", "a&b=c", "<script>", `"quote'`, "plus+plus", "semi;colon", "back\\slash", "line\nbreak"}
	slices.Sort(odd)
	for _, name := range odd {
		var answer struct{ Node keyNode }
		if status := b.post("create", map[string]any{"key": "/odd/" + name + "/" + name, "value": name, "ttl": 0}, &answer); status != 200 || answer.Node.Value != name {
			t.Errorf("create %q: %d %+v", name, status, answer)
		}
		var raw struct{ Node struct{ Value string } }
		if status, err := b.do("GET", b.etcdURL("/odd/"+name+"/"+name), "", nil, &raw); err != nil || status != 200 || raw.Node.Value != name {
			t.Errorf("etcd has %q: %d %+v %v", name, status, raw, err)
		}
	}
	topic := b.follow("dir:/odd/" + odd[0])
	drive.Eventually(t, func() error { return topic.last(&struct{}{}) })
	p, _ := b.page("/odd")
	var names []string
	for _, r := range p.Rows {
		names = append(names, r.Name)
	}
	if !slices.Equal(names, odd) {
		t.Errorf("listed are %q, want %q", names, odd)
	}
	for _, name := range odd {
		n, status := b.node("/odd/" + name + "/" + name)
		if status != 200 || n.Value != name {
			t.Errorf("node of %q: %d %+v", name, status, n)
		}
		var answer struct{ Node keyNode }
		if status := b.post("save", map[string]any{"key": n.Key, "value": name + "2", "modified": n.Modified, "ttl": "keep"}, &answer); status != 200 {
			t.Errorf("save %q: %d", name, status)
		}
		if status := b.post("delete", map[string]any{"key": n.Key, "modified": answer.Node.Modified}, nil); status != 200 {
			t.Errorf("delete %q: %d", name, status)
		}
	}
	drive.Eventually(t, func() error {
		if p, _ := b.page("/odd/" + odd[0]); p.Count != 0 {
			return fmt.Errorf("left: %+v", p)
		}
		return nil
	})

	// Hidden ones are in no listing, but there for who asks.
	b.mustPut("/app/_secret/x/key", "1")
	b.mustPut("/app/open", "1")
	if p, _ := b.page("/app"); len(p.Rows) != 1 {
		t.Errorf("listed are %+v", p.Rows)
	}
	hidden := b.follow("dir:/app/_secret/x")
	drive.Eventually(t, func() error { return hidden.last(&struct{}{}) })
	b.mustPut("/app/_secret/x/other", "2")
	drive.Eventually(t, func() error {
		if events, _ := hidden.all(); !strings.Contains(string(events[len(events)-1]), `"insert"`) {
			return fmt.Errorf("told %s", events)
		}
		return nil
	})
	if p, _ := b.page("/app/_secret/x"); p.Count != 2 {
		t.Errorf("hidden page: %+v", p)
	}
}

// More changes than etcd keeps, faster than a watch can follow: in the end what
// is shown is what is there.
func TestKeys_FollowsAStorm(t *testing.T) {
	h := programs(t).Start(t, drive.Embedded+drive.Dashboard(""))
	b := browseKeys(t, h)
	b.mustPut("/storm/first", "1")
	topic := b.follow("dir:/storm")
	counts := b.follow("keys")
	drive.Eventually(t, func() error { return topic.last(&struct{}{}) })
	drive.Signal(t, h.Module("dashboard").PID, syscall.SIGSTOP)
	b.fill("/storm", 2000, strings.Repeat("x", 20_000)) // more than fits into the buffers between
	drive.Signal(t, h.Module("dashboard").PID, syscall.SIGCONT)
	b.fill("/after", 2000, "y")
	drive.Eventually(t, func() error {
		var c struct {
			Entries, Dirs int
			Complete      bool
		}
		if err := counts.last(&c); err != nil {
			return err
		}
		p, status := b.page("/storm", "offset", "2000")
		if status != 200 || p.Count != 2001 || len(p.Rows) != 1 || p.Rows[0].Name != "key-001999" || p.Rows[0].Size != 20_000 || c.Entries != 4001 || c.Dirs != 2 || !c.Complete {
			return fmt.Errorf("%d, count %d, rows %+v; counted %+v", status, p.Count, p.Rows, c)
		}
		return nil
	})
	var past struct{ Missed int64 }
	if b.get("history", url.Values{"key": {"/storm/first"}}, &past); past.Missed == 0 {
		t.Error("the history does not say that changes were missed")
	}
}

// Etcd goes, says nothing for a while and comes back: topics say so, pages keep
// what they have, nothing is written twice, and all goes on by itself.
func TestKeys_EtcdGoneAndBack(t *testing.T) {
	t.Parallel()
	c := programs(t).StartCluster(t, 1)
	h := programs(t).Start(t, drive.Joined(c.Endpoints()...)+drive.Dashboard(""))
	b := browseKeys(t, h)
	b.etcd = c.Members[0].URL + "/v2/keys"
	b.mustPut("/a/x", "1")
	dir, node := b.follow("dir:/a"), b.follow("node:/a/x")
	drive.Eventually(t, func() error { return errors.Join(dir.last(&struct{}{}), node.last(&struct{}{})) })
	before, _ := b.node("/a/x")

	c.Members[0].Kill()
	drive.Eventually(t, func() error {
		if _, errs := dir.all(); errs == 0 {
			return errors.New("the directory's topic has not said that etcd is away")
		}
		if _, errs := node.all(); errs == 0 {
			return errors.New("the key's topic has not said that etcd is away")
		}
		return nil
	})
	var p struct {
		Count int
		Stale string
	}
	if status := b.get("page", url.Values{"dir": {"/a"}}, &p); status != 200 || p.Count != 1 || p.Stale == "" {
		t.Errorf("meanwhile: %d %+v", status, p)
	}
	if status := b.post("save", map[string]any{"key": "/a/x", "value": "2", "modified": before.Modified, "ttl": "keep"}, nil); status != 503 {
		t.Errorf("save meanwhile: %d", status)
	}

	c.Members[0].Restart()
	c.Members[0].AwaitReady()
	b.mustPut("/a/y", "3")
	drive.Eventually(t, func() error {
		p, status := b.page("/a")
		if status != 200 || p.Count != 2 {
			return fmt.Errorf("page: %d %+v", status, p)
		}
		return nil
	})
	if n, status := b.node("/a/x"); status != 200 || n.Value != "1" || n.Modified != before.Modified {
		t.Errorf("the key that could not be saved: %d %+v", status, n)
	}
	b.mustPut("/a/x", "4")
	drive.Eventually(t, func() error {
		var s struct{ Node keyNode }
		if err := node.last(&s); err != nil || s.Node.Value != "4" {
			return fmt.Errorf("the topic has %+v, %w", s, err)
		}
		return nil
	})
}

// A reply that is lost is told as that, and the write is there once.
func TestKeys_LostReply(t *testing.T) {
	t.Parallel()
	c := programs(t).StartCluster(t, 1)
	between := drive.NewTamperer(t, c.Members[0].URL)
	h := programs(t).Start(t, drive.Joined(between.URL)+drive.Dashboard(""))
	b := browseKeys(t, h)
	b.etcd = c.Members[0].URL + "/v2/keys"
	b.mustPut("/a", "1")
	before, _ := b.node("/a")
	var once atomic.Bool
	between.Lose(func(r *http.Request) bool {
		return r.Method == "PUT" && strings.HasSuffix(r.URL.Path, "/a") && once.CompareAndSwap(false, true)
	})
	var answer struct {
		Outcome string
		Node    *keyNode
	}
	status := b.post("save", map[string]any{"key": "/a", "value": "2", "modified": before.Modified, "ttl": "keep"}, &answer)
	now, _ := b.node("/a")
	if between.Lost() == 0 {
		t.Fatal("no reply was lost")
	}
	if now.Value != "2" {
		t.Errorf("the key is %+v", now)
	}
	if status == 200 && (answer.Node == nil || answer.Node.Modified != now.Modified) || status != 200 && (status != 503 || answer.Outcome != "unknown") && status != 409 {
		t.Errorf("save: %d %+v", status, answer)
	}
}
