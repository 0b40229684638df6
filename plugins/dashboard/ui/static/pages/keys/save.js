// The dialog before a value is written: what will change, and under which condition.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../../html.js";
import { Dialog } from "../../parts/dialog.js";
import { Problem } from "../../parts/problem.js";
import { bytes, T } from "../../text.js";
import { K } from "../../text/keys.js";
import { Diff } from "./editor.js";
import { bytesOf } from "./kinds.js";
import { Terms } from "./terms.js";
import { Changed, create, save } from "./write.js";

/**
 * @param {{path: string, base: any, from: string, text: string, ttl: "keep" | number, kind: string, saved: (node: any) => void,
 *   changed: (current: any) => void, closed: () => void}} props  base: the node that must still be there; null: none must. from: what text is compared with
 */
export function Save({ path, base, from, text, ttl, kind, saved, changed, closed }) {
  const handle = useRef(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  useEffect(() => { handle.current.open(); }, []);
  async function submit(e) {
    e.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try {
      const node = base ? await save(base, text, ttl) : await create(path, text, ttl === "keep" ? 0 : ttl);
      handle.current.close();
      saved(node);
    } catch (error) {
      if (error instanceof Changed) {
        handle.current.close();
        changed(error.current);
      } else setProblem(error);
    } finally {
      setBusy(false);
    }
  }
  return html`
    <${Dialog} handle=${handle} title=${K.save.title(path)} wide busy=${busy} onClose=${closed}>
      <form onSubmit=${submit}>
        <p>${K.save.size(bytes(bytesOf(from)), bytes(bytesOf(text)))} <${Terms} base=${base} ttl=${ttl} /></p>
        ${from === text ? html`<p class="muted">${K.save.same}</p>` : html`<div class="diff"><${Diff} from=${from} to=${text} kind=${kind} label=${K.save.diff} /></div>`}
        <${Problem} error=${problem} />
        <footer>
          <button type="button" disabled=${busy} onClick=${() => handle.current.close()}>${T.dialog.cancel}</button>
          <button class="primary" autofocus disabled=${busy}>${busy ? T.dialog.working : K.save.write}</button>
        </footer>
      </form>
    <//>`;
}
