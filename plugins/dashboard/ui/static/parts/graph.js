// A graph over time, with its title, unit and last values. uPlot is loaded after the page is there.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { colour, look as looks } from "../theme.js";
import { time } from "../text.js";
import { stylesheet } from "./sheet.js";

/** @type {Promise<any> | null} */
let loading = null;

/** Loads uPlot, once the browser has nothing better to do; a failure is tried again by the next graph that is opened. */
export function library() {
  loading ??= new Promise((ready) => {
    const idle = globalThis.requestIdleCallback ?? ((f) => setTimeout(f, 50));
    requestAnimationFrame(() => idle(ready));
  }).then(() => Promise.all([import("../vendor/uplot.mjs"), stylesheet("vendor/uplot.css")])).then(([m]) => m.default);
  loading.catch(() => { loading = null; });
  return loading;
}

/** Points that stand alone have no line: they are drawn as dots. */
function lonely(u, series, shown) {
  const values = u.data[series];
  const list = [];
  for (let i = 0; !shown && i < values.length; i++) {
    if (values[i] !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null) list.push(i);
  }
  return list.length ? list : null;
}

/**
 * Columns are times in seconds, and one for each line; null where there is none. Lines have a label and the name of a colour.
 * @param {{title: string, unit: string, lines: {label: string, colour: string}[], columns: (number|null)[][], from: number, until: number,
 *   format: (n: number) => string, axis: (n: number) => string, describe: (title: string, last: string) => string, none: string}} props
 */
export function Graph({ title, unit, lines, columns, from, until, format, axis, describe, none }) {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const plot = useRef(/** @type {any} */ (null));
  const shown = useRef({ from, until });
  shown.current = { from, until };
  const [at, setAt] = useState(/** @type {number | null} */ (null));
  const seen = looks.value;

  useEffect(() => {
    let over = false;
    let watching = /** @type {ResizeObserver | null} */ (null);
    library().then((uPlot) => {
      const e = place.current;
      if (over || !e) return;
      const [text, line] = [colour("--muted"), colour("--line")];
      const font = `12px ${getComputedStyle(document.body).fontFamily}`;
      const look = { stroke: text, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 } };
      const size = () => ({ width: Math.max(200, e.clientWidth), height: 150 });
      plot.current = new uPlot({
        ...size(), legend: { show: false }, padding: [8, 8, 0, 0],
        cursor: { sync: { key: "modhost" }, y: false, drag: { x: false, y: false }, points: { size: 6 } },
        scales: { x: { time: true, range: () => [shown.current.from, shown.current.until] }, y: { range: (_, __, max) => [0, max > 0 ? max * 1.15 : 1.15] } },
        axes: [
          { ...look, size: 28, space: 70, values: (_, ticks) => ticks.map((t) => time(t * 1000).slice(0, 5)) },
          { ...look, size: 50, space: 34, values: (_, ticks) => ticks.map(axis) },
        ],
        series: [{}, ...lines.map((l) => ({ label: l.label, stroke: colour(l.colour), width: 1.5, points: { size: 4, filter: lonely } }))],
        hooks: { setCursor: [(u) => setAt(u.cursor.idx ?? null)] },
      }, columns, e);
      watching = new ResizeObserver(() => plot.current?.setSize(size()));
      watching.observe(e);
    });
    return () => {
      over = true;
      watching?.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [seen]);

  useEffect(() => { plot.current?.setData(columns); }, [columns]);

  const last = columns[0].length - 1;
  const row = at !== null && at <= last ? at : last;
  const value = (i) => { const v = columns[i + 1][row] ?? null; return v === null ? none : format(v); };
  const said = lines.map((l, i) => `${l.label} ${columns[i + 1][last] == null ? none : format(columns[i + 1][last])}`).join(", ");
  return html`
    <figure class="graph panel">
      <figcaption>
        <h3>${title} <span class="muted">${unit}</span></h3>
        <span class="values">${lines.map((l, i) => html`<span><i class=${"key " + l.colour.slice(2)} aria-hidden="true"></i> <span class="muted">${l.label}</span> <b>${value(i)}</b> </span>`)}
          ${row !== last && columns[0][row] ? html`<span class="muted">${time(columns[0][row] * 1000)}</span>` : null}</span>
      </figcaption>
      <div class="plot" ref=${place} role="img" aria-label=${describe(title, said)}></div>
    </figure>`;
}
