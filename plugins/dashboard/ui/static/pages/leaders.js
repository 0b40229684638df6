// The page Leaders.
import { html } from "../html.js";
import { here, now } from "../live.js";
import { held, owner, ttl, waiting } from "../lines/columns.js";
import { LinesPage } from "../lines/page.js";
import { endedSince, mostOfLine } from "../lines/state.js";
import { ToHistory } from "../lines/history.js";
import { Strip, spanOf } from "../lines/strip.js";
import { moment, number } from "../text.js";
import { leaders as words } from "../text/lines.js";

export const css = "pages/lines.css";

const hour = 3600_000;

function Figures({ data, rows }) {
  let led = 0, candidates = 0, elections = 0;
  for (const l of rows) {
    if (l.holder) led++;
    if (!l.waiting) continue;
    candidates += l.waiting;
    elections++;
  }
  const ends = data.endings.filter((/** @type {any} */ e) => e.held).length;
  return html`
    <dl class="figures">
      <div><dt>${words.figures.held}</dt><dd>${number(led)}</dd></div>
      <div><dt>${words.figures.vacant}</dt><dd>${number(rows.length - led)}</dd></div>
      <div><dt>${words.figures.waiting}</dt><dd>${number(candidates)}${candidates ? html` <small>${words.inLines(elections)}</small>` : null}</dd></div>
      <div><dt>${words.figures.ends}</dt><dd><${ToHistory}>${number(ends)}<//> <small>${words.since(moment(here(data.began)))}</small></dd></div>
    </dl>`;
}

/** How many transitions there were; of those that are kept. */
function Changes({ endings }) {
  const minute = Math.floor(now.value / 60_000) * 60_000;
  const n = (/** @type {number} */ since) => {
    const k = endedSince(endings, since);
    return k >= mostOfLine ? words.many(k) : number(k);
  };
  return html`<span>${words.changesIn(n(minute - hour), n(minute - 24 * hour))}</span>`;
}

/** Elections, with those that are vacant and were not since the dashboard began. */
function* elections(data, ended) {
  for (const l of data.lines.values()) yield { ...l, changes: endedSince(ended.get(l.key), 0) };
  for (const [key, list] of ended) {
    if (!data.lines.has(key)) yield { key, module: list[0].module, name: list[0].name, changes: endedSince(list, 0) };
  }
}

const kind = {
  area: "leaders", words, sort: "name", figures: Figures,
  columns: [
    ...[owner, held, ttl, waiting].map((c) => c(words)),
    { sort: "changes", once: true, title: words.changes, cell: (l, { ended }) => html`<${Changes} endings=${ended.get(l.key)} />` },
    { sort: "strip", title: words.strip, cell: (l, { ended, began }) => html`<${Strip} line=${l} began=${began} endings=${ended.get(l.key) ?? []} hours=${1} words=${words} />` },
  ],
  rows: elections,
  more: ({ line, endings, began }) => {
    const hours = spanOf(endings);
    return html`<h3>${words.stripOf(hours)}</h3><${Strip} line=${line} began=${began} endings=${endings} hours=${hours} words=${words} />`;
  },
};

export default function Page() {
  return html`<${LinesPage} kind=${kind} />`;
}
