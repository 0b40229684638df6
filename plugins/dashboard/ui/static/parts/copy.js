// Copying a text to the clipboard, also where the browser has no clipboard for pages without HTTPS.
import { useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { T } from "../text.js";

/** @param {string} text */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "sr";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("no clipboard");
}

/** @param {{text: string, label?: string}} props label: what is copied, for who does not see what stands beside */
export function Copy({ text, label }) {
  const [said, setSaid] = useState(T.copy.button);
  const over = useRef(0);
  function click() {
    copy(text).then(() => setSaid(T.copy.done), () => setSaid(T.copy.failed));
    clearTimeout(over.current);
    over.current = setTimeout(() => setSaid(T.copy.button), 2000);
  }
  return html`<button type="button" class="quiet small" onClick=${click}>${said}${label ? html`<span class="sr"> ${label}</span>` : null}</button>`;
}

/** A line for the shell, with a button that copies it. @param {{children: string}} props */
export function Command({ text }) {
  return html`<div class="command"><code>${text}</code><${Copy} text=${text} /></div>`;
}
