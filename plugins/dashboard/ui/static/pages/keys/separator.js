// The bar between the tree and what is open: it is drawn, or moved by the arrow keys. The width is remembered by this browser.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { html } from "../../html.js";
import { K } from "../../text/keys.js";

const stored = "modhost.keys.width";
const [least, most] = [200, 800]; // px

function remembered() {
  try {
    return Number(localStorage.getItem(stored)) || 300;
  } catch { // storage may be forbidden
    return 300;
  }
}

const width = signal(remembered());

function set(px) {
  width.value = Math.round(Math.max(least, Math.min(most, px)));
  try {
    localStorage.setItem(stored, String(width.value));
  } catch { /* then it is for this page only */ }
}

export function Separator() {
  const bar = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => { bar.current?.parentElement?.style.setProperty("--side", width.value + "px"); }, [width.value]);
  const left = () => bar.current.parentElement.getBoundingClientRect().left;
  return html`
    <div class="separator" ref=${bar} role="separator" tabindex="0" aria-orientation="vertical" aria-label=${K.separator} aria-valuenow=${width.value} aria-valuemin=${least} aria-valuemax=${most}
      onPointerDown=${(e) => { e.currentTarget.setPointerCapture(e.pointerId); e.preventDefault(); }}
      onPointerMove=${(e) => { if (e.currentTarget.hasPointerCapture(e.pointerId)) set(e.clientX - left()); }}
      onKeyDown=${(e) => { const by = { ArrowLeft: -20, ArrowRight: 20 }[e.key]; if (by) { e.preventDefault(); set(width.value + by); } }}></div>`;
}
