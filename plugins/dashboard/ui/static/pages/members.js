// The page Members: how etcd's members are.
import { html } from "../html.js";
import { useTopic } from "../live.js";
import { Copy } from "../parts/copy.js";
import { Problem } from "../parts/problem.js";
import { Age } from "../parts/time.js";
import { change, query } from "../route.js";
import { T } from "../text.js";
import { M } from "../text/members.js";

export const css = "pages/members.css";

export default function Page() {
  const { data, error } = useTopic("members").value;
  return html`
    <h1>${T.pages.members}</h1>
    <${Problem} error=${error} />
    ${data ? html`<${Cluster} c=${data} />` : error ? null : html`<p class="muted" aria-busy="true">${M.waiting}</p>`}
    <h2>${M.v3Only}</h2>
    <p class="muted">${M.v3OnlyText}</p>`;
}

const shapes = { ok: "●", warn: "◆", bad: "▲" };

/** A state by colour, shape and word. */
export function Pill({ level, word }) {
  return html`<span class=${`pill ${level}`}><span aria-hidden="true">${shapes[level]} </span>${word}</span>`;
}

function Cluster({ c }) {
  const leads = c.members.find((m) => m.id === c.leader);
  const up = c.members.filter((m) => m.reachable);
  const alarms = c.members.flatMap((m) => m.alarms);
  return html`
    <dl class="figures">
      <div><dt>${M.up}</dt><dd class=${up.length < c.members.length ? "bad-text" : ""}>${M.upOf(up.length, c.members.length)}<small>${M.quorum(Math.floor(c.members.length / 2) + 1)}</small></dd></div>
      <div><dt>${M.leader}</dt><dd class=${leads ? "" : "bad-text"}>${leads ? leads.name : M.noLeader}<small>${leads && c.leaderSince ? html`${M.since} <${Age} since=${c.leaderSince} />` : null}</small></dd></div>
      <div><dt>${M.term}</dt><dd>${(leads ?? up[0])?.term ?? M.none}</dd></div>
      <div><dt>${M.alarms}</dt><dd class=${alarms.length ? "bad-text" : ""}>${alarms.length ? alarms.join(", ") : up.length ? M.noAlarms : M.none}</dd></div>
      <div><dt>${M.cluster}</dt><dd><small class="mono">${c.id} <${Copy} text=${c.id} label=${M.cluster} /></small></dd></div>
    </dl>
    ${c.findings.map((f) => html`<p class=${`banner ${f.level}`} key=${f.kind}>${M.finding[f.kind](f)}</p>`)}
    <table class="cards">
      <thead><tr>
        <th scope="col">${M.name}</th><th scope="col">${M.health}</th><th scope="col">${M.role}</th><th scope="col">${M.version}</th>
        <th scope="col" class="num">${M.applied}</th><th scope="col" class="num">${M.lag}</th>
        <th scope="col" class="num" title=${M.latencyTitle}>${M.latency}</th><th scope="col" class="num" title=${M.countsTitle}>${M.counts}</th>
        <th scope="col" class="num">${M.answered}</th><th scope="col" class="num">${M.db}</th>
      </tr></thead>
      <tbody>${c.members.map((m) => html`<${Member} key=${m.id} m=${m} />`)}</tbody>
    </table>
    <p class="note">${M.bounds(c.bounds)}</p>`;
}

/** How bad one kind of finding is, as a class for its cell. */
const mark = (m, kind) => { const f = m.findings.find((x) => x.kind === kind); return f ? `${f.level}-text` : ""; };

