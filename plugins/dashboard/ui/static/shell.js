// The frame around every page: top bar, navigation, banners, shortcuts.
import { signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { APIError } from "./api.js";
import { html } from "./html.js";
import { connection, hello, here, known, now, stale, store, tick, useTopic } from "./live.js";
import { base, href, page } from "./route.js";
import { pages } from "./pages.js";
import { Dialog } from "./parts/dialog.js";
import { pageSheet } from "./parts/sheet.js";
import { T, moment, span } from "./text.js";
import { theme } from "./theme.js";

/** What the page's title names beside the page itself. */
const subject = signal("");

/** Has text in the page's title for as long as a component is shown; "" is none. @param {string} text */
export function useSubject(text) {
  // By layout, since other effects end only after those of the page that comes have begun.
  useLayoutEffect(() => {
    subject.value = text;
    return () => { subject.value = ""; };
  }, [text]);
}

const version = new URL(import.meta.url).pathname.slice(base.length).split("/")[1];

export function Shell() {
  const help = useRef(/** @type {any} */ (null));
  useShortcuts(help);
  return html`
    <a class="skip" href="#content" onClick=${(e) => { e.preventDefault(); document.getElementById("content")?.focus(); }}>${T.skip}</a>
    <${TopBar} help=${help} />
    <div class="frame">
      <${Navigation} />
      <main id="content" tabindex="-1">
        <${Banners} />
        <${Content} />
      </main>
    </div>
    <${Help} handle=${help} />`;
}

function TopBar({ help }) {
  const h = hello.value;
  return html`
    <header class="top">
      <a class="brand" href=${href("")}>${T.name}</a>
      ${h?.readOnly ? html`<span class="pill warn" title=${h.readOnly}>${T.readOnly}<span class="sr">: ${h.readOnly}</span></span>` : null}
      <span class="grow"></span>
      <${Stream} />
      <button type="button" class="quiet" aria-label=${T.shortcuts.open} title=${T.shortcuts.open} onClick=${() => help.current?.open()}>?</button>
      <select class="quiet" aria-label=${T.theme.label} value=${theme.value} onChange=${(e) => { theme.value = e.currentTarget.value; }}>
        ${["system", "light", "dark"].map((t) => html`<option value=${t}>${T.theme[t]}</option>`)}
      </select>
      ${h?.signedIn ? html`
        <form method="post" action=${base}>
          <input type="hidden" name="modhost_sign_out" value="1" />
          <button class="quiet" title=${T.user(h.user)}>${T.signOut}</button>
        </form>` : h?.user ? html`<span class="muted">${h.user}</span>` : null}
    </header>`;
}

/** How alive the data is. Only its state is announced, not the age that grows. */
function Stream() {
  let state = connection.value;
  if (known.value === 0 && state !== "connecting") state = "none";
  else if (state === "live" && store.value.why) state = "away";
  const level = { connecting: "", live: "ok" }[state] ?? "bad";
  const shape = { connecting: "○", live: "●" }[state] ?? "▲";
  const old = state === "away" || state === "stale" ? T.stream.old(span(tick.value - known.value)) : "";
  return html`
    <span class=${`pill ${level}`}>
      <span aria-hidden="true">${shape} ${T.stream[state]}${old}</span>
      <span class="sr" role="status">${T.stream[state]}</span>
    </span>`;
}

function Navigation() {
  const states = useTopic("nav").value.data ?? {};
  const all = useRef(/** @type {HTMLElement | null} */ (null));
  // On a telephone the row is longer than the view.
  useEffect(() => { all.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }); }, [page.value]);
  return html`
    <nav aria-label=${T.navigation} ref=${all}>
      <ul>
        ${pages.map((p) => {
          const off = states[p.id]; // the module behind it does not run: to where it can be switched on
          return html`
          <li key=${p.id}>
            <a href=${off ? href("modules", { name: off.module }) : href(p.path)} data-page=${p.id} aria-current=${p === page.value ? "page" : undefined}
              class=${off ? "off" : ""} title=${off ? T.off(off.reason) : undefined}>${T.pages[p.id]}${
              off ? html`<span class="sr"> (${T.off(off.reason)})</span>` : null}</a>
          </li>`;
        })}
      </ul>
    </nav>`;
}

