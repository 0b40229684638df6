// The page's beginning.
import { render } from "preact";
import { html } from "./html.js";
import { Shell } from "./shell.js";
import "./theme.js";

render(html`<${Shell} />`, /** @type {Element} */ (document.getElementById("app")));
