// Columns that both pages have.
import { html } from "../html.js";
import { Age, TTL } from "../parts/time.js";
import { number } from "../text.js";
import { Owner } from "./owner.js";

const none = html`<span class="muted">–</span>`;

/** Who holds. A change of it shows. @param {any} words */
export const owner = (words) => ({
  sort: "owner", title: words.owner,
  cell: (/** @type {any} */ l) => (l.holder
    ? html`<span key=${l.holder.index} class=${l.fresh ? "changed" : ""}><${Owner} owner=${l.holder} words=${words} /></span>`
    : html`<span class="muted">${l.waiting ? words.pending : words.free}</span>`),
});

/** @param {any} words */
export const index = (words) => ({ sort: "index", num: true, title: words.index, cell: (/** @type {any} */ l) => (l.holder ? html`<span class="mono">${l.holder.index}</span>` : none) });

/** @param {any} words */
export const held = (words) => ({ sort: "held", num: true, title: words.held, cell: (/** @type {any} */ l) => (l.holder ? html`<${Age} since=${l.holder.since} />` : none) });

/** @param {any} words */
export const ttl = (words) => ({ sort: "ttl", title: words.ttl, cell: (/** @type {any} */ l) => (l.holder ? html`<${TTL} until=${l.holder.expires} ttl=${l.holder.ttl} />` : none) });

/** @param {any} words */
export const waiting = (words) => ({
  sort: "waiting", num: true, title: words.waiting,
  cell: (/** @type {any} */ l) => (l.waiting ? html`<span>${number(l.waiting)}${l.asked ? html`<span class="muted">, ${words.longest} <${Age} since=${l.asked} /></span>` : null}</span>` : none),
});
