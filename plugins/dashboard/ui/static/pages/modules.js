// The page Modules: every module of the host, whoever wrote it, with the switch that works in every state.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { post } from "../api.js";
import { html } from "../html.js";
import { connection, hello, here, now, useTopic } from "../live.js";
import { Command } from "../parts/copy.js";
import { Confirm } from "../parts/dialog.js";
import { Problem } from "../parts/problem.js";
import { Age } from "../parts/time.js";
import { change, query } from "../route.js";
import { T, time } from "../text.js";
import { X } from "../text/modules.js";

export const css = "pages/modules.css";

/** What the filter looks at. */
const haystack = (m) => [m.name, X.states[m.state], m.version, ...m.mounts].join(" ").toLowerCase();

export default function Page() {
  const { data, error } = useTopic("modules").value;
  const [asked, ask] = useState(/** @type {any} */ (null)); // what is to be confirmed: {m, order}
  const [failed, setFailed] = useState(/** @type {any} */ (null)); // {name, error} of the last order
  const filter = query.value.get("filter") ?? "";

  /** Does it, or asks first. */
  async function order(m, what) {
    setFailed(null);
    if (what === "off" || (what === "restart" && m.own)) return ask({ m, what });
    try {
      await carry(m, what);
    } catch (e) {
      setFailed({ name: m.name, error: e });
    }
  }
  const shown = data?.filter((m) => haystack(m).includes(filter.toLowerCase()));
  return html`
    <h1>${T.pages.modules}</h1>
    <${Problem} error=${error} />
    ${!data ? (error ? null : html`<p class="muted" aria-busy="true">${X.waiting}</p>`) : html`
      <${Counts} list=${data} />
      ${data.length > 8 || filter ? html`<div class="tools"><input type="search" data-search aria-label=${T.filter} placeholder=${T.filter} value=${filter} onInput=${(e) => change({ filter: e.currentTarget.value })} /></div>` : null}
      ${!shown.length ? html`<p class="empty">${X.none(filter)}</p>` : html`
      <table class="cards modules">
        <thead><tr>
          <th scope="col">${X.name}</th><th scope="col">${X.state}</th><th scope="col">${X.mounts}</th>
          <th scope="col" class="num">${X.pid}</th><th scope="col" class="num">${X.uptime}</th><th scope="col" class="num">${X.restarts}</th>
          <th scope="col" class="num" title=${X.requestsTitle}>${X.requests}</th><th scope="col" class="num" title=${X.p99Title}>${X.p99}</th><th scope="col" class="num">${X.memory}</th>
          <th scope="col">${X.enabled}</th><th scope="col"><span class="sr">${X.actions}</span></th>
        </tr></thead>
        <tbody>${shown.map((m) => html`<${Module} key=${m.name} m=${m} order=${order} failed=${failed?.name === m.name ? failed.error : null} />`)}</tbody>
      </table>`}`}
    ${asked ? html`<${Ask} key=${asked.m.name + asked.what} ...${asked} done=${() => ask(null)} />` : null}`;
}

/** Sends an order. */
const carry = (m, what) => (what === "restart" ? post("modules/restart", { name: m.name }) : post("modules/switch", { name: m.name, enabled: what === "on" }));

function Counts({ list }) {
  const n = (...states) => list.filter((m) => states.includes(m.state)).length;
  const failing = n("failed", "backoff");
  const coming = n("starting", "draining");
  return html`
    <dl class="figures">
      <div><dt>${X.ok}</dt><dd>${n("ready")}<small>${X.all(list.length)}</small></dd></div>
      <div><dt>${X.failing}</dt><dd class=${failing ? "bad-text" : ""}>${failing}</dd></div>
      <div><dt>${X.off}</dt><dd>${n("disabled")}</dd></div>
      <div><dt>${X.coming}</dt><dd>${coming}</dd></div>
    </dl>`;
}

/** Why nothing can be ordered now; "" if it can. */
function refused() {
  if (connection.value === "stale") return X.lost; // without etcd modules can still be switched
  return hello.value?.readOnly ?? "";
}

