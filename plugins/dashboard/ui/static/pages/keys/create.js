// The dialog that makes a key or a directory.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../../html.js";
import { href } from "../../route.js";
import { Dialog } from "../../parts/dialog.js";
import { Problem } from "../../parts/problem.js";
import { T } from "../../text.js";
import { K } from "../../text/keys.js";
import { clean } from "./paths.js";
import { Changed, create, makeDir } from "./write.js";

/** @param {{begin: string, dir?: boolean, made: (path: string) => void, closed: () => void}} props  begin: what stands in the field at first */
export function Create({ begin, dir = false, made, closed }) {
  const handle = useRef(/** @type {any} */ (null));
  const [isDir, setDir] = useState(dir);
  const [key, setKey] = useState(begin);
  const [value, setValue] = useState("");
  const [ttl, setTTL] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [there, setThere] = useState("");
  const left = useRef(false);
  useEffect(() => {
    handle.current.open();
    return () => { left.current = true; };
  }, []);
  const path = clean(key);
  async function submit(e) {
    e.preventDefault();
    if (busy || path === "/") return;
    setBusy(true);
    setProblem(null);
    setThere("");
    try {
      await (isDir ? makeDir(path, Number(ttl)) : create(path, value, Number(ttl)));
      handle.current.close();
      if (!left.current) made(path); // else somebody has gone on to another page
    } catch (error) {
      if (error instanceof Changed) setThere(path);
      else setProblem(error);
    } finally {
      setBusy(false);
    }
  }
  return html`
    <${Dialog} handle=${handle} title=${isDir ? K.create.dirTitle : K.create.title} busy=${busy} onClose=${closed}>
      <form onSubmit=${submit}>
        <div class="row field" role="radiogroup" aria-label=${K.create.kind}>
          <label><input type="radio" name="kind" checked=${!isDir} onChange=${() => setDir(false)} /> ${K.create.key}</label>
          <label><input type="radio" name="kind" checked=${isDir} onChange=${() => setDir(true)} /> ${K.create.dir}</label>
        </div>
        <label class="field"><span>${K.create.path}</span>
          <input autofocus class="mono" name="path" value=${key} autocomplete="off" spellcheck=${false} onInput=${(e) => setKey(e.currentTarget.value)} /></label>
        ${isDir ? null : html`<label class="field"><span>${K.create.value}</span>
          <textarea class="mono" name="value" rows="6" spellcheck=${false} value=${value} onInput=${(e) => setValue(e.currentTarget.value)}></textarea></label>`}
        <label class="field"><span>${K.create.ttl}</span>
          <input type="number" name="ttl" min="1" max="31536000" value=${ttl} onInput=${(e) => setTTL(e.currentTarget.value)} /></label>
        ${isDir && ttl ? html`<p class="muted">${K.create.dirTTL}</p>` : null}
        ${there ? html`<p class="problem" role="alert">${K.create.there(there)} <a href=${href("keys", { at: there })} onClick=${() => handle.current.close()}>${K.create.openIt}</a></p>` : null}
        <${Problem} error=${problem} />
        <footer>
          <button type="button" disabled=${busy} onClick=${() => handle.current.close()}>${T.dialog.cancel}</button>
          <button class="primary" disabled=${busy || path === "/"}>${busy ? T.dialog.working : K.create.verb}</button>
        </footer>
      </form>
    <//>`;
}
