// Dialogs, on the browser's own element: it holds the focus inside, closes with Esc, and gives the focus back.
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { T } from "../text.js";
import { Problem } from "./problem.js";

/**
 * A dialog that shows children. handle.current gets open() and close().
 * @param {{handle: any, title: string, children?: any, wide?: boolean, onClose?: () => void}} props
 */
export function Dialog({ handle, title, children, wide, onClose }) {
  const element = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useId();
  const [shown, setShown] = useState(false);
  // While it is drawn and not in an effect: who has the handle may open the dialog in an effect, which a signal can bring about before ours.
  handle.current ??= { open: () => setShown(true), close: () => element.current?.close() };
  // Only with its content in it: the browser looks then for what shall have the focus.
  useLayoutEffect(() => {
    if (shown && !element.current?.open) element.current?.showModal();
  }, [shown]);
  // What had the focus may be gone, or be a button that does not work now: then it is where nothing is done.
  useEffect(() => {
    const e = element.current;
    if (!e?.open || (document.activeElement && document.activeElement !== document.body)) return;
    /** @type {HTMLElement | null} */ (e.querySelector("footer button:not(:disabled)") ?? e.querySelector("header button"))?.focus();
  });
  return html`
    <dialog ref=${element} class=${wide ? "wide" : ""} aria-labelledby=${id} onClose=${() => { setShown(false); onClose?.(); }}>
      <header><h2 id=${id}>${title}</h2><button type="button" class="quiet" aria-label=${T.dialog.close} onClick=${() => element.current?.close()}>✕</button></header>
      ${shown ? children : null}
    </dialog>`;
}

/**
 * Asks before something is done that can't be undone, and does it: the dialog stays until act() is over, and shows why it failed.
 * With typed the button works only when that text was written, and while it is blocked it does not. The focus is on Cancel.
 * @param {{title: string, children?: any, verb: string, typed?: string, typedLabel?: any, blocked?: boolean, danger?: boolean, act: () => Promise<any>, onClose: () => void}} props
 */
export function Confirm({ title, children, verb, typed, typedLabel, blocked = false, danger = true, act, onClose }) {
  const handle = useRef(/** @type {any} */ (null));
  const [written, setWritten] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  useEffect(() => handle.current.open(), []);
  const ready = !blocked && (typed === undefined || written === typed);
  async function submit(e) {
    e.preventDefault();
    if (!ready || busy) return;
    setBusy(true);
    setProblem(null);
    try {
      await act();
      handle.current.close();
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  }
  return html`
    <${Dialog} handle=${handle} title=${title} onClose=${onClose}>
      <form onSubmit=${submit}>
        ${children}
        ${typed === undefined ? null : html`<label class="field"><span>${typedLabel}</span>
          <input value=${written} autocomplete="off" spellcheck=${false} onInput=${(e) => setWritten(e.currentTarget.value)} /></label>`}
        <${Problem} error=${problem} />
        <footer>
          <button type="button" autofocus onClick=${() => handle.current.close()}>${T.dialog.cancel}</button>
          <button class=${danger ? "danger" : "primary"} disabled=${!ready || busy}>${busy ? T.dialog.working : verb}</button>
        </footer>
      </form>
    <//>`;
}
