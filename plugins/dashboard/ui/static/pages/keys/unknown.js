// What stands where nothing is known yet: it comes by itself.
import { html } from "../../html.js";
import { store } from "../../live.js";
import { T } from "../../text.js";
import { K } from "../../text/keys.js";

/** @param {{error: any}} props  why nothing comes, which is said elsewhere */
export function Unknown({ error }) {
  if (store.value.why) return html`<p class="empty">${K.away}</p>`;
  return error ? null : html`<p class="muted" aria-busy="true">${T.loading}</p>`;
}
