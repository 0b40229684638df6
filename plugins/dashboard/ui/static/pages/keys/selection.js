// Keys and directories that were picked, anywhere in the store, and what can be done with all of them at once.
import { computed, signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { get, lines } from "../../api.js";
import { html } from "../../html.js";
import { Problem } from "../../parts/problem.js";
import { number } from "../../text.js";
import { K } from "../../text/keys.js";
import { name, within } from "./paths.js";

/** By path: whether it is a directory. */
export const selected = signal(/** @type {Map<string, boolean>} */ (new Map()));

/** What is not within something else that is picked, as {key, dir}. */
export const picked = computed(() => {
  const dirs = [...selected.value].filter(([, dir]) => dir).map(([path]) => path);
  return [...selected.value].filter(([path]) => !dirs.some((d) => d !== path && within(path, d))).map(([key, dir]) => ({ key, dir }));
});

/** @param {Iterable<[string, boolean]>} items @param {boolean} yes */
export function pick(items, yes) {
  const all = new Map(selected.value);
  for (const [path, dir] of items) {
    if (yes) all.set(path, dir);
    else all.delete(path);
  }
  selected.value = all;
}

export const clear = () => { selected.value = new Map(); };

/** @param {{why: string, remove: (items: {key: string, dir: boolean}[]) => void}} props */
export function SelectionBar({ why, remove }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const items = picked.value;
  if (items.length === 0) return null;
  async function out() {
    setBusy(true);
    setProblem(null);
    try {
      const { text, damaged } = await textOf(items);
      hand(text, items.length === 1 ? name(items[0].key) : "keys");
      if (damaged.length) setProblem({ message: K.selection.damaged(damaged.length) });
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  }
  return html`
    <div class="row selection" role="group" aria-label=${K.selection.label}>
      <strong>${K.selection.count(number(items.length))}</strong>
      <button type="button" disabled=${busy} onClick=${out}>${K.selection.export}</button>
      <button type="button" class="danger" disabled=${Boolean(why)} title=${why || undefined} onClick=${() => remove(items)}>${K.selection.delete}</button>
      <button type="button" class="quiet" onClick=${clear}>${K.selection.clear}</button>
      <${Problem} error=${problem} />
    </div>`;
}

/** What the server exports of a directory, for several things. */
async function textOf(items) {
  const rows = [];
  const damaged = [];
  for (const { key, dir } of items) {
    if (dir) {
      for await (const line of lines("keys/export", { params: { dir: key } })) {
        if (line.key !== undefined) rows.push(line);
        else if (line.end) damaged.push(...line.damaged);
      }
      continue;
    }
    const answer = await get("keys/node", { key }).catch((error) => { if (error.status === 404) return null; throw error; });
    const node = answer?.node ?? answer;
    if (!node) continue;
    if (node.damaged) damaged.push(key);
    else rows.push({ key, value: node.value, ttl: node.ttl });
  }
  const head = { format: "modhost-keys-1", dir: "/", at: Date.now() };
  const dirs = rows.filter((row) => row.dir).length;
  const end = { end: true, entries: rows.length - dirs, dirs, damaged };
  return { text: [head, ...rows, end].map((row) => JSON.stringify(row) + "\n").join(""), damaged };
}

/** Gives the browser's user a file. */
function hand(text, of) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
  link.download = of + ".ndjson";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
