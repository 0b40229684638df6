package browser

import (
	"strconv"
	"testing"

	"github.com/etcd-modules/modhost/integration/browser/tab"
)

// What takes turns with the page by itself: effects that were put off, answers,
// events of scrolling. The moment that matters is made, not waited for.

// passed declares in the page what lets things happen: frames, in which all that
// was put off is done, and turns, between which nothing but promises is.
const passed = `
	const frames = async (n) => { for (let i = 0; i < n; i++) await new Promise(requestAnimationFrame); };
	const turns = async (done) => { for (let i = 0; i < 1000 && !done(); i++) await null; };
`

// What is typed when a new value was just drawn is typed into that value, and
// nothing can be typed where nothing may be written any more.
func TestMoments_TypedWhileAValueArrives(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/a", "one")
	tb := open(t, h, at("/a"))
	value(tb, "one")
	got := tab.Eval[map[string]string](tb, `(async () => {
		`+passed+`
		const { join, leave, hello } = await `+module("live.js")+`;
		const { EditorView } = await `+module("vendor/codemirror.mjs")+`;
		const { draftOf, textOf } = await `+module("pages/keys/drafts.js")+`;
		const content = `+editor+`;
		const view = EditorView.findFromDOM(content);
		view.focus();
		view.dispatch({ selection: { anchor: 0 } });
		const topic = join("node:/a");
		const { data } = topic.value;
		await frames(5);

		// One task from here on: what is put off until after the next frame has not run.
		let tasks = 0;
		const next = new MessageChannel();
		next.port1.onmessage = () => tasks++;
		next.port2.postMessage(0);
		const modified = "1" + data.node.modified;
		topic.value = { data: { ...data, revision: "1" + data.revision, node: { ...data.node, value: "two", modified } }, error: null };
		await turns(() => document.querySelector(".facts").textContent.includes(modified));
		const late = tasks;
		document.execCommand("insertText", false, "!");
		await turns(() => draftOf("/a"));
		await frames(5);
		const draft = draftOf("/a");
		const typed = { late: String(late), view: view.state.sliceDoc(), shown: content.textContent, draft: draft ? textOf(draft) : "", base: draft?.base.value ?? "" };

		hello.value = { ...hello.value, readOnly: "not here" };
		await turns(() => document.querySelector(".tab button.primary")?.disabled);
		document.execCommand("insertText", false, "?");
		await frames(5);
		typed.locked = view.state.sliceDoc();
		leave("node:/a");
		return typed;
	})()`)
	for what, want := range map[string]string{"late": "0", "view": "!two", "shown": "!two", "draft": "!two", "base": "two", "locked": "!two"} {
		if got[what] != want {
			t.Errorf("%s: %q, want %q", what, got[what], want)
		}
	}
	e.want("/a", "one")
	tab.Eval[bool](tb, module("pages/keys/drafts.js")+`.then(({ dropDraft }) => (dropDraft("/a"), true))`) // else leaving is asked about
}

// What changes while a filtered directory is asked for is in it in the end.
func TestMoments_ChangedWhileFiltered(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/a", "first")
	e.put("/dir/match-1", "old")
	e.put("/dir/other", "old")
	tb := open(t, h, at("/dir"))
	tb.WaitSee(".rows tr|match-1")
	tb.WaitSee(item("match-1"))
	tab.Eval[bool](tb, `(() => {
		const real = window.fetch;
		window.fetch = async (...about) => {
			const answer = await real(...about);
			if (!window.release && /keys[/]page[?].*filter=/.test(about[0])) await new Promise((done) => { window.release = done; });
			return answer;
		};
		return true;
	})()`)
	tb.Type(".filter", "match")
	tb.Wait(`window.release`) // the answer is there, and held
	e.put("/dir/match-2", "new")
	tb.WaitSee(item("match-2"))
	// Longer than what has changed is gathered for.
	tab.Eval[bool](tb, `(async () => { `+passed+` await frames(30); release(); return true; })()`)
	tb.WaitSee(".rows tr|match-1")
	tb.WaitSee(".rows tr|match-2")
	tb.WaitGone(".rows tr|other")
}

// A log goes on following its end if the news of our own scrolling comes when
// there are newer lines.
func TestMoments_LogFollows(t *testing.T) {
	t.Parallel()
	tb := open(t, start(t, ""), "modules?name=lock")
	tb.WaitSee(".log")
	if got := tab.Eval[string](tb, `(async () => {
		`+passed+`
		const { join, leave } = await `+module("live.js")+`;
		const topic = join("log:lock");
		const box = document.querySelector(".log");
		const write = (n) => { topic.value = { data: Array.from({ length: n }, (_, i) => ({ t: 0, level: "info", text: "line " + i })), error: null }; };
		const follows = () => box.scrollHeight - box.scrollTop - box.clientHeight < 20;
		const { get, set } = Object.getOwnPropertyDescriptor(Element.prototype, "scrollTop");
		let scrolled = 0, told = 0;
		box.addEventListener("scroll", () => told++);
		// Newer lines come as soon as it was scrolled: the event of that comes with the next frame.
		Object.defineProperty(box, "scrollTop", { configurable: true, get, set(y) {
			set.call(box, y);
			if (++scrolled === 1) write(100);
		} });
		write(50);
		await frames(20);
		let seen = box.isConnected && scrolled > 0 && told > 0 && box.scrollHeight > 2 * box.clientHeight && box.textContent.includes("line 99") ? "" : "nothing was provoked; ";
		if (!follows()) seen += "it has lost its end; ";
		delete box.scrollTop;
		write(150);
		await frames(20);
		if (!follows()) seen += "it follows no longer; ";
		leave("log:lock");
		return seen;
	})()`); got != "" {
		t.Error(got)
	}
}

