// The dialog that reads a file of keys: first what it would change, then, when that was seen, the change.
import { useEffect, useRef, useState } from "preact/hooks";
import { post } from "../../api.js";
import { html } from "../../html.js";
import { Dialog } from "../../parts/dialog.js";
import { Problem } from "../../parts/problem.js";
import { number, T } from "../../text.js";
import { K } from "../../text/keys.js";
import { firstLine } from "./kinds.js";
import { visible } from "./paths.js";
import { List } from "./window.js";

const most = 450_000; // bytes of an order

/** Reads an export. @param {string} text @returns {{key: string, value: string, ttl: number, dir: boolean}[]} */
export function readFile(text) {
  const rows = text.split("\n").filter((line) => line.trim());
  const entries = [];
  rows.forEach((line, i) => {
    let row;
    try {
      row = JSON.parse(line);
    } catch {
      throw { message: K.import.noJSON(i + 1) };
    }
    if (i === 0) {
      if (row?.format !== "modhost-keys-1") throw { message: K.import.noFormat };
    } else if (typeof row?.key === "string") {
      entries.push({ key: row.key, value: String(row.value ?? ""), ttl: Number(row.ttl ?? 0), dir: Boolean(row.dir) });
    }
  });
  return entries;
}

/** Cuts a list so that each part makes one order. */
function* parts(list) {
  let part = [];
  let size = 0;
  for (const entry of list) {
    const n = new TextEncoder().encode(JSON.stringify(entry)).length + 1;
    if (part.length && size + n > most) {
      yield part;
      part = [];
      size = 0;
    }
    part.push(entry);
    size += n;
  }
  if (part.length) yield part;
}

const states = ["new", "changed", "same", "conflict", "invalid"];

/** @param {{why: string, closed: () => void}} props */
export function Import({ why, closed }) {
  const handle = useRef(/** @type {any} */ (null));
  const run = useRef({ halt: false }); // the latest one; those before are halted
  const [rows, setRows] = useState(/** @type {any[] | null} */ (null)); // entries with state and modified
  const [shown, show] = useState("");
  const [overwrite, setOverwrite] = useState(false);
  const [progress, setProgress] = useState(/** @type {any} */ (null)); // {done, total}
  const [result, setResult] = useState(/** @type {any} */ (null)); // {rows, of}: of how many that were to be written
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  useEffect(() => {
    handle.current.open();
    return () => { run.current.halt = true; };
  }, []);

  function begin() {
    run.current.halt = true;
    return run.current = { halt: false };
  }
  /** Sends entries part by part, until mine is halted. What is answered is put behind all. */
  async function send(mine, path, entries, all) {
    setProgress({ done: 0, total: entries.length });
    try {
      for (const part of parts(entries)) {
        const answer = await post(path, { entries: part });
        answer.rows.forEach((row, i) => all.push({ ...part[i], ...row }));
        if (mine.halt) return;
        setProgress({ done: all.length, total: entries.length });
      }
    } finally {
      if (mine === run.current) setProgress(null);
    }
  }
  async function take(file) {
    const mine = begin();
    setProgress(null);
    setProblem(null);
    setRows(null);
    setResult(null);
    try {
      const all = [];
      const entries = readFile(await file.text());
      if (mine.halt) return; // another file was chosen
      await send(mine, "keys/import/compare", entries, all);
      if (!mine.halt) setRows(all);
    } catch (error) {
      if (!mine.halt) setProblem(error);
    }
  }
  const count = (state) => rows.filter((r) => r.state === state).length;
  const chosen = rows?.filter((r) => r.state === "new" || (overwrite && r.state === "changed")) ?? [];
  async function write(e) {
    e.preventDefault();
    setProblem(null);
    const all = [];
    try {
      await send(begin(), "keys/import/write", chosen.map(({ key, value, ttl, dir, state, modified }) => ({ key, value, ttl, dir, modified: state === "new" ? "" : modified })), all);
    } catch (error) {
      setProblem(error);
    }
    if (all.length) setResult({ rows: all, of: chosen.length }); // what was written is told, whatever ended it
  }
  const listed = rows?.filter((r) => !shown || r.state === shown) ?? [];
  const writing = Boolean(rows && progress);
  const bad = result?.rows.filter((r) => r.state !== "written" && r.state !== "same") ?? [];
  return html`
    <${Dialog} handle=${handle} title=${K.import.title} wide busy=${writing} onClose=${closed}>
      <form onSubmit=${write}>
        <label class="field"><span>${K.import.file}</span>
          <input type="file" disabled=${writing} accept=".ndjson,.jsonl,.json,application/x-ndjson" onChange=${(e) => { if (e.currentTarget.files[0]) take(e.currentTarget.files[0]); }} /></label>
        ${progress ? html`<p role="status">${K.import.progress(number(progress.done), number(progress.total))}</p>` : null}
        <${Problem} error=${problem} />
        ${rows && !result ? html`
          <div class="row" role="group" aria-label=${K.import.show}>
            <button type="button" class="small" aria-pressed=${String(shown === "")} onClick=${() => show("")}>${K.import.all(number(rows.length))}</button>
            ${states.map((s) => html`<button type="button" class="small" aria-pressed=${String(shown === s)} disabled=${count(s) === 0} onClick=${() => show(s)}>${K.import.states[s]} ${number(count(s))}</button>`)}
          </div>
          ${listed.length ? html`<${List} total=${listed.length} height=${44} label=${K.import.preview} row=${(i) => html`
            <span class="mono cut">${visible(listed[i].key)}${listed[i].dir ? "/" : ""}</span>
            <span class="cut muted"><strong>${K.import.states[listed[i].state]}</strong>${listed[i].ttl ? " · " + K.import.ttl(number(listed[i].ttl)) : ""}${
              listed[i].why ? " · " + listed[i].why : listed[i].dir ? "" : html` · <span class="mono">${visible(firstLine(listed[i].value))}</span>`}</span>`} />` : null}
          <label class="row"><input type="checkbox" checked=${overwrite} disabled=${count("changed") === 0} onChange=${(e) => setOverwrite(e.currentTarget.checked)} /> ${K.import.overwrite(number(count("changed")))}</label>
          <p class="muted">${K.import.guard}</p>` : null}
        ${result ? html`
          <p role="status">${K.import.done(number(result.rows.length - bad.length), number(result.of))}</p>
          ${bad.length ? html`<h3>${K.import.failed}</h3><ul class="sample" tabindex="0" aria-label=${K.import.failed}>${bad.slice(0, 200).map((r) => html`<li class="wrap"><span class="mono">${visible(r.key)}</span>: ${r.why || K.import.states.changed}</li>`)}</ul>` : null}` : null}
        <footer>
          <button type="button" onClick=${() => (writing ? (run.current.halt = true) : handle.current.close())}>${result ? T.dialog.close : writing ? K.import.stop : T.dialog.cancel}</button>
          ${result ? null : html`<button class="primary" disabled=${Boolean(why) || Boolean(progress) || chosen.length === 0} title=${why || undefined}>${K.import.verb(number(chosen.length))}</button>`}
        </footer>
      </form>
    <//>`;
}
