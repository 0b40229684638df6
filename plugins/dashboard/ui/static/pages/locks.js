// The page locks.
import { html } from "../html.js";
import { T } from "../text.js";

export default function Page() {
  return html`<h1>${T.pages.locks}</h1>`;
}
