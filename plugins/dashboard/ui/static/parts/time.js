// Ages and what is left, which change by themselves. All times are ms of the server's clock.
import { html } from "../html.js";
import { here, now } from "../live.js";
import { T, dateTime, span } from "../text.js";

/** How long ago. @param {{since: number}} props */
export function Age({ since }) {
  if (!since) return html`<span class="muted">–</span>`;
  const at = here(since);
  return html`<time dateTime=${new Date(at).toISOString()} title=${dateTime(at)}>${span(now.value - since)}</time>`;
}

/** What is left until then; "expiring" at the end and never below 0. 0 is never. @param {{until: number}} props */
export function Left({ until }) {
  if (!until) return html`<span class="muted">${T.never}</span>`;
  const ms = until - now.value;
  if (ms <= 0) return html`<span class="warn-text">${T.expiring}</span>`;
  const at = here(until);
  return html`<time dateTime=${new Date(at).toISOString()} title=${dateTime(at)}>${span(Math.ceil(ms / 1000) * 1000)}</time>`;
}

/** The same with a bar: how much of ttl seconds is left. @param {{until: number, ttl: number}} props */
export function TTL({ until, ttl }) {
  const part = until && ttl ? Math.max(0, Math.min(1, (until - now.value) / (ttl * 1000))) : 0;
  return html`<span class="ttl"><${Left} until=${until} />${until
    ? html`<svg class=${part < 0.15 ? "bar low" : "bar"} viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect width="100" height="4" class="rest" /><rect width=${(part * 100).toFixed(1)} height="4" class="left" /></svg>` : null}</span>`;
}
