// Somebody else has written the key that is edited here: what it was, what they and we made of it, and the merge, whose save is guarded by the
// index of theirs.
import { useMemo, useRef, useState } from "preact/hooks";
import { html } from "../../html.js";
import { K } from "../../text/keys.js";
import { textOf } from "./drafts.js";
import { Diff, Merge, replace, Text } from "./editor.js";
import { kindOf } from "./kinds.js";
import { merge } from "./merge.js";
import { Save } from "./save.js";
import { Terms } from "./terms.js";

/**
 * @param {{path: string, node: any, draft: import("./drafts.js").Draft, why: string, saved: (node: any) => void, changed: (current: any, text: string) => void,
 *   discard: () => void, back: (text: string) => void}} props  node is as it is now, draft.theirs what they wrote as it was looked at; null: deleted. changed: they did it again, what we have by then is text
 */
export function Conflict({ path, node, draft, why, saved, changed, discard, back }) {
  const { base, theirs } = draft;
  const mine = textOf(draft);
  const kind = kindOf(base.value);
  const view = useRef(/** @type {any} */ (null));
  const [review, setReview] = useState(/** @type {string | null} */ (null));
  const merged = useMemo(() => (theirs ? merge(base.value, theirs.value, mine) : { text: mine, clashes: 0 }), [draft]);
  const result = () => (theirs && view.current ? view.current.state.sliceDoc() : mine);
  const damaged = Boolean(theirs?.damaged);
  const isDir = Boolean(theirs?.dir);
  const locked = why || (damaged ? K.binary.noSave : isDir ? K.conflict.dir : "");
  return html`
    <section class="conflict" aria-labelledby="conflict">
      <div class="banner warn" role="alert">
        <h3 id="conflict">${theirs ? K.conflict.title : K.conflict.deletedTitle}</h3>
        <p>${theirs ? K.conflict.text(base.modified, theirs.modified) : K.conflict.deletedText(base.modified)}</p>
      </div>
      ${node?.modified !== theirs?.modified ? html`<p class="banner warn" role="alert">${K.conflict.again} <button type="button" onClick=${() => changed(node, result())}>${K.value.compare}</button></p>` : null}
      <div class="three">
        <div><h4>${K.conflict.base(base.modified)}</h4><${Text} text=${base.value} kind=${kind} label=${K.conflict.base(base.modified)} /></div>
        <div><h4>${theirs ? K.conflict.theirs(theirs.modified) : K.conflict.theirsDeleted}</h4>${theirs && !isDir
          ? html`<${Diff} from=${base.value} to=${theirs.value} kind=${kind} label=${K.conflict.theirs(theirs.modified)} />` : html`<p class="empty">${isDir ? K.conflict.dir : K.conflict.nothing}</p>`}</div>
        <div><h4>${K.conflict.mine}</h4><${Diff} from=${base.value} to=${mine} kind=${kind} label=${K.conflict.mine} /></div>
      </div>
      ${theirs && !isDir && !damaged ? html`
        <div class="row">
          <h4>${K.conflict.result}</h4>
          <span class=${merged.clashes ? "warn-text" : "muted"}>${merged.clashes ? K.conflict.clashes(merged.clashes) : K.conflict.clean}</span>
          <span class="grow"></span>
          <button type="button" class="small" onClick=${() => replace(view.current, merged.text, "input")}>${K.conflict.useMerge}</button>
          <button type="button" class="small" onClick=${() => replace(view.current, theirs.value, "input")}>${K.conflict.useTheirs}</button>
          <button type="button" class="small" onClick=${() => replace(view.current, mine, "input")}>${K.conflict.useMine}</button>
        </div>
        <${Merge} left=${theirs.value} right=${merged.text} kind=${kind} leftLabel=${K.conflict.theirs(theirs.modified)} rightLabel=${K.conflict.result} handle=${view} />` : null}
      <div class="foot row">
        <span class="muted"><${Terms} base=${theirs} ttl=${theirs ? draft.ttl : ttlLeft(draft)} /></span>
        <span class="grow"></span>
        <button type="button" onClick=${discard}>${K.value.discard}</button>
        ${theirs && !isDir && !damaged ? html`<button type="button" onClick=${() => back(result())}>${K.conflict.back}</button>` : null}
        <button type="button" class="primary" disabled=${Boolean(locked)} title=${locked || undefined} onClick=${() => setReview(result())}>${theirs ? K.conflict.save : K.conflict.create}</button>
        ${locked ? html`<span class="sr">${locked}</span>` : null}
      </div>
      ${review === null ? null : html`<${Save} path=${path} base=${theirs} from=${theirs ? theirs.value : ""} text=${review} ttl=${theirs ? draft.ttl : ttlLeft(draft)} kind=${kind}
        saved=${saved} changed=${(current) => changed(current, review)} closed=${() => setReview(null)} />`}
    </section>`;
}

/** Of a key that is gone, its expiry is gone too. @param {import("./drafts.js").Draft} draft */
const ttlLeft = (draft) => (draft.ttl === "keep" ? 0 : draft.ttl);