function Banners() {
  const at = known.value ? moment(known.value) : T.never;
  const { why, since } = store.value;
  return html`
    <div class="banners" aria-live="polite">
      ${hello.value && hello.value.version !== version ? html`
        <p class="banner warn">${T.banner.old} <button type="button" onClick=${() => location.reload()}>${T.banner.reload}</button></p>` : null}
      ${connection.value === "stale" ? html`<p class="banner bad">${T.banner.lost(at)}</p>`
    : why ? html`<p class="banner bad">${page.value.current ? T.banner.current(why) : T.banner.store(moment(here(since)), why)}</p>` : null}
    </div>`;
}

/** The page that is open. A failure of it leaves the frame alone. */
function Content() {
  const p = page.value;
  const [loaded, setLoaded] = useState(/** @type {any} */ ({}));
  useEffect(() => {
    let over = false;
    p.load().then(async (m) => ({ m, dress: await pageSheet(m.css) })).then(({ m, dress }) => {
      if (over) return;
      dress();
      setLoaded({ page: p, component: m.default });
    },
      (error) => { if (!over) { console.warn(error); setLoaded({ page: p, error }); } });
    return () => { over = true; };
  }, [p]);
  useEffect(() => {
    document.title = T.title(subject.value ? `${subject.value} · ${T.pages[p.id]}` : T.pages[p.id], T.name);
  }, [p, subject.value]);
  // What had the focus has gone with its page: whoever listens hears of the next one, and goes on from its beginning.
  const opened = useRef(p);
  useEffect(() => {
    if (opened.current !== p && document.activeElement === document.body) document.getElementById("content")?.focus({ preventScroll: true });
    opened.current = p;
  }, [p]);
  const needs = p.needs && hello.value?.missing.includes(p.needs);
  let inner;
  if (needs) inner = html`<h1>${T.pages[p.id]}</h1><p class="empty">${T.missing(p.needs, hello.value.module)}</p>`;
  else if (loaded.page !== p) inner = html`<p class="muted" aria-busy="true">${T.loading}</p>`;
  else if (loaded.error) inner = html`<h1>${T.pages[p.id]}</h1><p class="banner bad">${T.pageFailed} <button type="button" onClick=${() => location.reload()}>${T.banner.reload}</button></p>`;
  else inner = html`<${loaded.component} />`;
  const old = p.current ? connection.value === "stale" : stale.value;
  return html`<div class=${old ? "page stale" : "page"} key=${p.id}>${inner}</div>`;
}

/** "/" searches, "g" and a letter opens a page, "?" tells so. Nothing of it happens while somebody writes. */
function useShortcuts(help) {
  useEffect(() => {
    let leader = 0;
    const on = (/** @type {KeyboardEvent} */ e) => {
      if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
      const at = /** @type {Element} */ (e.composedPath()[0]);
      if (at instanceof Element && at.closest("input, textarea, select, [contenteditable], dialog")) return;
      if (leader && Date.now() - leader < 1500) {
        leader = 0;
        const p = pages.find((q) => q.key === e.key);
        if (p) {
          e.preventDefault();
          /** @type {HTMLElement | null} */ (document.querySelector(`nav a[data-page="${p.id}"]`))?.click();
        }
        return;
      }
      leader = 0;
      if (e.key === "g") leader = Date.now();
      else if (e.key === "?") help.current?.open();
      else if (e.key === "/") {
        const field = document.querySelector("main [data-search]");
        if (field instanceof HTMLInputElement) {
          e.preventDefault();
          field.focus();
          field.select();
        }
      }
    };
    document.addEventListener("keydown", on);
    return () => document.removeEventListener("keydown", on);
  }, []);
}

function Help({ handle }) {
  const rows = [
    ["/", T.shortcuts.search],
    ...pages.map((p) => [`g ${p.key}`, T.shortcuts.page(T.pages[p.id])]),
    ["↑ ↓ ← → Home End", T.shortcuts.list],
    ["n", T.shortcuts.create],
    ["e", T.shortcuts.edit],
    ["Ctrl+S", T.shortcuts.save],
    ["Delete", T.shortcuts.remove],
    ["?", T.shortcuts.help],
    ["Esc", T.shortcuts.close],
  ];
  return html`
    <${Dialog} handle=${handle} title=${T.shortcuts.title}>
      <dl class="keys">${rows.map(([key, text]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${text}</dd></div>`)}</dl>
    <//>`;
}

export { APIError, now };
