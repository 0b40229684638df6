// The page Overview: counts, graphs, and what needs attention.
import { useEffect, useMemo } from "preact/hooks";
import { html } from "../html.js";
import { here, now, useTopic } from "../live.js";
import { Graph, library } from "../parts/graph.js";
import { Problem } from "../parts/problem.js";
import { Age } from "../parts/time.js";
import { change, href, query } from "../route.js";
import { T, number, time } from "../text.js";
import { O } from "../text/overview.js";

export const css = "pages/overview.css";

export default function Page() {
  const overview = useTopic("overview").value;
  const table = query.value.get("view") === "table";
  return html`
    <h1>${T.pages.overview}</h1>
    <${Problem} error=${overview.error} />
    <${Counts} o=${overview.data ?? {}} />
    <div class="head">
      <h2>${O.graphs}</h2>
      <button type="button" class="quiet small" onClick=${() => change({ view: table ? "" : "table" })}>${table ? O.asGraphs : O.asTable}</button>
    </div>
    <${Samples} table=${table} />
    <${Attention} list=${overview.data?.attention} />`;
}

const dash = html`<span class="muted">${O.none}</span>`;

/** One figure with what stands below it. */
const Figure = ({ name, link, main, more, level }) => html`
  <div><dt>${name}</dt><dd class=${level ? `${level}-text` : ""}>${link && main != null ? html`<a href=${link}>${main}</a>` : main ?? dash}<small>${more}</small></dd></div>`;

function Counts({ o }) {
  const keys = useTopic("keys").value.data;
  const locks = useTopic("locks.counts").value.data ?? o.locks;
  const leaders = useTopic("leaders.counts").value.data ?? o.leaders;
  const { members: m, modules: x, leader: l } = o;
  return html`
    <dl class="figures">
      <${Figure} name=${O.members} link=${href("members")} main=${m && O.up(m.up, m.all)} level=${m && m.up < m.all ? "bad" : ""} />
      <${Figure} name=${O.leader} link=${href("members")} main=${l ? l.name : m ? O.noLeader : null} level=${m && !l ? "bad" : ""}
        more=${l?.since ? html`${O.since} <${Age} since=${l.since} />` : null} />
      <${Figure} name=${O.keys} link=${href("keys")} main=${keys ? number(keys.entries) : null} more=${keys && !keys.complete ? O.counting : ""} />
      <${Figure} name=${O.locks} link=${href("locks")} main=${locks && O.held(locks.held)} more=${locks && O.waiting(locks.waiting)} />
      <${Figure} name=${O.leaders} link=${href("leaders")} main=${leaders && O.leading(leaders.held)} more=${leaders && O.candidates(leaders.waiting)} />
      <${Figure} name=${O.modules} link=${href("modules")} main=${x && (x.failing ? O.failing(x.failing) : O.modulesOK(x.ok))} level=${x?.failing ? "bad" : ""}
        more=${x && [x.failing ? O.modulesOK(x.ok) : "", x.off ? O.off(x.off) : "", x.coming ? O.coming(x.coming) : ""].filter(Boolean).join(", ")} />
      <${Figure} name=${O.alarms} link=${href("members")} main=${m && (m.alarms || (m.up ? O.noAlarms : null))} level=${m?.alarms ? "bad" : ""} />
    </dl>`;
}

/** What the topic samples sends, put together: columns of the last quarter of an hour. */
function collect(old, sent) {
  if (!sent.all && !old) return old; // the rest of a stream that another tab has; all of it comes with the next
  const window = sent.window ?? old.window;
  const step = sent.step ?? old.step;
  let list = sent.all ?? [...old.list, ...sent.add];
  const last = list.at(-1)?.[0] ?? 0;
  list = list.filter((s) => s[0] > last - window);
  return { window, step, list };
}

