// Everything that etcd has of a key, and its value byte by byte.
import { useState } from "preact/hooks";
import { html } from "../../html.js";
import { here } from "../../live.js";
import { Copy } from "../../parts/copy.js";
import { Left } from "../../parts/time.js";
import { dateTime, number, T } from "../../text.js";
import { K } from "../../text/keys.js";
import { visible } from "./paths.js";

const page = 2048; // bytes

/** @param {{node: any}} props */
export default function Raw({ node }) {
  const [shown, more] = useState(page);
  const bytes = new TextEncoder().encode(node.value ?? "");
  const fields = [
    [K.raw.key, html`<span class="mono wrap">${visible(node.key)}</span> <${Copy} text=${node.key} label=${K.raw.key} />`],
    [K.raw.dir, K.raw.yes[String(Boolean(node.dir))]],
    [K.raw.created, node.created],
    [K.raw.modified, node.modified],
    [K.raw.ttl, node.expires ? html`<${Left} until=${node.expires} />` : T.never],
    [K.raw.expires, node.expires ? dateTime(here(node.expires)) : T.never],
    [K.raw.size, K.raw.bytes(number(node.size ?? bytes.length))],
  ];
  return html`
    <dl class="keys">${fields.map(([name, value]) => html`<div><dt class="muted">${name}</dt><dd>${value}</dd></div>`)}</dl>
    ${node.dir ? null : html`
      <h3>${K.raw.hex}</h3>
      ${node.damaged ? html`<p class="banner bad">${K.binary.text}</p>` : null}
      ${bytes.length ? html`<pre class="hex" tabindex="0" aria-label=${K.raw.hex}>${dump(bytes.subarray(0, shown))}</pre>` : html`<p class="muted">${K.raw.empty}</p>`}
      ${bytes.length > shown ? html`<button type="button" onClick=${() => more(shown * 8)}>${K.raw.more(number(bytes.length - shown))}</button>` : null}`}`;
}

/** Sixteen bytes a line, as hexdump -C has it. @param {Uint8Array} bytes */
function dump(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = [...bytes.subarray(at, at + 16)];
    const hex = part.map((b) => b.toString(16).padStart(2, "0"));
    const text = part.map((b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : ".")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex.slice(0, 8).join(" ").padEnd(23)}  ${hex.slice(8).join(" ").padEnd(23)}  ${text}`);
  }
  return lines.join("\n");
}
