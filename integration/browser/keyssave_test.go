package browser

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/etcd-modules/modhost/integration/browser/tab"
)

// save saves what is edited, as far as the dialog's answer.
func save(tb *tab.Tab) {
	tb.Click(".open button|Save…")
	tb.Click("dialog button|Write")
	tb.WaitGone("dialog[open]")
}

// Somebody else writes while a value is edited: nothing is lost. Base, theirs,
// mine and a merge are shown, and what is saved of it is guarded as well.
func TestKeysSave_Conflict(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/app/conf", "one\ntwo\nthree\nfour\nfive", "ttl=500")
	tb := open(t, h, at("/app/conf"))
	tb.Expect("409")
	value(tb, "one\ntwo\nthree\nfour\nfive")
	write(tb, "one\ntwo\nthree\nfour\nFIVE")
	index := e.put("/app/conf", "ONE\ntwo\nthree\nfour\nfive", "ttl=400")
	tb.WaitSee("[role=alert]|index")
	save(tb)
	tb.WaitSee(".conflict h4|Base")
	tb.WaitSee(".conflict h4|Theirs, index " + index)
	tb.WaitSee(".conflict|both are in")
	e.want("/app/conf", "ONE\ntwo\nthree\nfour\nfive")
	merged := `document.querySelector(".conflict .merge").shadowRoot.querySelectorAll(".cm-content")[1].innerText`
	tb.Wait(merged + ` === "ONE\ntwo\nthree\nfour\nFIVE"`)
	accessible(t, tb, "a conflict")

	// They do it again before the result is saved.
	index = e.put("/app/conf", "ONE\ntwo\nTHREE\nfour\nfive", "ttl=300")
	tb.WaitSee("[role=alert]|once more")
	tb.Click("button|Save the result")
	tb.Click("dialog button|Write")
	tb.WaitSee(".conflict h4|Theirs, index " + index)
	e.want("/app/conf", "ONE\ntwo\nTHREE\nfour\nfive")
	tb.Wait(merged + ` === "ONE\ntwo\nTHREE\nfour\nFIVE"`)
	tb.Click("button|Save the result")
	tb.WaitSee("dialog|only if still at index " + index)
	tb.Click("dialog button|Write")
	tb.WaitGone("dialog[open]")
	value(tb, "ONE\ntwo\nTHREE\nfour\nFIVE")
	if n := e.want("/app/conf", "ONE\ntwo\nTHREE\nfour\nFIVE"); n.TTL < 200 || n.TTL > 300 {
		t.Errorf("the TTL is %d, want theirs kept", n.TTL)
	}

	// They delete it.
	write(tb, "mine")
	e.delete("/app/conf")
	tb.WaitSee(".conflict|deleted this key")
	tb.Click("button|Make it anew")
	tb.Click("dialog button|Write")
	tb.WaitGone("dialog[open]")
	value(tb, "mine")
	e.want("/app/conf", "mine")
}

// Both changed one line: mine stands in the result, theirs can be taken.
func TestKeysSave_Clash(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/conf", "a\nb\nc")
	tb := open(t, h, at("/conf"))
	value(tb, "a\nb\nc")
	write(tb, "a\nmine\nc")
	e.put("/conf", "a\ntheirs\nc")
	tb.Click("[role=alert] button|Compare")
	tb.WaitSee(".conflict|1 place was changed on both sides")
	merged := `document.querySelector(".conflict .merge").shadowRoot.querySelectorAll(".cm-content")[1].innerText`
	tb.Wait(merged + ` === "a\nmine\nc"`)
	tab.Eval[int](tb, `(document.querySelector(".conflict .merge").shadowRoot.querySelector("button").dispatchEvent(new MouseEvent("mousedown", {bubbles: true})), 0)`)
	tb.Wait(merged + ` === "a\ntheirs\nc"`)
	tb.Click("button|Start from mine")
	tb.Wait(merged + ` === "a\nmine\nc"`)
	tb.Click("button|Save the result")
	tb.Click("dialog button|Write")
	tb.WaitGone("dialog[open]")
	e.want("/conf", "a\nmine\nc")
}

// A draft stays while one looks at other keys, and while others change the key.
func TestKeysSave_DraftStays(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/a", "one")
	e.put("/b", "two")
	tb := open(t, h, at("/a"))
	value(tb, "one")
	write(tb, "draft")
	tb.WaitSee(`.tree [role=treeitem]|edited`)
	tb.Click(item("b"))
	value(tb, "two")
	e.put("/a", "changed")
	tb.Click(item("a"))
	value(tb, "draft")
	tb.WaitSee("[role=alert]|Nothing of theirs")
	tb.Click("button|Discard")
	value(tb, "changed")
	tb.WaitGone(`.tree [role=treeitem]|edited`)
	e.want("/a", "changed")
	e.put("/a", "changed again") // follows, as long as nothing is edited
	value(tb, "changed again")
}

