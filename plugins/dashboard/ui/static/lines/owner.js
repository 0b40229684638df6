// Who holds or waits, and the buttons that order something.
import { useRef, useState } from "preact/hooks";
import { get } from "../api.js";
import { html } from "../html.js";
import { hello, stale } from "../live.js";
import { Dialog } from "../parts/dialog.js";
import { Problem } from "../parts/problem.js";
import { bytes } from "../text.js";

/** Long: as it is, within a text; else two lines of it. @param {{owner: import("./state.js").Owner, words: any, long?: boolean}} props */
export function Owner({ owner, words, long }) {
  if (owner.anonymous || !owner.value) return html`<span class="muted">${words.anonymous}</span>`;
  return html`<bdi class=${long ? "mono whole" : "mono clip"} title=${long ? undefined : owner.value}>${owner.value}${owner.size ? words.cut(bytes(owner.size)) : ""}</bdi>`;
}

/** Owner and index in one. @param {{owner: import("./state.js").Owner, words: any}} props */
export function OwnerAt({ owner, words }) {
  return html`<span><${Owner} owner=${owner} words=${words} long=${true} /> <span class="muted at">${words.index.toLowerCase()} <span class="mono">${owner.index}</span></span></span>`;
}

/** Shows a value whole, that was cut. @param {{area: string, line: any, owner: import("./state.js").Owner, words: any}} props */
export function Whole({ area, line, owner, words }) {
  const handle = useRef(/** @type {any} */ (null));
  const [got, setGot] = useState(/** @type {any} */ ({}));
  if (!owner.size) return null;
  function show() {
    handle.current.open();
    get(`${area}/value`, { module: line.module, name: line.name, index: owner.index }).then(setGot, (error) => setGot({ error }));
  }
  return html`
    <button type="button" class="quiet small" onClick=${show}>${words.whole}</button>
    <${Dialog} handle=${handle} title=${`${line.name}, ${words.index.toLowerCase()} ${owner.index}`} wide=${true}>
      <div><${Problem} error=${got.error} /><pre class="value">${got.value}</pre></div>
    <//>`;
}

/** Why nothing may be changed; "" if it may. Contact is that of the module in question. @param {any} words @param {import("./state.js").Contact} [contact] */
export const refused = (words, contact) => hello.value?.readOnly || (stale.value || contact?.error ? words.staleWhy : "");

/** A quiet button for an order. of says more, for who does not see what stands beside. @param {{children?: any, of: string, why: string, onClick: () => void}} props */
export function Order({ children, of, why, onClick }) {
  return html`<button type="button" class="quiet small order" disabled=${why !== ""} title=${why || undefined} onClick=${onClick}>${children}<span class="sr"> ${of}${why ? `. ${why}` : ""}</span></button>`;
}
