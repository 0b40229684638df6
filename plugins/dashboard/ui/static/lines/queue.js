// An open row: the line in its order, and how it has changed hands.
import { html } from "../html.js";
import { useTopic } from "../live.js";
import { Age, TTL } from "../parts/time.js";
import { Problem } from "../parts/problem.js";
import { T, number } from "../text.js";
import { History } from "./history.js";
import { Order, Owner, Whole, refused } from "./owner.js";

/**
 * @param {{area: string, line: import("./state.js").Line, data: import("./state.js").Data, endings: import("./state.js").Ending[], modules: string[],
 *   words: any, ask: (place: any, waiting: boolean) => void, children?: any}} props children stand between the line and the history
 */
export function Queue({ area, line, data, endings, modules, words, ask, children }) {
  const { data: queue, error } = useTopic(`${area}:${line.key}`).value;
  return html`
    <div class="open">
      <h3 class="whole">${words.open("")}<bdi class="mono">${line.name}</bdi></h3>
      <${Problem} error=${error} />
      ${!queue ? html`<p class="muted" aria-busy="true">${T.loading}</p>`
      : queue.total === 0 ? html`<p class="muted">${words.queueEmpty}</p>`
      : html`<${Places} area=${area} line=${line} queue=${queue} words=${words} ask=${ask} why=${refused(words, data.contacts.find((c) => c.module === line.module))} />`}
      ${children}
      <${History} area=${area} data=${data} endings=${endings} of=${line.name} modules=${modules} words=${words} />
    </div>`;
}

function Places({ area, line, queue, words, ask, why }) {
  return html`
    <table class="cards places">
      <thead><tr><th scope="col" class="num">${words.place}</th><th scope="col">${words.who}</th><th scope="col" class="num">${words.index}</th>
        <th scope="col" class="num">${words.asked}</th><th scope="col" class="num">${words.held}</th><th scope="col">${words.ttl}</th><th scope="col" class="num">${words.wanted}</th>
        <th scope="col" class="num" title=${words.sessionsHelp}>${words.sessions}</th><th scope="col"><span class="sr">${words.remove}</span></th></tr></thead>
      <tbody>${queue.places.map((/** @type {import("./state.js").Place} */ p, /** @type {number} */ i) => html`
        <tr key=${p.index}>
          <td class="num" data-label=${words.place}>${p.held ? html`<span class="pill ok">${words.holds}</span>` : number(queue.places[0].held ? i : i + 1)}</td>
          <td data-label=${words.who}><span><${Owner} owner=${p} words=${words} /> <${Whole} area=${area} line=${line} owner=${p} words=${words} />${
            p.renewed ? html` <span class="muted">${words.renewed}</span>` : null}</span></td>
          <td class="num" data-label=${words.index}><span class="mono">${p.index}</span></td>
          <td class="num" data-label=${words.asked}>${p.held ? html`<span class="muted">–</span>` : html`<${Age} since=${p.asked} />`}</td>
          <td class="num" data-label=${words.held}>${p.held ? html`<${Age} since=${p.since} />` : html`<span class="muted">–</span>`}</td>
          <td data-label=${words.ttl}>${p.held ? html`<${TTL} until=${p.expires} ttl=${p.ttl} />` : html`<span class="muted">–</span>`}</td>
          <td class="num" data-label=${words.wanted}>${words.seconds(p.ttl)}</td>
          <td class="num" data-label=${words.sessions}>${p.sessions || html`<span class="muted">–</span>`}</td>
          <td class="num">${p.held
            ? html`<${Order} of=${words.releaseOf(line.name)} why=${why} onClick=${() => ask(p, false)}>${words.release}<//>`
            : html`<${Order} of=${words.removeOf(p.index)} why=${why} onClick=${() => ask(p, true)}>${words.remove}<//>`}</td>
        </tr>`)}</tbody>
    </table>
    ${queue.total > queue.places.length ? html`<p class="muted">${words.someOf(queue.places.length, queue.total)}</p>` : null}`;
}