function Module({ m, order, failed }) {
  const open = query.value.get("name") === m.name;
  const row = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => { if (open) row.current?.scrollIntoView({ block: "nearest" }); }, []);
  const why = refused();
  const u = m.usage;
  const dash = html`<span class="muted">${X.no}</span>`;
  return html`
    <tr ref=${row} class=${open ? "open" : ""} data-module=${m.name}>
      <td data-label=${X.name}><span><button type="button" class="row-button" aria-expanded=${open} title=${X.open(m.name)} onClick=${() => change({ name: open ? "" : m.name }, false)}>${m.name}</button><small title=${X.version}>${X.versionOf(m.version || X.noVersion, m.own)}</small></span></td>
      <td data-label=${X.state} class="health"><span><span class=${`pill ${X.levels[m.state]}`}><span aria-hidden="true">${X.shapes[m.state]} </span>${X.states[m.state]}</span>
        ${m.overridden ? html`<small title=${X.overriddenTitle}>${X.overridden}</small>` : m.state === "disabled" ? html`<small>${X.inConfig}</small>` : null}</span></td>
      <td data-label=${X.mounts} class="mounts"><span class="mono">${m.mounts.map((p) => html`<div>${p}</div>`)}</span></td>
      <td data-label=${X.pid} class=${m.pid ? "num" : "num void"}>${m.pid || dash}</td>
      <td data-label=${X.uptime} class="num nowrap"><${Age} since=${m.since} /></td>
      <td data-label=${X.restarts} class="num"><span>${m.restarts}${m.restarts && m.last ? html`<small class="last" title=${m.last.reason}>${X.lastEnd(brief(m.last))}</small>` : null}</span></td>
      <td data-label=${X.requests} class=${u ? "num" : "num void"}>${u ? digits(u.requests) : dash}</td>
      <td data-label=${X.p99} class=${u?.p99 != null ? "num nowrap" : "num void"}>${u?.p99 != null ? X.latency(u.p99) : dash}</td>
      <td data-label=${X.memory} class=${u?.memory != null ? "num nowrap" : "num void"}>${u?.memory != null ? X.bytes(u.memory) : dash}</td>
      <td data-label=${X.enabled}><button type="button" role="switch" aria-checked=${m.enabled} aria-label=${X.turn(m.name)} disabled=${!!why} title=${why || undefined} onClick=${() => order(m, m.enabled ? "off" : "on")}></button></td>
      <td class="actions">${m.enabled ? html`<button type="button" class="quiet small" disabled=${!!why} title=${why || undefined} aria-label=${X.restartOf(m.name)} onClick=${() => order(m, "restart")}>${X.restart}</button>` : null}</td>
    </tr>
    ${failed || m.reason ? html`<tr class="detail"><td colspan="11"><${Problem} error=${failed} />${m.reason ? html`<pre class=${m.state === "failed" ? "bad-text" : m.state === "backoff" ? "warn-text" : "muted"}>${m.reason}</pre>` : null}</td></tr>` : null}
    ${open ? html`<tr class="detail"><td colspan="11"><${Detail} m=${m} /></td></tr>` : null}`;
}

/** The first line of why a process ended, or what the system says. */
const brief = (e) => (e.reason || e.exit).split("\n")[0];

/** A rate: small ones with digits. */
const digits = (n) => (n === 0 ? "0" : n < 10 ? n.toFixed(1) : X.number(Math.round(n)));

const Fact = ({ name, children }) => html`<div><dt>${name}</dt><dd>${children}</dd></div>`;