/** The columns of samples as graphs want them: times in seconds of the clock here, with a hole where there were no samples. */
function columns({ list, step }) {
  const all = Array.from({ length: 8 }, () => /** @type {any[]} */ ([]));
  list.forEach((s, i) => {
    if (i > 0 && s[0] - list[i - 1][0] > 2.5 * step) all.forEach((c, n) => c.push(n ? null : here(list[i - 1][0] + step) / 1000));
    all.forEach((c, n) => c.push(n ? s[n] : here(s[0]) / 1000));
  });
  return all;
}

const [blue, amber] = ["--accent", "--warn"];
const G = O.graph;
// What is shown of a sample, by its place in it.
const graphs = [
  { title: G.latency, unit: G.ms, format: O.format.ms, lines: [{ label: G.p50, colour: blue, at: 1 }, { label: G.p99, colour: amber, at: 2 }] },
  { title: G.writes, unit: G.perSecond, format: O.format.rate, lines: [{ label: G.rate, colour: blue, at: 3 }] },
  { title: G.waiting, unit: G.requests, format: O.format.count, lines: [{ label: G.now, colour: blue, at: 4 }] },
  { title: G.wait, unit: G.ms, format: O.format.ms, lines: [{ label: G.p50, colour: blue, at: 5 }, { label: G.p99, colour: amber, at: 6 }] },
];

function Samples({ table }) {
  const topic = useTopic("samples", collect).value;
  const data = topic.data;
  useEffect(() => { library(); }, []); // so that it is there when the first samples are
  const all = useMemo(() => data && columns(data), [data]);
  const picked = useMemo(() => all && graphs.map((g) => [all[0], ...g.lines.map((l) => all[l.at])]), [all]);
  if (!all) return html`<${Problem} error=${topic.error} />${topic.error ? null : html`<p class="muted" aria-busy="true">${T.loading}</p>`}`;
  if (data.list.length < 2) return html`<p class="empty">${O.collecting}</p>`;
  if (table) return html`<${Table} all=${all} />`;
  const until = all[0].at(-1);
  return html`
    <${Problem} error=${topic.error} />
    <div class="graphs">
      ${graphs.map((g, i) => html`<${Graph} key=${g.title} ...${g} columns=${picked[i]} from=${until - data.window / 1000} until=${until} axis=${O.axis} describe=${O.drawing} none=${O.none} />`)}
    </div>`;
}

/** The same as text, the latest first. */
function Table({ all }) {
  const heads = graphs.flatMap((g) => g.lines.map((l) => ({ ...l, title: g.title, unit: g.unit, format: g.format })));
  const rows = all[0].map((_, i) => i).reverse();
  return html`
    <div class="scroll panel" tabindex="0" role="region" aria-label=${O.graphs}>
      <table class="cards">
        <thead><tr><th scope="col">${O.time}</th>${heads.map((h) => html`<th scope="col" class="num" title=${h.title}>${h.title.split(",")[0]}, ${h.label}</th>`)}</tr></thead>
        <tbody>${rows.map((i) => html`
          <tr key=${all[0][i]}><td data-label=${O.time}>${time(all[0][i] * 1000)}</td>
          ${heads.map((h) => html`<td class="num" data-label=${`${h.title.split(",")[0]}, ${h.label}`}>${all[h.at][i] === null ? O.none : h.format(all[h.at][i])}</td>`)}</tr>`)}
        </tbody>
      </table>
    </div>`;
}

function Attention({ list }) {
  return html`
    <h2>${O.attention}</h2>
    ${!list ? html`<p class="empty">${O.nothingKnown}</p>` : !list.length ? html`<p class="empty">${O.nothing}</p>` : html`
      <ul class="panel concerns">${list.map((c) => html`
        <li key=${`${c.kind} ${c.member} ${c.module}`}>
          <span class=${`pill ${c.level}`}><span aria-hidden="true">${c.level === "bad" ? "▲" : "◆"} </span>${O.levels[c.level]}</span>
          <span><a href=${c.module ? href("modules", { name: c.module }) : href("members", { id: c.id })}>${O.concern[c.kind]?.(c) ?? c.kind}</a></span>
          ${c.since ? html`<span class="muted since">${O.ago(now.value - c.since)}</span>` : null}
        </li>`)}</ul>`}`;
}
