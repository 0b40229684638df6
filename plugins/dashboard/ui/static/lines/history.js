// How places have ended, newest first.
import { html } from "../html.js";
import { here } from "../live.js";
import { href } from "../route.js";
import { dateTime, moment, span } from "../text.js";
import { Owner, OwnerAt } from "./owner.js";
import { Pager, onPage } from "./pager.js";

const perPage = 25;

/**
 * @param {{area: string, data: import("./state.js").Data, endings: import("./state.js").Ending[], of?: string, modules: string[], words: any}} props
 *   endings: newest first; of: the name of the line that all of them are of
 */
export function History({ area, data, endings, of, modules, words }) {
  const began = moment(here(data.began));
  const param = of === undefined ? "past" : "ends";
  const { rows, ...at } = onPage(endings, param, perPage);
  return html`
    <section class="history">
      ${of === undefined ? html`<h2 id="history" tabindex="-1">${words.history}</h2>` : html`<h3>${words.historyOf}</h3>`}
      <p class="muted">${endings.length ? words.historySince(began) : words.noHistory(began)}${
        of === undefined && data.missed ? ` ${words.missed(data.missed)}` : ""}${of === undefined && endings.length >= 2000 ? ` ${words.bounds}` : ""}</p>
      ${endings.length === 0 ? null : html`
        <table class="cards">
          <thead><tr><th scope="col">${words.when}</th>${of === undefined ? html`<th scope="col">${words.name}</th>` : null}
            ${of === undefined && modules.length > 1 ? html`<th scope="col">${words.module}</th>` : null}
            <th scope="col">${words.owner}</th><th scope="col" class="num">${words.held}</th><th scope="col">${words.end}</th><th scope="col">${words.next}</th></tr></thead>
          <tbody>${rows.map((/** @type {import("./state.js").Ending} */ e) => html`
            <tr key=${e.number}>
              <td data-label=${words.when}><time dateTime=${new Date(e.at).toISOString()} title=${dateTime(here(e.at))}>${moment(here(e.at))}</time></td>
              ${of === undefined ? html`<td data-label=${words.name}><a class="mono clip" href=${href(area, { open: e.key })}><bdi>${e.name}</bdi></a></td>` : null}
              ${of === undefined && modules.length > 1 ? html`<td data-label=${words.module}>${e.module}</td>` : null}
              <td data-label=${words.owner}><${OwnerAt} owner=${e} words=${words} /></td>
              <td class="num" data-label=${words.held}>${e.held ? span(e.at - (e.since || e.at)) : words.waited}</td>
              <td data-label=${words.end}><${Reason} ending=${e} words=${words} /></td>
              <td data-label=${words.next}>${e.next ? html`<${Owner} owner=${e.next} words=${words} />` : html`<span class="muted">${words.nobody}</span>`}</td>
            </tr>`)}</tbody>
        </table>
        <${Pager} at=${at} param=${param} label=${of === undefined ? words.history : words.historyOf} words=${words} />`}
    </section>`;
}

/** A link to the history of all. @param {{children?: any}} props */
export function ToHistory({ children }) {
  return html`<a href="#history" onClick=${(/** @type {Event} */ e) => { e.preventDefault(); document.getElementById("history")?.focus(); }}>${children}</a>`;
}

const kinds = { expired: "warn", lapsed: "warn", forced: "bad", withdrawn: "warn" };

/** @param {{ending: import("./state.js").Ending, words: any}} props */
function Reason({ ending, words }) {
  const [word, more] = words.reason[ending.reason] ?? [ending.reason, ""];
  return html`<span><span class=${`pill ${kinds[ending.reason] ?? ""}`}>${word}</span> <span class="muted">${ending.by ? html`<bdi>${words.by(ending.by)}</bdi>` : more}</span></span>`;
}
