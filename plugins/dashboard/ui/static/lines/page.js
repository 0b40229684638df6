// The pages Locks and Leaders: a list of lines, one of which is open, and how they have changed hands.
import { useCallback, useMemo, useState } from "preact/hooks";
import { html } from "../html.js";
import { hello, store, useTopic } from "../live.js";
import { base, change, query } from "../route.js";
import { useSubject } from "../shell.js";
import { Command } from "../parts/copy.js";
import { Filter } from "../parts/filter.js";
import { Problem } from "../parts/problem.js";
import { Age } from "../parts/time.js";
import { T } from "../text.js";
import { useFocusKept } from "./focus.js";
import { History } from "./history.js";
import { Order, refused } from "./owner.js";
import { Pager, onPage } from "./pager.js";
import { Queue } from "./queue.js";
import { Release } from "./release.js";
import { ascends, byLine, matching, reduce, sorted } from "./state.js";

const perPage = 100;
const none = /** @type {string[]} */ ([]);

/**
 * @typedef {object} Kind
 * @property {"locks" | "leaders"} area
 * @property {any} words
 * @property {string} sort                     the order without another in the address
 * @property {Column[]} columns
 * @property {(data: import("./state.js").Data, ended: Map<string, import("./state.js").Ending[]>) => Iterable<any>} rows
 * @property {Function} figures                a component of {data, rows, words}
 * @property {Function} [more]                 a component of {line, endings, began} within an open row
 */
/** @typedef {{sort: string, num?: boolean, once?: boolean, title: string, cell: (row: any, context: any) => any}} Column once: in one line */

/** @param {{kind: Kind}} props */
export function LinesPage({ kind }) {
  const { area, words } = kind;
  const { data, error } = useTopic(area, reduce).value;
  const modules = hello.value?.[area] ?? none;
  const lines = useMemo(() => html`<${Lines} kind=${kind} data=${data} modules=${modules} />`, [kind, data, modules]);
  return html`
    <h1>${words.title}</h1>
    <${Problem} error=${error} />
    ${hello.value && modules.length === 0 ? html`<p class="empty">${words.noModules}</p>`
    : !data?.began ? html`<p class="muted" aria-busy="true">${T.loading}</p>`
    : lines}`;
}

function Lines({ kind, data, modules }) {
  const { area, words } = kind;
  const q = query.value;
  const by = { text: q.get("q") ?? "", module: q.get("module") ?? "", sort: q.get("sort") || kind.sort };
  const open = q.get("open") ?? "";
  const [asking, setAsking] = useState(/** @type {any} */ (null));
  const ask = useCallback((line, place, waiting) => setAsking({ line, place, waiting }), []);

  const ended = useMemo(() => byLine(data), [data.endings]);
  const all = useMemo(() => [...kind.rows(data, ended)], [data, ended]);
  const inOrder = useMemo(() => sorted(all, by.sort), [all, by.sort]);
  const chosen = useMemo(() => matching(inOrder, by), [inOrder, by.text, by.module]);
  const at = onPage(chosen, "page", perPage);
  const rows = withOpen(at.rows, open, all);
  useSubject(open && open.slice(open.indexOf(":") + 1));

  const kept = useFocusKept();
  const old = store.value.why ? [] : data.contacts.filter((c) => c.error); // else the frame says it
  return html`
    <div class=${old.length ? "page stale" : "page"} ...${kept}>
      ${old.map((c) => html`<${Old} contact=${c} words=${words} />`)}
      <${kind.figures} data=${data} rows=${all} words=${words} />
      ${all.length === 0 && !open ? html`<${Empty} words=${words} module=${modules[0]} />` : html`
        <h2 class="sr">${words.table}</h2>
        <${Toolbar} kind=${kind} by=${by} modules=${modules} />
        ${chosen.length === 0 && all.length > 0 ? html`<p class="empty">${words.noMatch(by.text || by.module)} <button type="button" onClick=${() => change({ q: "", module: "", page: "" })}>${words.showAll}</button></p>` : null}
        ${rows.length ? html`<${Table} kind=${kind} rows=${rows} sort=${by.sort} open=${open} data=${data} ended=${ended} modules=${modules} ask=${ask} />` : null}
        <${Pager} at=${at} param="page" label=${words.table} words=${words} />`}
      <${History} area=${area} data=${data} endings=${useMemo(() => [...data.endings].reverse(), [data.endings])} modules=${modules} words=${words} />
    </div>
    ${asking ? html`<${Release} area=${area} ...${asking} data=${data} words=${words} onClose=${() => setAsking(null)} />` : null}`;
}

/** The rows with the open one, which is in front if it is none of them: it stays where one looks when its lock is free. @param {any[]} rows @param {string} open @param {any[]} all */
function withOpen(rows, open, all) {
  if (!open || rows.some((l) => l.key === open)) return rows;
  const i = open.indexOf(":");
  if (i < 0) return rows;
  return [all.find((l) => l.key === open) ?? { key: open, module: open.slice(0, i), name: open.slice(i + 1) }, ...rows];
}

function Old({ contact, words }) {
  const error = { message: contact.seen ? words.old(contact.module) : words.unread(contact.module), cause: contact.error };
  return html`<${Problem} error=${error} />${contact.seen ? html`<p class="muted since">${words.oldSince} <${Age} since=${contact.seen} /> ${words.ago}</p>` : null}`;
}

