// Who led when, as a strip.
import { html } from "../html.js";
import { here, now } from "../live.js";
import { moment } from "../text.js";

const hour = 3600_000;

/** Terms of office within the last hours, oldest first. @param {import("./state.js").Line} line @param {import("./state.js").Ending[]} endings newest first @param {number} from @param {number} to */
function terms(line, endings, from, to) {
  const list = [];
  for (const e of endings) {
    if (e.at < from) break;
    if (e.held) list.unshift({ owner: e, from: e.since || e.at, to: e.at, ended: true });
  }
  if (line.holder) list.push({ owner: line.holder, from: line.holder.since || to, to, ended: false });
  return list;
}

/** The hours, of 1, 6 and 24, in which everything is. @param {import("./state.js").Ending[]} endings newest first */
export function spanOf(endings) {
  const oldest = endings.at(-1);
  const age = oldest ? now.peek() - oldest.at : 0;
  return age < hour ? 1 : age < 6 * hour ? 6 : 24;
}

/** One of three shades, always the same for the same owner. @param {string} text */
function shade(text) {
  let sum = 0;
  for (let i = 0; i < text.length; i++) sum = (sum * 31 + text.charCodeAt(i)) % 9973;
  return `shade${sum % 3}`;
}

/** What was before began is not known, and empty. @param {{line: import("./state.js").Line, endings: import("./state.js").Ending[], began: number, hours: number, words: any}} props */
export function Strip({ line, endings, began, hours, words }) {
  const to = Math.floor(now.value / 5000) * 5000; // moves every five seconds
  const from = to - hours * hour;
  const x = (/** @type {number} */ t) => Math.max(0, Math.min(1000, ((t - from) / (to - from)) * 1000));
  const list = terms(line, endings, from, to);
  const name = (/** @type {any} */ o) => o.value || words.anonymous;
  const told = words.stripText(words.stripOf(hours), list.filter((t) => t.ended).length,
    list.slice(-10).map((t) => (t.ended ? `${name(t.owner)} (– ${moment(here(t.to))})` : name(t.owner))));
  return html`
    <svg class="strip" viewBox="0 0 1000 14" preserveAspectRatio="none" role="img" aria-label=${told}>
      <title>${told}</title>
      <rect class="vacant" x=${x(began).toFixed(1)} width=${(1000 - x(began)).toFixed(1)} height="14" />
      ${list.map((t) => html`
        <rect class=${shade(name(t.owner))} x=${x(t.from).toFixed(1)} width=${Math.max(2, x(t.to) - x(t.from)).toFixed(1)} height="14" />
        ${t.ended ? html`<rect class="mark" x=${Math.min(996, x(t.to)).toFixed(1)} width="4" height="14" />` : null}`)}
    </svg>`;
}