function Detail({ m }) {
  const { data: d, error } = useTopic(`module:${m.name}`).value;
  const D = X.detail;
  const u = m.usage;
  return html`
    <${Problem} error=${error} />
    ${d ? html`
      <div class="facts">
        <section><h2>${D.program}</h2><dl>
          <${Fact} name=${D.path}><span class="mono">${d.command}</span><//>
          <${Fact} name=${D.args}>${d.args.length ? html`<span class="mono">${d.args.join(" ")}</span>` : D.noArgs}<//>
          <${Fact} name=${D.sha256}>${d.sha256 ? html`<span class="mono">${d.sha256}</span>` : D.anySHA256}<//>
          <${Fact} name=${D.privileges}>${d.privileges.join(", ") || D.noPrivileges}<//>
        </dl></section>
        <section><h2>${D.limits}</h2><dl>
          <${Fact} name=${D.concurrency}>${d.limits.concurrency || D.none}<//>
          <${Fact} name=${D.body}>${d.limits.body_bytes ? X.bytes(d.limits.body_bytes) : D.none}<//>
          <${Fact} name=${D.header}>${d.limits.header_bytes ? X.bytes(d.limits.header_bytes) : D.none}<//>
          <${Fact} name=${D.timeout}>${d.limits.request_timeout === "0s" ? D.none : d.limits.request_timeout}<//>
          <${Fact} name=${D.drain}>${d.drainTimeout}<//>
          <${Fact} name=${D.crash}>${D.crashText(d.restart.max, d.restart.window)}<//>
        </dl></section>
        <section><h2>${D.now}</h2><dl>
          <${Fact} name=${D.inFlight}>${u?.inFlight ?? X.no}<//>
          <${Fact} name=${D.cpu}>${u?.cpu != null ? D.cpuText(u.cpu) : X.no}<//>
          <${Fact} name=${X.memory}>${u?.memory != null ? X.bytes(u.memory) : X.no}<//>
        </dl></section>
      </div>
      <h2>${D.ends}</h2>
      ${d.ends.length ? html`<table class="cards">
        <thead><tr><th scope="col">${D.when}</th><th scope="col" class="num">${D.process}</th><th scope="col">${D.exit}</th><th scope="col">${D.why}</th></tr></thead>
        <tbody>${d.ends.map((e) => html`<tr key=${e.at}>
          <td data-label=${D.when} title=${X.dateTime(here(e.at))}>${X.ago(now.value - e.at)}</td><td data-label=${D.process} class="num">${e.pid || X.no}</td>
          <td data-label=${D.exit}><span class=${e.ordered ? "muted" : "warn-text"}>${e.ordered ? D.ordered : D.crashed}${e.exit ? `, ${e.exit}` : ""}</span></td>
          <td data-label=${D.why}><pre>${e.reason}</pre></td></tr>`)}</tbody>
      </table>` : html`<p class="muted">${D.noEnds}</p>`}` : error ? null : html`<p class="muted" aria-busy="true">${T.loading}</p>`}
    <h2>${D.log}</h2>
    <${Log} name=${m.name} />`;
}

const mostLines = 200;
// What comes before all of it is of a stream that another tab has.
const tail = (old, sent) => (sent.all || old ? [...(sent.all ? [] : old), ...sent.lines].slice(-mostLines) : old);

/** The end of a log, which follows as long as it was not scrolled away from its end. */
function Log({ name }) {
  const { data, error } = useTopic(`log:${name}`, tail).value;
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const follows = useRef(true);
  useLayoutEffect(() => { if (follows.current && box.current) box.current.scrollTop = box.current.scrollHeight; }, [data]);
  const D = X.detail;
  return html`
    <${Problem} error=${error} />
    ${data?.length ? html`<div class="log" ref=${box} tabindex="0" role="log" aria-live="off" aria-label=${D.logAt(name)}
      onScroll=${(e) => { const b = e.currentTarget; follows.current = b.scrollHeight - b.scrollTop - b.clientHeight < 20; }}>
      ${data.map((l) => html`<div><span class="time" title=${X.dateTime(here(l.t))}>${time(here(l.t))}</span><span class=${`level ${l.level === "warn" || l.level === "error" ? l.level : ""}`}>${l.level}</span><span class="text">${l.text}</span></div>`)}
    </div>` : data ? html`<p class="muted">${D.noLog}</p>` : error ? null : html`<p class="muted" aria-busy="true">${T.loading}</p>`}`;
}

/** Asks before a module is switched off, or the dashboard itself restarted. */
function Ask({ m, what, done }) {
  const off = what === "off";
  const words = off ? X.off1 : X.restartOwn;
  return html`
    <${Confirm} title=${words.title(m.name)} verb=${words.verb} danger=${off} act=${() => carry(m, what)} onClose=${done}>
      ${!off ? html`<p>${X.restartOwn.text}</p>` : m.own ? html`<p class="banner bad">${X.off1.own}</p><${Command} text=${X.on(m.name)} />` : html`
        <p>${X.off1.text(m.mounts)}</p><p>${X.off1.kept}</p>`}
      ${off ? html`<p class="muted">${X.off1.until}</p>` : null}
    <//>`;
}
