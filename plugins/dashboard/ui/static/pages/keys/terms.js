// What a save will do, in words.
import { html } from "../../html.js";
import { now } from "../../live.js";
import { span } from "../../text.js";
import { K } from "../../text/keys.js";

/** What a save does with the expiry, in words. @param {{expires: number}} base @param {"keep" | number} ttl */
function ttlWords(base, ttl) {
  if (ttl !== "keep") return ttl ? K.save.setsTTL(span(ttl * 1000)) : base.expires ? K.save.endsTTL : K.save.noTTL;
  if (!base.expires) return K.save.noTTL;
  const left = base.expires - now.value;
  return left > 0 ? K.save.keepsTTL(span(Math.ceil(left / 1000) * 1000)) : K.save.expiring;
}

/** What a save does, and when it does nothing. base null: the key is made anew. */
export function Terms({ base, ttl }) {
  return html`<span>${base ? K.save.guard(base.modified) : K.save.guardNew}; ${base ? ttlWords(base, ttl) : ttlWords({ expires: 0 }, ttl)}.</span>`;
}