// A save keeps what is left of the TTL, to the second.
func TestKeysSave_KeepsTTL(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/a", "one", "ttl=100")
	tb := open(t, h, at("/a"))
	value(tb, "one")
	write(tb, "two")
	n, _ := e.get("/a")
	tb.Await("some seconds to pass", func() bool { now, _ := e.get("/a"); return now.TTL <= n.TTL-4 })
	before, _ := e.get("/a")
	tb.WaitSee(".foot|keeps TTL 1 min")
	save(tb)
	after := e.want("/a", "two")
	if d := after.Expiration.Sub(before.Expiration).Abs(); d > 2*time.Second { // whole seconds are kept, and the write takes a moment
		t.Errorf("it expired at %v before the save and does at %v after it", before.Expiration, after.Expiration)
	}
}

// Bytes that the v2 API has lost are not written back; values come out as they
// went in.
func TestKeysSave_BytesAreKept(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	resp, err := http.DefaultClient.Do(must(t, http.MethodPut, h.Etcd+"/v2/keys/binary", "value=%ff%fe%00%41"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close() //nolint:errcheck // nothing of it is wanted
	n, _ := e.get("/binary")
	tb := open(t, h, at("/binary"))
	tb.WaitSee(".banner|not UTF-8")
	write(tb, "x")
	tb.Press("s", chromedp.ModifierCtrl)
	if tb.Sees("button|Save…") || tb.Sees("dialog[open]") {
		t.Error("a binary value can be saved")
	}
	if got, _ := e.get("/binary"); got.ModifiedIndex != n.ModifiedIndex {
		t.Error("a binary value was written")
	}
	for name, text := range map[string]string{"dos": "a\r\nb\r\nc", "mixed": "a\r\nb\nc\r", "nul": "a\x00b\x01", "end": "a\n\n", "wide": "\u2028\ufeff😀é"} {
		path := "/" + name
		e.put(path, text)
		tb.Go(h.URL + "/mod/dashboard/" + at(path))
		tb.Wait(editor)
		tab.Eval[bool](tb, `(`+editor+`.focus(), true)`)
		tb.Press("\u0000") // nothing
		tb.Press("Z")
		tb.WaitSee("button|Save…")
		save(tb)
		e.want(path, "Z"+text)
	}
}

func must(t *testing.T, method, address, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

// The page saves and others write at the same time, two hundred times: each
// write that was answered is in the value in the end.
func TestKeysSave_NoLostUpdate(t *testing.T) {
	const races = 200
	h, e := startKeys(t)
	e.put("/race", "start", "ttl=600")
	tb := open(t, h, at("/race"))
	tb.Expect("409")
	value(tb, "start")
	saved, lost := 0, 0
	turn := 20 * time.Millisecond // how long the page took last
	for i := range races {
		before, _ := e.get("/race")
		mine, theirs := fmt.Sprintf("mine %d", i), fmt.Sprintf("theirs %d", i)
		pause := rand.N(turn)
		var other sync.WaitGroup
		var status int
		other.Go(func() {
			time.Sleep(pause) // the race: who is first is left to chance
			status, _ = e.call(http.MethodPut, "/race", "value="+before.Value+"\n"+theirs, "prevIndex="+strconv.FormatUint(before.ModifiedIndex, 10), "ttl=600")
		})
		began := time.Now()
		ok := tab.Eval[bool](tb, fmt.Sprintf(module("pages/keys/write.js")+`.then((w) =>
			w.look("/race").then((node) => new Promise((done) => setTimeout(() => done(node), %d)).then(() => w.save(node, node.value + "\n%s", "keep"))).then(() => true, (e) => { if (e instanceof w.Changed) return false; throw e; }))`, rand.IntN(20), mine))
		turn = time.Since(began)
		other.Wait()
		n, _ := e.get("/race")
		has := func(line string) bool { return strings.Contains(n.Value+"\n", "\n"+line+"\n") }
		if ok {
			saved++
		} else {
			lost++
		}
		if ok != has(mine) || (status == http.StatusOK) != has(theirs) {
			t.Fatalf("race %d: the page's save was answered %v, the other's %d; etcd has\n%s", i, ok, status, n.Value)
		}
		if !strings.HasPrefix(n.Value, before.Value) {
			t.Fatalf("race %d: what stood there is gone: %q is now %q", i, before.Value, n.Value)
		}
		if n.TTL < 100 {
			t.Fatalf("race %d: the TTL is %d", i, n.TTL)
		}
		if len(n.Value) > 2000 {
			e.put("/race", "start", "ttl=600")
		}
	}
	t.Logf("the page was first %d times, not %d times", saved, lost)
	if saved == 0 || lost == 0 {
		t.Error("one side was always first: this was no race")
	}
}
