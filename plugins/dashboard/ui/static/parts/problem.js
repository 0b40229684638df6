// What went wrong, where it did.
import { html } from "../html.js";
import { store } from "../live.js";
import { T } from "../text.js";

const storeUnavailable = 702;

/** Why a topic has no news; nothing if that is what the frame says already. @param {{error: any}} props */
export function Silence({ error }) {
  return store.value.why && (error?.code || error?.errorCode) === storeUnavailable ? null : html`<${Problem} error=${error} />`;
}

/**
 * An error of the API or of a topic; nothing if there is none.
 * @param {{error: any, retry?: () => void}} props
 */
export function Problem({ error, retry }) {
  if (!error) return null;
  const code = error.code || error.errorCode;
  return html`
    <div class="problem" role="alert">
      <strong>${error.message || T.error.noAnswer}</strong>${error.cause ? html`<span>: ${error.cause}</span>` : null}
      ${code ? html` <span class="muted">(${code})</span>` : null}
      ${retry ? html` <button type="button" onClick=${retry}>${T.error.retry}</button>` : null}
    </div>`;
}
