// The dialog that changes when a key expires, and nothing else.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../../html.js";
import { now } from "../../live.js";
import { Dialog } from "../../parts/dialog.js";
import { Problem } from "../../parts/problem.js";
import { T } from "../../text.js";
import { K } from "../../text/keys.js";
import { Terms } from "./terms.js";
import { Changed, save } from "./write.js";

/** @param {{node: any, saved: (node: any) => void, closed: () => void}} props */
export function ChangeTTL({ node, saved, closed }) {
  const handle = useRef(/** @type {any} */ (null));
  const [ends, setEnds] = useState(Boolean(node.expires));
  const [ttl, setTTL] = useState(String(node.expires ? Math.max(1, Math.ceil((node.expires - now.peek()) / 1000)) : 60));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  // The guard is what was shown when the dialog was opened.
  const base = useRef(node).current;
  useEffect(() => { handle.current.open(); }, []);
  const seconds = ends ? Math.floor(Number(ttl)) : 0;
  async function submit(e) {
    e.preventDefault();
    if (busy || (ends && seconds < 1)) return;
    setBusy(true);
    setProblem(null);
    try {
      const written = await save(base, base.value, seconds);
      handle.current.close();
      saved(written);
    } catch (error) {
      setProblem(error instanceof Changed ? { message: error.current ? K.remove.changed(base.modified, error.current.modified) : K.remove.gone } : error);
    } finally {
      setBusy(false);
    }
  }
  return html`
    <${Dialog} handle=${handle} title=${K.ttl.title(base.key)} busy=${busy} onClose=${closed}>
      <form onSubmit=${submit}>
        <div class="field" role="radiogroup" aria-label=${K.ttl.label}>
          <label class="row"><input type="radio" name="ends" checked=${!ends} onChange=${() => setEnds(false)} /> ${K.ttl.never}</label>
          <label class="row"><input type="radio" name="ends" checked=${ends} autofocus onChange=${() => setEnds(true)} /> ${K.ttl.set}</label>
        </div>
        <label class="field"><span>${K.ttl.seconds}</span><input type="number" name="ttl" min="1" max="31536000" disabled=${!ends} value=${ttl} onInput=${(e) => setTTL(e.currentTarget.value)} /></label>
        <p class="muted"><${Terms} base=${base} ttl=${seconds} /></p>
        <${Problem} error=${problem} />
        <footer>
          <button type="button" disabled=${busy} onClick=${() => handle.current.close()}>${T.dialog.cancel}</button>
          <button class="primary" disabled=${busy || (ends && !(seconds >= 1))}>${busy ? T.dialog.working : K.ttl.verb}</button>
        </footer>
      </form>
    <//>`;
}