// A directory that is open stands below its own row also if it was not found at
// first, when all rows were read again.
func TestMoments_FoundLater(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/a", "first")
	e.put("/dir/inner", "x")
	tb := open(t, h, at("/dir"))
	const rows = `[...` + treeRows + `].sort((a, b) => a.dataset.place - b.dataset.place).map((r) => r.querySelector(".name").innerText).join(" ")`
	tb.Wait(rows + ` === "a dir inner"`)
	tab.Eval[bool](tb, module("pages/keys/level.js")+`.then(({ use }) => {
		window.level = use("/");
		level.receive = (sent) => { window.missed = sent; };
		return true;
	})`)
	e.put("/aaa", "above")
	tb.Wait(`window.missed?.seq > level.seq`)
	tab.Eval[bool](tb, `(() => {
		const real = window.fetch;
		window.fetch = (...about) => {
			if (!/keys[/]page[?].*around=/.test(about[0]) || window.refused) return real(...about);
			window.refused = true;
			return Promise.reject(new TypeError("no way"));
		};
		delete level.receive;
		level.restart(level.count + 1, missed.seq);
		return true;
	})()`)
	tb.Wait(`window.refused`)
	tb.Wait(rows + ` === "a aaa dir inner"`)
}

// Who leaves a page at once that is to be scrolled to where it was left finds
// the next one where that was left: at its top.
func TestMoments_LeftWhileScrolledBack(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	for i := range 20 {
		grant(t, h.URL, "POST", "/mod/v2/lock/"+strconv.Itoa(i)+"?ttl=600", nil)
	}
	tb := chromium.Open(t)
	tb.Size(1200, 300)
	const tall = `document.documentElement.scrollHeight - innerHeight >= 200`
	for what, leave := range map[string]string{
		"Back":   `history.back()`,
		"a link": `document.querySelector("nav a[data-page=overview]").click()`,
	} {
		tb.Go(h.URL + "/mod/dashboard/")
		tb.WaitSee("h1|Overview")
		tb.Wait(tall) // a young host has no graphs
		tab.Eval[bool](tb, `(document.querySelector("nav a[data-page=locks]").click(), true)`)
		tb.WaitSee("h1|Locks")
		tb.Wait(`(scrollTo(0, 200), scrollY === 200)`)
		tab.Eval[bool](tb, `(document.querySelector("nav a[data-page=members]").click(), true)`)
		tb.WaitSee("h1|Members")
		tb.Wait(`scrollY === 0`)
		tab.Eval[bool](tb, module("pages.js")+`.then(({ pages }) => {
			pages.find((p) => p.id === "locks").load = () => new Promise(() => {}); // it never is long enough
			addEventListener("popstate", () => {
				window.left = history.state?.y;
				requestAnimationFrame(() => requestAnimationFrame(() => { `+leave+`; }));
			}, { once: true });
			history.back();
			return true;
		})`)
		tb.WaitSee("h1|Overview")
		tb.Wait(tall)
		got := tab.Eval[[]float64](tb, `(async () => { `+passed+` await frames(30); return [window.left ?? -1, scrollY]; })()`)
		if got[0] != 200 {
			t.Errorf("%s: the page before was left at %v px, want 200", what, got[0])
		}
		if got[1] != 0 {
			t.Errorf("%s: the page was scrolled to %v px", what, got[1])
		}
	}
}

// A directory that an address leads to is open in the tree, also if it is the
// row that the keyboard begins at, and all rows are there before it is found.
func TestMoments_FirstRowIsOpened(t *testing.T) {
	t.Parallel()
	h, e := startKeys(t)
	e.put("/dir/inner", "x")
	tb := open(t, h, "")
	tab.Eval[bool](tb, `(() => {
		const real = window.fetch;
		window.fetch = async (...about) => {
			const answer = await real(...about);
			if (!window.release && /keys[/]page[?].*around=/.test(about[0])) await new Promise((done) => { window.release = done; });
			return answer;
		};
		const link = document.body.appendChild(document.createElement("a"));
		link.href = "keys?at=/dir";
		link.click();
		link.remove();
		return true;
	})()`)
	tb.Wait(`window.release`)
	tb.WaitSee(item("dir"))
	tab.Eval[bool](tb, `(async () => { `+passed+` await frames(10); release(); return true; })()`)
	tb.WaitSee(item("inner"))
}