function Member({ m }) {
  const open = query.value.get("id") === m.id;
  const worst = m.findings.find((f) => f.level === m.level);
  const there = m.reachable;
  const p = m.peer;
  const dash = html`<span class="muted">${M.none}</span>`;
  return html`
    <tr class=${open ? "open" : ""} data-member=${m.name}>
      <td data-label=${M.name}><button type="button" class="row-button" aria-expanded=${open} title=${M.open(m.name)} onClick=${() => change({ id: open ? "" : m.id }, false)}>${m.name}</button></td>
      <td data-label=${M.health} class="health"><${Pill} level=${m.level} word=${worst ? M.words[worst.kind] : M.levels.ok} /></td>
      <td data-label=${M.role}>${M.roles[m.role] ?? m.role}</td>
      <td data-label=${M.version} class=${m.version ? "" : "void"}>${m.version || dash}</td>
      <td data-label=${M.applied} class=${there ? "num" : "num void"}>${there ? M.entries(m.applied) : dash}</td>
      <td data-label=${M.lag} class=${there ? `num ${mark(m, "behind")}` : "num void"}>${there ? M.entries(m.lag) : dash}</td>
      <td data-label=${M.latency} class=${p ? `num ${mark(m, "slow")}` : "num void"}>${p ? M.ms(p.current) : dash}</td>
      <td data-label=${M.counts} class=${p ? "num" : "num void"}>${p ? html`<span>${M.entries(p.successes)} / ${M.entries(p.failures)}</span>` : dash}</td>
      <td data-label=${M.answered} class=${there ? "num" : "num void"}>${there ? M.ms(m.answered) : dash}</td>
      <td data-label=${M.db} class=${there ? "num" : "num void"}>${there ? M.bytes(m.dbSize) : dash}</td>
    </tr>
    ${open ? html`<tr class="detail"><td colspan="10"><${Detail} m=${m} /></td></tr>` : null}`;
}

const Fact = ({ name, children }) => html`<div><dt>${name}</dt><dd>${children}</dd></div>`;

const URLs = ({ list, label }) => (list.length ? list.map((u) => html`<div class="mono">${u} <${Copy} text=${u} label=${label} /></div>`) : html`<span class="muted">${M.noURLs}</span>`);

function Detail({ m }) {
  const p = m.peer;
  return html`
    ${m.findings.length ? html`<ul class="findings">${m.findings.map((f) => html`<li class=${`${f.level}-text`}>${shapes[f.level]} ${M.finding[f.kind](f)}</li>`)}</ul>` : null}
    <div class="facts">
      <section><h2>${m.name}</h2><dl>
        <${Fact} name=${M.id}><span class="mono">${m.id}</span> <${Copy} text=${m.id} label=${M.id} /><//>
        <${Fact} name=${M.clientURLs}><${URLs} list=${m.clientURLs} label=${M.clientURLs} /><//>
        <${Fact} name=${M.peerURLs}><${URLs} list=${m.peerURLs} label=${M.peerURLs} /><//>
      </dl></section>
      <section><h2>${M.raft}</h2>${m.reachable ? html`<dl>
        <${Fact} name=${M.term}>${m.term}<//>
        <${Fact} name=${M.index}>${m.index}<//>
        <${Fact} name=${M.applied}>${m.applied}<//>
        <${Fact} name=${M.lag}>${M.entries(m.lag)}<//>
      </dl>` : html`<p class="muted">${M.none}</p>`}</section>
      <section><h2>${M.peer}</h2>${p ? html`<dl>
        <${Fact} name=${M.latency}>${M.ms(p.current)}<//>
        <${Fact} name=${M.average}>${M.ms(p.average)}<//>
        <${Fact} name=${M.least}>${M.ms(p.min)}<//>
        <${Fact} name=${M.most}>${M.ms(p.max)}<//>
        <${Fact} name=${M.deviation}>${M.ms(p.stdDev)}<//>
        <${Fact} name=${M.successes}>${M.entries(p.successes)}<//>
        <${Fact} name=${M.failures}>${M.entries(p.failures)}<//>
      </dl>` : html`<p class="muted">${m.role === "leader" ? M.peerSelf : M.peerUnknown}</p>`}</section>
      <section><h2>${M.backend}</h2>${m.reachable ? html`<dl>
        <${Fact} name=${M.size}>${M.bytes(m.dbSize)}<//>
        <${Fact} name=${M.inUse}>${M.bytes(m.dbInUse)}<//>
      </dl>` : null}<p class="muted">${M.backendNote}</p></section>
      ${m.reachable ? html`<section><h2>${M.v2}</h2><table>
        <thead><tr><th scope="col">${M.v2Head.name}</th><th scope="col" class="num">${M.v2Head.success}</th><th scope="col" class="num">${M.v2Head.fail}</th></tr></thead>
        <tbody>${m.store.map((f) => html`<tr><th scope="row">${M.store[f.name]}</th><td class="num">${M.entries(f.success)}</td><td class="num">${f.name === "expired" || f.name === "watchers" ? "" : M.entries(f.fail)}</td></tr>`)}</tbody>
      </table></section>` : null}
    </div>`;
}
