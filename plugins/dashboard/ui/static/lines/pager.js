// Long lists, a page at a time. The page is in the address.
import { useRef } from "preact/hooks";
import { html } from "../html.js";
import { change, query } from "../route.js";

/**
 * What is on the page that the address names.
 * @template T
 * @param {T[]} list @param {string} param @param {number} size
 */
export function onPage(list, param, size) {
  const last = Math.max(1, Math.ceil(list.length / size));
  const page = Math.min(last, Math.max(1, Number.parseInt(query.value.get(param) ?? "1", 10) || 1));
  const from = (page - 1) * size;
  const rows = list.slice(from, from + size);
  return { rows, page, last, from: from + 1, to: from + rows.length, all: list.length };
}

/** Nothing, if all is on one page. It stands behind the list, to whose beginning it goes. @param {{at: any, param: string, label: string, words: any}} props */
export function Pager({ at, param, label, words }) {
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  if (at.last === 1) return null;
  function to(page) {
    change({ [param]: page > 1 ? page : "" }, false);
    list.current?.previousElementSibling?.scrollIntoView();
  }
  return html`
    <div class="row pager" ref=${list} role="group" aria-label=${label}>
      <button type="button" disabled=${at.page === 1} onClick=${() => to(at.page - 1)}>${words.before}</button>
      <button type="button" disabled=${at.page === at.last} onClick=${() => to(at.page + 1)}>${words.after}</button>
      <span class="muted">${words.range(at.from, at.to, at.all)}</span>
    </div>`;
}
