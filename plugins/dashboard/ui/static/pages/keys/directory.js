// What is directly below a directory, as a table of which only what is in view is made.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { address, get } from "../../api.js";
import { html } from "../../html.js";
import { change, href, query } from "../../route.js";
import { Command } from "../../parts/copy.js";
import { Filter } from "../../parts/filter.js";
import { Left } from "../../parts/time.js";
import { Problem, Silence } from "../../parts/problem.js";
import { bytes, number, T } from "../../text.js";
import { K } from "../../text/keys.js";
import { creates } from "./creates.js";
import { Matches, release, use } from "./level.js";
import { join, name, visible } from "./paths.js";
import { phone } from "./phone.js";
import { pick, selected } from "./selection.js";
import { Name } from "./tree.js";
import { Unknown } from "./unknown.js";
import { useWindow } from "./window.js";

const mostPicked = 5000;

/** @param {{path: string, node: any, why: string, act: {create: (begin: string) => void, remove: (items: any[]) => void}}} props */
export default function Directory({ path, node, why, act }) {
  const filter = query.value.get("filter") ?? "";
  const level = useMemo(() => use(path), [path]);
  useEffect(() => () => release(level), [level]);
  const matches = useMemo(() => (filter ? new Matches(level, filter) : null), [level, filter]);
  useEffect(() => () => matches?.end(), [matches]);
  const source = matches ?? level;
  source.version.value; // what is read below has no signals
  return html`
    <div class="row tools">
      <${Filter} class="filter" text=${filter} label=${K.directories.filter} apply=${(text) => change({ filter: text })} />
      <span class="muted" role="status">${source.count === null ? "" : matches ? K.directories.matches(number(matches.count), number(matches.of)) : K.directories.count(source.count)}</span>
      <span class="grow"></span>
      <button type="button" disabled=${Boolean(why)} title=${why || undefined} onClick=${() => act.create(path)}>${K.create.here}</button>
      <a class="button" href=${address("keys/export?" + new URLSearchParams({ dir: path }))} download=${(name(path) || "keys") + ".ndjson"}>${K.directories.export}</a>
      ${path === "/" ? null : html`<button type="button" class="danger" disabled=${Boolean(why)} title=${why || undefined} onClick=${() => act.remove([{ key: path, dir: true }])}>${K.remove.open}</button>`}
    </div>
    <${Silence} error=${source.error} />
    ${source.count === null ? html`<${Unknown} error=${source.error} />`
    : source.count > 0 ? html`<${Rows} key=${path + "\n" + filter} path=${path} source=${source} filter=${filter} />`
    : matches ? html`<p class="empty">${T.none(filter)}</p>`
    : html`<div class="empty"><p>${path === "/" ? K.directories.emptyRoot : K.directories.empty}</p><${Command} text=${creates(join(path, "hello"))} /></div>`}`;
}

function Rows({ path, source, filter }) {
  source.version.value;
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const height = phone.value ? 56 : 32;
  const { first, last } = useWindow(box, source.count, height, 32);
  useEffect(() => source.want(first, last));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const picks = selected.value;
  const shown = [];
  for (let i = first; i < last; i++) shown.push({ i, row: source.row(i) });
  const all = source.count <= mostPicked;
  const allPicked = all && shown.length > 0 && picks.size >= source.count && shown.every(({ row }) => row && picks.has(join(path, row.name)));
  async function everything(yes) {
    try {
      setProblem(null);
      for (let offset = 0; offset < source.count; offset += 1000) {
        const page = await get("keys/page", { dir: path, offset, limit: 1000, filter: filter || undefined });
        pick(page.rows.map((r) => [join(path, r.name), r.dir]), yes);
        if (page.rows.length === 0) break;
      }
    } catch (error) {
      setProblem(error);
    }
  }
  return html`
    <${Problem} error=${problem} />
    <div class="rows" role="region" tabindex="0" aria-label=${K.directories.table(path)} ref=${box}>
      <table aria-rowcount=${source.count + 1}>
        <thead><tr aria-rowindex="1">
          <th scope="col"><input type="checkbox" aria-label=${all ? K.selection.all(number(source.count)) : K.selection.tooMany(number(mostPicked))} title=${all ? undefined : K.selection.tooMany(number(mostPicked))}
            disabled=${!all} checked=${allPicked} onChange=${(e) => everything(e.currentTarget.checked)} /></th>
          <th scope="col">${K.directories.name}</th><th scope="col">${K.directories.value}</th><th scope="col" class="num">${K.directories.size}</th>
          <th scope="col">${K.directories.ttl}</th><th scope="col" class="num">${K.directories.modified}</th>
        </tr></thead>
        <tbody>
          ${first > 0 ? html`<tr key="above" class="gap" aria-hidden="true"><td colspan="5" style=${{ height: first * height + "px" }}></td></tr>` : null}
          ${shown.map(({ i, row }) => (row ? html`<${Row} key=${row.name} path=${path} row=${row} i=${i} picked=${picks.has(join(path, row.name))} />`
    : html`<tr key=${"?" + i} aria-rowindex=${i + 2}><td></td><td class="muted">…</td><td></td><td></td><td></td><td></td></tr>`))}
          ${last < source.count ? html`<tr key="below" class="gap" aria-hidden="true"><td colspan="5" style=${{ height: (source.count - last) * height + "px" }}></td></tr>` : null}
        </tbody>
      </table>
    </div>`;
}

function Row({ path, row, i, picked }) {
  const whole = join(path, row.name);
  return html`
    <tr aria-rowindex=${i + 2} class=${picked ? "picked" : ""}>
      <td><input type="checkbox" aria-label=${K.selection.one(row.name)} checked=${picked} onChange=${(e) => pick([[whole, row.dir]], e.currentTarget.checked)} /></td>
      <td><a class="mono" href=${href("keys", { ...Object.fromEntries(query.value), at: whole, filter: "", tab: "" })} title=${whole}><${Name} text=${row.name + (row.dir ? "/" : "")} /></a></td>
      <td class="mono cut">${row.dir ? html`<span class="muted">${K.directory}</span>` : row.damaged ? html`<span class="warn-text">${K.binary.short}</span>` : visible(row.preview)}</td>
      <td class="num">${row.dir ? "" : bytes(row.size)}</td>
      <td>${row.expires ? html`<${Left} until=${row.expires} />` : ""}</td>
      <td class="num mono">${row.modified === "0" ? "" : row.modified}</td>
    </tr>`;
}
