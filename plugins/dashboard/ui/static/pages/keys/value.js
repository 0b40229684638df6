// The value of the key that is open: to read, and to edit.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../../html.js";
import { now } from "../../live.js";
import { Copy } from "../../parts/copy.js";
import { K } from "../../text/keys.js";
import { Conflict } from "./conflict.js";
import { draftOf, dropDraft, keepDraft, textOf } from "./drafts.js";
import { Editor, firstError, replace } from "./editor.js";
import { checkXML, formatJSON, formatXML, parseJSON } from "./format.js";
import { kindOf } from "./kinds.js";
import { Save } from "./save.js";
import { Terms } from "./terms.js";
import { formatYAML } from "./yaml.js";

const checks = {
  json: (state) => parseJSON(state.doc.toString()),
  xml: (state) => checkXML(state.doc.toString()),
  yaml: firstError,
};
const formats = { json: formatJSON, xml: formatXML, yaml: formatYAML };

/**
 * @param {{path: string, node: any, why: string, wish: {current: any}, saved: (node: any) => void}} props
 *   node: as it is now, null when it is gone and only a draft is left; why nothing may be written, "" if it may; wish: takes {edit, save, restore} for the page's keys
 */
export default function Value({ path, node, why, wish, saved }) {
  const [, draw] = useState(0);
  const again = () => draw((n) => n + 1);
  const draft = draftOf(path);
  const base = draft?.base ?? node;
  const [chosen, choose] = useState("");
  const [mistake, setMistake] = useState(/** @type {any} */ (null));
  const [note, setNote] = useState("");
  const [review, setReview] = useState(/** @type {string | null} */ (null));
  const view = useRef(/** @type {any} */ (null));
  const timer = useRef(0);
  const kind = chosen || kindOf(base.value, base.damaged);
  const damaged = Boolean(base.damaged);
  const locked = why || (damaged ? K.binary.noSave : "");

  const check = (state) => setMistake((old) => {
    const found = checks[kind]?.(state) ?? null;
    if (!found || (old && old.at === found.at && old.what === found.what)) return found && old;
    const line = state.doc.lineAt(Math.min(found.at, state.doc.length));
    return { ...found, line: line.number, column: Math.min(found.at, state.doc.length) - line.from + 1 };
  });
  const parsed = (state) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => check(state), 200);
  };
  useEffect(() => { if (view.current) check(view.current.state); }, [kind, base.modified]);
  useEffect(() => () => clearTimeout(timer.current), []);

  function change(state) {
    if (locked) return;
    const d = draftOf(path);
    if (d) d.state = state;
    else keepDraft(path, { base: node, state, ttl: "keep" });
    if (d?.ttl === "keep" && state.sliceDoc() === d.base.value) dropDraft(path);
    if (Boolean(d) !== Boolean(draftOf(path))) again();
    setNote("");
  }
  function format() {
    const { state } = view.current;
    const made = formats[kind](state.sliceDoc(), state);
    if (made.mistake) return check(state);
    if (made.text !== undefined) replace(view.current, made.text, "input.format");
    setNote(made.refused ? K.value.notFormatted : made.text === state.sliceDoc() ? K.value.formatted : "");
    view.current.focus();
  }
  function setTTL(ttl) {
    const d = draftOf(path);
    if (d) d.ttl = ttl;
    again();
  }
  /** It is saved. What was written on after text, as after leaving the page and coming back, is a draft on top of that. */
  function done(written, text) {
    const d = draftOf(path);
    if (d && text !== undefined && textOf(d) !== text) keepDraft(path, { ...d, base: written, theirs: undefined });
    else dropDraft(path);
    saved(written);
    again();
    view.current?.focus();
  }
  const withText = (d, text) => ({ ...d, state: d.state.update({ changes: { from: 0, to: d.state.doc.length, insert: d.state.toText(text) } }).state });
  /** Somebody else was first; text is what we had made of what they had written before, if it is not the first time. */
  function clash(current, text) {
    let d = draftOf(path);
    if (text !== undefined) d = { ...withText(d, text), base: d.theirs ?? d.base };
    keepDraft(path, { ...d, theirs: current });
    again();
  }
  function discard() {
    dropDraft(path);
    again();
  }
  wish.current = {
    edit: () => view.current?.focus(),
    save: () => { const d = draftOf(path); if (d && d.theirs === undefined && !locked) setReview(textOf(d)); },
    restore: (text) => {
      if (locked || !view.current) return;
      replace(view.current, text, "input.restore");
      if (draftOf(path)) setReview(text);
    },
  };

  if (draft && (draft.theirs !== undefined || !node)) {
    return html`<${Conflict} key=${draft.theirs?.modified ?? "gone"} path=${path} node=${node} draft=${draft.theirs === undefined ? { ...draft, theirs: null } : draft} why=${why} saved=${done} changed=${clash} discard=${discard}
      back=${(text) => { keepDraft(path, { ...withText(draft, text), base: draft.theirs, theirs: undefined }); again(); }} />`;
  }
  const moved = draft && node.modified !== draft.base.modified;
  return html`
    <div class="row tools">
      <label class="row">${K.value.kind}
        <select value=${kind} disabled=${damaged} onChange=${(e) => choose(e.currentTarget.value)}>
          ${Object.entries(K.kinds).map(([id, text]) => (id === "binary" && kind !== "binary" ? null : html`<option value=${id}>${text}</option>`))}
        </select></label>
      ${formats[kind] ? html`<button type="button" disabled=${Boolean(locked)} title=${locked || undefined} onClick=${format}>${K.value.format}</button>` : null}
      <${Copy} text=${base.value} label=${K.value.copied} />
      ${note ? html`<span class="muted" role="status">${note}</span>` : null}
    </div>
    ${damaged ? html`<p class="banner bad">${K.binary.text}</p>` : kind === "binary" ? html`<p class="banner warn">${K.binary.control}</p>` : null}
    ${moved ? html`<div class="banner warn" role="alert">${K.value.moved(draft.base.modified, node.modified)} <button type="button" onClick=${() => clash(node)}>${K.value.compare}</button></div>` : null}
    <${Editor} text=${base.value} state=${draft?.state} kind=${kind} label=${K.value.of(path)} locked=${Boolean(locked)} mistake=${mistake} handle=${view} onChange=${change} onParse=${parsed} />
    ${mistake ? html`<p class="bad-text mistake">${K.mistakes.at(mistake.line, mistake.column, mistake.what)}</p>` : null}
    ${draft ? html`
      <div class="foot row">
        <span class="muted"><${Terms} base=${draft.base} ttl=${draft.ttl} /></span>
        <span class="grow"></span>
        <${Expiry} base=${draft.base} ttl=${draft.ttl} change=${setTTL} />
        <button type="button" onClick=${discard}>${K.value.discard}</button>
        <button type="button" class="primary" disabled=${Boolean(locked)} title=${locked || K.value.saveKey} onClick=${() => setReview(textOf(draft))}>${K.value.save}</button>
      </div>` : locked ? html`<p class="muted">${locked}</p>` : null}
    ${review === null || !draft ? null : html`<${Save} path=${path} base=${draft.base} from=${draft.base.value} text=${review} ttl=${draft.ttl} kind=${kind}
      saved=${(written) => done(written, review)} changed=${clash} closed=${() => { setReview(null); view.current?.focus(); }} />`}`;
}

/** What a save shall do with the expiry. */
function Expiry({ base, ttl, change }) {
  const mode = ttl === "keep" ? "keep" : ttl === 0 ? "never" : "set";
  return html`
    <label class="row">${K.ttl.label}
      <select value=${mode} onChange=${(e) => change({ keep: "keep", never: 0, set: Math.max(1, base.expires ? Math.ceil((base.expires - now.value) / 1000) : 60) }[e.currentTarget.value])}>
        ${base.expires ? html`<option value="keep">${K.ttl.keep}</option>` : null}
        <option value=${base.expires ? "never" : "keep"}>${K.ttl.never}</option>
        <option value="set">${K.ttl.set}</option>
      </select></label>
    ${mode === "set" ? html`<label class="row"><span class="sr">${K.ttl.label}</span><input type="number" class="seconds" min="1" max="31536000" value=${ttl}
      onInput=${(e) => { const n = Number(e.currentTarget.value); if (n >= 1) change(Math.floor(n)); }} /> ${K.ttl.seconds}</label>` : null}`;
}