function Empty({ words, module }) {
  const url = new URL(words.path(module), location.origin + base).href;
  return html`<div class="empty">${words.empty}<${Command} text=${words.command(url)} /></div>`;
}

function Toolbar({ kind, by, modules }) {
  const { words } = kind;
  return html`
    <div class="row tools">
      <${Filter} search text=${by.text} label=${words.filter} apply=${(q) => change({ q, page: "" })} />
      ${modules.length > 1 ? html`
        <select aria-label=${words.modules} value=${by.module} onChange=${(e) => change({ module: e.currentTarget.value, page: "" })}>
          <option value="">${words.allModules}</option>${modules.map((m) => html`<option value=${m}>${m}</option>`)}
        </select>` : null}
      <select class="narrow" aria-label=${words.sort} value=${by.sort} onChange=${(e) => change({ sort: e.currentTarget.value, page: "" })}>
        ${Object.entries(words.sorts).flatMap(([id, name]) => [html`<option value=${id}>${name}</option>`, html`<option value=${"-" + id}>${name}, ${ascends("-" + id) ? words.ascending : words.descending}</option>`])}
      </select>
    </div>`;
}

function Table({ kind, rows, sort, open, data, ended, modules, ask }) {
  const { area, words } = kind;
  const context = { ended, began: data.began };
  const several = modules.length > 1;
  const columns = kind.columns.length + (several ? 3 : 2);
  return html`
    <table class="cards lines" onKeyDown=${move}>
      <caption class="sr">${words.table}</caption>
      <thead><tr>
        <${Head} id="name" title=${words.name} sort=${sort} words=${words} />
        ${several ? html`<th scope="col">${words.module}</th>` : null}
        ${kind.columns.map((c) => html`<${Head} id=${c.sort} title=${c.title} num=${c.num} sort=${sort} words=${words} />`)}
        <th scope="col"><span class="sr">${words.releaseVerb}</span></th>
      </tr></thead>
      <tbody>${rows.flatMap((l) => [html`
        <${Row} key=${l.key} line=${l} kind=${kind} context=${context} several=${several} open=${l.key === open} data=${data} ask=${ask} />`,
        l.key === open ? html`<tr key=${"open " + l.key} class="detail"><td colspan=${columns}>
          <${Queue} key=${l.key} area=${area} line=${l} data=${data} endings=${ended.get(l.key) ?? []} modules=${modules} words=${words}
            ask=${(place, waiting) => ask(l, place, waiting)}>
            ${kind.more ? html`<${kind.more} line=${l} endings=${ended.get(l.key) ?? []} began=${data.began} />` : null}
          <//></td></tr>` : null])}</tbody>
    </table>`;
}

/** A head that sorts; a second time the other way round. */
function Head({ id, title, num, sort, words }) {
  if (!words.sorts[id]) return html`<th scope="col" class=${num ? "num" : ""}>${title}</th>`;
  const mine = sort === id || sort === "-" + id;
  return html`
    <th scope="col" class=${num ? "num" : ""} aria-sort=${mine ? (ascends(sort) ? "ascending" : "descending") : undefined}>
      <button type="button" class="quiet small sort" onClick=${() => change({ sort: sort === id ? "-" + id : id, page: "" })}>${title}<span aria-hidden="true"> ${mine ? (ascends(sort) ? "▴" : "▾") : ""}</span></button>
    </th>`;
}

/**
 * Between two holders the button stays, so that the focus does; it opens the row then, where each place has a button.
 * Of many rows few change at a time: the others are not drawn again.
 */
function Row({ line, kind, context, several, open, data, ask }) {
  const { words } = kind;
  const why = refused(words, data.contacts.find((c) => c.module === line.module));
  const row = () => html`
    <tr class=${open ? "chosen" : ""}>
      <td data-label=${words.name}>
        <button type="button" class="quiet toggle" aria-expanded=${open} onClick=${() => change({ open: open ? "" : line.key, ends: "" }, false)}>
          <span aria-hidden="true">${open ? "▾" : "▸"} </span><bdi class="mono clip" title=${line.name}>${line.name}</bdi></button>
      </td>
      ${several ? html`<td data-label=${words.module}>${line.module}</td>` : null}
      ${kind.columns.map((c) => html`<td data-label=${c.title} class=${c.num ? "num" : c.once ? "once" : ""}>${c.cell(line, context)}</td>`)}
      <td class="num act">${line.holder || line.waiting ? html`<${Order} of=${words.releaseOf(line.name)} why=${why} onClick=${() => (line.holder ? ask(line, line.holder, false) : change({ open: line.key }))}>${words.release}<//>` : null}</td>
    </tr>`;
  return useMemo(row, [line, kind, several, open, why, ask, context.began, context.ended.get(line.key)?.[0] /* the newest */]);
}

/** Arrows go from row to row, and open and close them. @param {KeyboardEvent} e */
function move(e) {
  const from = e.target instanceof Element ? e.target.closest(".toggle") : null;
  if (!(from instanceof HTMLElement) || e.ctrlKey || e.metaKey || e.altKey) return;
  const all = /** @type {HTMLElement[]} */ ([.../** @type {HTMLElement} */ (e.currentTarget).querySelectorAll(".toggle")]);
  const i = all.indexOf(from);
  const to = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: all.length - 1 }[e.key];
  const open = from.getAttribute("aria-expanded") === "true";
  if (to !== undefined) all[to]?.focus();
  else if (e.key === "ArrowRight" && !open || e.key === "ArrowLeft" && open) from.click();
  else return;
  e.preventDefault();
}
