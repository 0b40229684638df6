// The dialogs before something is deleted.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { lines, post } from "../../api.js";
import { html } from "../../html.js";
import { Confirm, Dialog } from "../../parts/dialog.js";
import { Problem } from "../../parts/problem.js";
import { bytes, number, T } from "../../text.js";
import { K } from "../../text/keys.js";
import { firstLine } from "./kinds.js";
import { visible } from "./paths.js";
import { Changed, remove } from "./write.js";

/** Deletes one key. @param {{node: any, removed: (node: any) => void, closed: () => void}} props */
export function RemoveKey({ node, removed, closed }) {
  async function act() {
    try {
      await remove(node);
    } catch (error) {
      throw error instanceof Changed ? { message: error.current ? K.remove.changed(node.modified, error.current.modified) : K.remove.gone } : error;
    }
    removed(node);
  }
  return html`
    <${Confirm} title=${K.remove.title} verb=${K.remove.verb} act=${act} onClose=${closed}>
      <p class="mono wrap"><strong>${visible(node.key)}</strong></p>
      <p class="mono wrap muted">${node.value ? visible(firstLine(node.value)) : K.remove.empty}</p>
      <p>${K.remove.guard(node.modified)}</p>
    <//>`;
}

/**
 * Deletes directories with all in them, and several keys: counts first, then asks to write a word, then shows what was and was not deleted.
 * @param {{items: {key: string, dir: boolean}[], removed: () => void, closed: () => void}} props
 */
export function RemoveMany({ items, removed, closed }) {
  const handle = useRef(/** @type {any} */ (null));
  const stop = useRef(new AbortController()).current;
  const close = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const [plan, setPlan] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [written, setWritten] = useState("");
  const [state, setState] = useState(/** @type {any} */ (null)); // of the deletion
  const single = items.length === 1;
  function ask() {
    setProblem(null);
    post("keys/plan", { items }, { signal: stop.signal }).then(setPlan, setProblem);
  }
  useEffect(() => {
    handle.current.open();
    ask();
    return () => stop.abort();
  }, []);
  const typed = plan?.typed;
  const ready = plan && written === typed;
  async function submit(e) {
    e.preventDefault();
    if (!ready || state) return;
    setState({ done: 0, total: plan.entries + plan.dirs });
    try {
      for await (const line of lines("keys/delete-plan", { body: { plan: plan.plan, typed }, signal: stop.signal })) setState(line);
    } catch (error) {
      if (error.name !== "AbortError") setProblem(error);
    }
    setState((s) => ({ ...s, over: true }));
    removed();
  }
  const over = state?.over;
  const whole = state?.end; // else the answer was not waited for, or broke off
  useLayoutEffect(() => { if (state) close.current?.focus(); }, [Boolean(state)]); // the field that had the focus is gone
  return html`
    <${Dialog} handle=${handle} title=${single ? K.remove.allTitle : K.remove.manyTitle} onClose=${closed}>
      <form onSubmit=${submit}>
        ${single ? html`<p class="mono wrap"><strong>${visible(items[0].key)}</strong></p>` : null}
        ${plan ? html`<p>${K.remove.hits(number(plan.entries), number(plan.dirs), bytes(plan.bytes))}</p>
          <ul class="sample mono" tabindex="0" aria-label=${K.remove.sample}>${plan.sample.map((key) => html`<li class="wrap">${visible(key)}</li>`)}
            ${plan.more ? html`<li class="muted">${K.remove.more(number(plan.more))}</li>` : null}</ul>
          <p class="muted">${K.remove.planned(plan.revision)}</p>`
    : problem ? null : html`<p class="muted" aria-busy="true">${K.remove.counting}</p>`}
        ${plan && !state ? html`<label class="field"><span>${single ? K.remove.typePath : K.remove.typeCount} <code>${visible(typed)}</code></span>
          <input class="mono" name="typed" value=${written} autocomplete="off" spellcheck=${false} onInput=${(e) => setWritten(e.currentTarget.value)} /></label>` : null}
        ${state ? html`<p role="status">${!over ? K.remove.doing(number(state.done), number(state.total)) : whole ? K.remove.done(number(state.deleted), number(state.total), number(state.absent)) : K.remove.stopped(number(state.done), number(state.total))}</p>
          ${over ? null : html`<progress max=${state.total || 1} value=${state.done ?? 0} aria-label=${K.remove.progress}></progress>`}` : null}
        ${state?.stopped ? html`<p class="problem" role="alert">${state.stopped}</p>` : null}
        ${state?.failed?.length ? html`<h3>${K.remove.failed}</h3><ul class="sample" tabindex="0" aria-label=${K.remove.failed}>${state.failed.map((f) => html`<li class="wrap"><span class="mono">${visible(f.key)}</span>: ${f.why}</li>`)}
          ${state.moreFailed ? html`<li class="muted">${K.remove.more(number(state.moreFailed))}</li>` : null}</ul>` : null}
        <${Problem} error=${problem} retry=${plan ? undefined : ask} />
        <footer>
          <button type="button" ref=${close} autofocus onClick=${() => (state && !over ? stop.abort() : handle.current.close())}>${over ? T.dialog.close : state ? K.remove.stop : T.dialog.cancel}</button>
          ${over ? null : html`<button class="danger" disabled=${!ready || Boolean(state)}>${state ? T.dialog.working : plan ? K.remove.verbMany(number(plan.entries + plan.dirs)) : K.remove.verb}</button>`}
        </footer>
      </form>
    <//>`;
}
