// Where we are, as links, and as a field to go elsewhere.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../../html.js";
import { href } from "../../route.js";
import { K } from "../../text/keys.js";
import { clean, names, visible } from "./paths.js";

/** @param {{path: string, open: (path: string) => void, children?: any}} props  children stand behind it */
export function Path({ path, open, children }) {
  const [writing, setWriting] = useState(false);
  const [text, setText] = useState(path);
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const back = useRef(false);
  useLayoutEffect(() => {
    if (writing) {
      field.current?.focus();
      field.current?.select();
    } else if (back.current) button.current?.focus();
    back.current = writing;
  }, [writing]);
  if (writing) {
    return html`
      <form class="row path" onSubmit=${(e) => { e.preventDefault(); setWriting(false); open(clean(text)); }}>
        <input ref=${field} class="mono" aria-label=${K.path.label} value=${text} autocomplete="off" spellcheck=${false} onInput=${(e) => setText(e.currentTarget.value)}
          onKeyDown=${(e) => { if (e.key === "Escape") { e.stopPropagation(); setWriting(false); } }} />
        <button class="primary">${K.path.go}</button>
        <button type="button" onClick=${() => setWriting(false)}>${K.path.cancel}</button>
      </form>`;
  }
  const parts = names(path);
  return html`
    <div class="row path">
      <div role="navigation" class="crumbs mono" aria-label=${K.path.crumbs}>
        <a href=${href("keys", { at: "/" })} aria-current=${parts.length ? undefined : "location"} aria-label=${K.path.root}>/</a>
        ${parts.map((part, i) => html`
          ${i > 0 ? html`<span aria-hidden="true">/</span>` : null}<a href=${href("keys", { at: "/" + parts.slice(0, i + 1).join("/") })}
            aria-current=${i === parts.length - 1 ? "location" : undefined}>${visible(part)}</a>`)}
      </div>
      <button ref=${button} type="button" class="quiet small" onClick=${() => { setText(path); setWriting(true); }}>${K.path.edit}</button>
      ${children}
    </div>`;
}
