// The page Locks.
import { html } from "../html.js";
import { here } from "../live.js";
import { Age } from "../parts/time.js";
import { held, index, owner, ttl, waiting } from "../lines/columns.js";
import { ToHistory } from "../lines/history.js";
import { LinesPage } from "../lines/page.js";
import { moment, number } from "../text.js";
import { locks as words } from "../text/lines.js";

export const css = "pages/lines.css";

function Figures({ data, rows }) {
  const ends = data.endings.filter((/** @type {any} */ e) => e.held).length; // who was taken out of a line has handed nothing over
  let holding = 0, places = 0, lines = 0, longest = 0;
  for (const l of rows) {
    if (l.holder) holding++;
    if (!l.waiting) continue;
    places += l.waiting;
    lines++;
    if (l.asked && (!longest || l.asked < longest)) longest = l.asked;
  }
  return html`
    <dl class="figures">
      <div><dt>${words.figures.held}</dt><dd>${number(holding)}</dd></div>
      <div><dt>${words.figures.waiting}</dt><dd>${number(places)}${places ? html` <small>${words.inLines(lines)}</small>` : null}</dd></div>
      <div><dt>${words.figures.longest}</dt><dd>${longest ? html`<${Age} since=${longest} />` : "–"}</dd></div>
      <div><dt>${words.figures.ends}</dt><dd><${ToHistory}>${number(ends)}<//> <small>${words.since(moment(here(data.began)))}</small></dd></div>
    </dl>`;
}

const kind = {
  area: "locks", words, sort: "wait", figures: Figures,
  columns: [...[owner, index, held, ttl].map((c) => c(words)), { ...waiting(words), sort: "wait" }],
  rows: (/** @type {any} */ data) => data.lines.values(),
};

export default function Page() {
  return html`<${LinesPage} kind=${kind} />`;
}
