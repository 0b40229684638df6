// Searching the whole store: names are whole paths; values are read for it. What comes is shown as it comes, with how much was looked at.
import { useEffect, useRef, useState } from "preact/hooks";
import { lines } from "../../api.js";
import { html } from "../../html.js";
import { change, href, query } from "../../route.js";
import { Problem } from "../../parts/problem.js";
import { number } from "../../text.js";
import { K } from "../../text/keys.js";
import { visible } from "./paths.js";
import { pick } from "./selection.js";
import { List, showRow } from "./window.js";

const limit = 500;
const height = 44;

export const hows = ["substring", "prefix", "regex"];

/** The form; what is in it stands in the address. */
export function SearchForm() {
  const q = query.value.get("q") ?? "";
  return html`
    <form role="search" class="search" onSubmit=${(e) => { e.preventDefault(); document.querySelector(".results a")?.focus(); }}>
      <input type="search" data-search aria-label=${K.search.label} placeholder=${K.search.label} value=${q} autocomplete="off" spellcheck=${false}
        onInput=${(e) => change({ q: e.currentTarget.value })}
        onKeyDown=${(e) => { if (e.key === "ArrowDown") { e.preventDefault(); document.querySelector(".results a")?.focus(); } else if (e.key === "Escape" && q) { e.preventDefault(); change({ q: "" }); } }} />
      ${q ? html`<div class="row"><select aria-label=${K.search.how} value=${query.value.get("how") ?? "substring"} onChange=${(e) => change({ how: e.currentTarget.value === "substring" ? "" : e.currentTarget.value })}>
        ${hows.map((h) => html`<option value=${h}>${K.search.hows[h]}</option>`)}
      </select>
      <select aria-label=${K.search.in} value=${query.value.get("in") ?? "name"} onChange=${(e) => change({ in: e.currentTarget.value === "name" ? "" : e.currentTarget.value })}>
        <option value="name">${K.search.inNames}</option>
        <option value="value">${K.search.inValues}</option>
      </select></div>` : null}
    </form>`;
}

/** What is found. @param {{q: string, how: string, within: string, at: string}} props */
export function Results({ q, how, within, at }) {
  const [state, setState] = useState(/** @type {any} */ ({ matches: [], searched: 0, total: 0 }));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const [again, setAgain] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    setProblem(null);
    setState((old) => ({ ...old, over: false })); // what is shown is of another search
    const timer = setTimeout(async () => {
      const matches = [];
      let told = {};
      let planned = 0;
      const show = () => { planned = 0; if (!stop.signal.aborted) setState({ ...told, matches: [...matches] }); };
      try {
        for await (const line of lines("keys/search", { params: { q, how, in: within, limit }, signal: stop.signal })) {
          if (line.match) matches.push(line.match);
          else told = { ...told, ...line };
          planned ||= setTimeout(show, 60);
        }
      } catch (error) {
        if (error.name !== "AbortError") setProblem(error);
      }
      clearTimeout(planned);
      told = { ...told, over: true };
      show();
    }, 250);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [q, how, within, again]);
  const { matches, searched, total, over, complete, more } = state;
  function key(/** @type {KeyboardEvent} */ e) {
    const list = box.current.querySelector(".list");
    const here = Number(document.activeElement?.getAttribute("data-i") ?? -1);
    const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: matches.length - 1, PageDown: here + 10, PageUp: here - 10 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    if (to < 0 && e.key === "ArrowUp") return document.querySelector("[data-search]")?.focus();
    const i = Math.max(0, Math.min(matches.length - 1, to));
    showRow(list, i, height);
    requestAnimationFrame(() => requestAnimationFrame(() => box.current?.querySelector(`a[data-i="${i}"]`)?.focus()));
  }
  const row = (i) => {
    const m = matches[i];
    return html`<a data-i=${i} href=${href("keys", { ...Object.fromEntries(query.value), at: m.key, tab: "", filter: "" })} aria-current=${m.key === at ? "true" : undefined}>
      <span class="mono cut">${visible(m.key)}${m.dir ? "/" : ""}</span><span class="mono cut muted">${m.dir ? K.directory : visible(m.preview ?? "")}</span></a>`;
  };
  return html`
    <div class="results" ref=${box}>
      <div class="row told">
        <span class=${over ? "muted" : ""} role="status">${over ? K.search.found(number(matches.length), more) : K.search.searching} ${
          total || searched ? K.search.searched(number(searched), number(total), complete === false) : ""}</span>
        <span class="grow"></span>
        ${matches.length ? html`<button type="button" class="small" onClick=${() => pick(matches.map((m) => [m.key, m.dir]), true)}>${K.search.pick(number(matches.length))}</button>` : null}
        <button type="button" class="small quiet" onClick=${() => setAgain((n) => n + 1)}>${K.search.again}</button>
      </div>
      <${Problem} error=${problem} />
      ${over && !problem && matches.length === 0 ? html`<p class="empty">${K.search.nothing(q)}</p>` : null}
      ${matches.length ? html`<${List} total=${matches.length} height=${height} label=${K.search.results} row=${row} onKeyDown=${key} />` : null}
    </div>`;
}
