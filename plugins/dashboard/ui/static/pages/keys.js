// The page Keys: the tree of all keys, and beside it the one that is open.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { hello, stale, useTopic } from "../live.js";
import { Refusal } from "../parts/dialog.js";
import { change, go, href, query } from "../route.js";
import { useSubject } from "../shell.js";
import { T } from "../text.js";
import { K } from "../text/keys.js";
import { Branches } from "./keys/branches.js";
import { Create } from "./keys/create.js";
import { Open } from "./keys/open.js";
import { clean } from "./keys/paths.js";
import { phone } from "./keys/phone.js";
import { RemoveKey, RemoveMany } from "./keys/remove.js";
import { Results, SearchForm } from "./keys/search.js";
import { clear, SelectionBar } from "./keys/selection.js";
import { Separator } from "./keys/separator.js";
import { Import } from "./keys/transfer.js";
import { Tree } from "./keys/tree.js";
import { look } from "./keys/write.js";

export const css = "pages/keys.css";

export default function Page() {
  const at = query.value.get("at") ?? "";
  const path = clean(at);
  const q = query.value.get("q") ?? "";
  const why = hello.value?.readOnly || (stale.value ? K.stale : "");
  const bar = html`<${SelectionBar} why=${why} remove=${(items) => act.remove(items)} />`;
  const beside = !phone.value || at !== ""; // what is open is in view
  const tree = useMemo(() => new Branches(), []);
  useEffect(() => () => tree.end(), [tree]);
  useSubject(at ? path : "");
  const [dialog, setDialog] = useState(/** @type {any} */ (null));
  const wish = useRef(/** @type {any} */ ({}));
  const back = useRef(/** @type {HTMLElement | null} */ (null));
  const page = useRef(/** @type {HTMLElement | null} */ (null));

  const open = (to) => { if (to !== path || !at) go(href("keys", { ...Object.fromEntries(query.value), at: to, tab: "", filter: "" })); };
  /** @param {any} what */
  function ask(what) {
    back.current = /** @type {HTMLElement} */ (document.activeElement);
    setDialog(what);
  }
  const act = {
    create: (begin, whole = false) => ask({ kind: "create", begin: whole ? begin : begin === "/" ? "/" : begin + "/" }),
    remove: (items) => ask({ kind: "many", items }),
    removeKey: (node) => ask({ kind: "key", node }),
  };
  async function removePath(target) {
    if (why) return ask({ kind: "refused" });
    const node = await look(target).catch(() => null);
    if (node?.dir) act.remove([{ key: target, dir: true }]);
    else if (node) act.removeKey(node);
  }
  // The browser gives the focus back when a dialog closes; what had it may be gone.
  function closed() {
    setDialog(null);
    requestAnimationFrame(() => {
      if (document.activeElement && document.activeElement !== document.body) return;
      (back.current?.isConnected ? back.current : page.current?.querySelector(".tree"))?.focus();
    });
  }
  useShortcuts(wish, why ? () => ask({ kind: "refused" }) : () => act.create(path === "/" || tree.root.level.count === null ? "/" : path.slice(0, path.lastIndexOf("/"))), () => page.current?.querySelector(".tree")?.focus());

  return html`
    <div class=${"keys-page" + (at ? " opened" : "")} ref=${page}>
      <div class="row head">
        <h1>${T.pages.keys}</h1>
        <${Counters} />
        <span class="grow"></span>
        <button type="button" disabled=${Boolean(why)} title=${why || undefined} onClick=${() => act.create("/")}>${K.create.open}</button>
        <button type="button" disabled=${Boolean(why)} title=${why || undefined} onClick=${() => ask({ kind: "import" })}>${K.import.open}</button>
        ${why ? html`<span class="sr">${why}</span>` : null}
      </div>
      <div class="split">
        <section class="side" aria-label=${K.side}>
          <${SearchForm} />
          ${beside ? null : bar}
          ${q ? html`<${Results} q=${q} how=${query.value.get("how") ?? "substring"} within=${query.value.get("in") ?? "name"} at=${at ? path : ""} />`
    : html`<${Tree} tree=${tree} at=${path} open=${open} remove=${removePath} />`}
        </section>
        <${Separator} />
        <section class="open" aria-label=${K.opened}>
          ${beside ? bar : null}
          <${Open} key=${path} path=${path} why=${why} open=${open} wish=${wish} act=${act} />
        </section>
      </div>
    </div>
    ${dialog?.kind === "create" ? html`<${Create} begin=${dialog.begin} made=${open} closed=${closed} />` : null}
    ${dialog?.kind === "key" ? html`<${RemoveKey} node=${dialog.node} removed=${() => {}} closed=${closed} />` : null}
    ${dialog?.kind === "many" ? html`<${RemoveMany} items=${dialog.items} removed=${clear} closed=${closed} />` : null}
    ${dialog?.kind === "refused" ? html`<${Refusal} title=${K.refused} why=${why} onClose=${closed} />` : null}
    ${dialog?.kind === "import" ? html`<${Import} why=${why} closed=${closed} />` : null}`;
}

function Counters() {
  const { data } = useTopic("keys").value;
  if (!data) return null;
  return html`<span class="muted counters">${K.counters(data.entries, data.dirs, data.complete)}</span>`;
}

/** "e" edits, Ctrl+S saves, "n" makes a key, Esc goes back to the tree. */
function useShortcuts(wish, create, toTree) {
  const calls = useRef({ create, toTree });
  calls.current = { create, toTree };
  useEffect(() => {
    const on = (/** @type {KeyboardEvent} */ e) => {
      if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === "s") {
        e.preventDefault();
        if (!document.querySelector("dialog[open]")) wish.current.save?.();
        return;
      }
      if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
      const from = /** @type {Element} */ (e.composedPath()[0]);
      if (e.key === "Escape" && from instanceof Element && from.closest(".cm-editor") && !document.querySelector("dialog[open]")) calls.current.toTree();
      if (from instanceof Element && from.closest("input, textarea, select, [contenteditable=true], dialog")) return;
      if (e.key === "e") {
        e.preventDefault();
        if (query.value.get("tab")) change({ tab: "" }, false);
        else wish.current.edit?.();
      } else if (e.key === "n") {
        e.preventDefault();
        calls.current.create();
      }
    };
    document.addEventListener("keydown", on);
    return () => document.removeEventListener("keydown", on);
  }, []);
}
