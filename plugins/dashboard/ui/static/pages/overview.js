// The page overview.
import { html } from "../html.js";
import { T } from "../text.js";

export default function Page() {
  return html`<h1>${T.pages.overview}</h1>`;
}
