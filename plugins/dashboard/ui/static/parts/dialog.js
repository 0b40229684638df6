// Dialogs, on the browser's own element: it holds the focus inside, closes with Esc, and gives the focus back.
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { T } from "../text.js";
import { Problem } from "./problem.js";

/**
 * A dialog that shows children. handle.current gets open() and close(). While it is busy the user can't close it: the outcome would be lost.
 * @param {{handle: any, title: string, children?: any, wide?: boolean, busy?: boolean, onClose?: () => void}} props
 */
export function Dialog({ handle, title, children, wide, busy = false, onClose }) {
  const element = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useId();
  const [shown, setShown] = useState(false);
  const open = useRef(false);
  // At once and not when the browser tells of it, which is a task later: until then the page would take a click that opens the dialog again for one on a dialog that is open, and lose it.
  const ended = useRef(() => {});
  ended.current = () => {
    if (!open.current) return;
    open.current = false;
    setShown(false);
    onClose?.();
  };
  const close = () => { element.current?.close(); ended.current(); };
  // While it is drawn and not in an effect: who has the handle may open the dialog in an effect, which a signal can bring about before ours.
  handle.current ??= { open: () => { open.current = true; setShown(true); }, close };
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
    <dialog ref=${element} class=${wide ? "wide" : ""} aria-labelledby=${id} onCancel=${(e) => { e.preventDefault(); if (!busy) close(); }} onClose=${() => { if (!element.current?.open) ended.current(); }}>
      <header><h2 id=${id}>${title}</h2><button type="button" class="quiet" aria-label=${T.dialog.close} disabled=${busy} onClick=${close}>✕</button></header>
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
    <${Dialog} handle=${handle} title=${title} busy=${busy} onClose=${onClose}>
      <form onSubmit=${submit}>
        ${children}
        ${typed === undefined ? null : html`<label class="field"><span>${typedLabel}</span>
          <input value=${written} autocomplete="off" spellcheck=${false} onInput=${(e) => setWritten(e.currentTarget.value)} /></label>`}
        <${Problem} error=${problem} />
        <footer>
          <button type="button" autofocus disabled=${busy} onClick=${() => handle.current.close()}>${T.dialog.cancel}</button>
          <button class=${danger ? "danger" : "primary"} disabled=${!ready || busy}>${busy ? T.dialog.working : verb}</button>
        </footer>
      </form>
    <//>`;
}

/**
 * Answers a key stroke for which there is a button that does not work now.
 * @param {{title: string, why: string, onClose: () => void}} props
 */
export function Refusal({ title, why, onClose }) {
  const handle = useRef(/** @type {any} */ (null));
  useEffect(() => handle.current.open(), []);
  return html`
    <${Dialog} handle=${handle} title=${title} onClose=${onClose}>
      <p>${why}</p>
      <footer><button type="button" autofocus onClick=${() => handle.current.close()}>${T.dialog.close}</button></footer>
    <//>`;
}
