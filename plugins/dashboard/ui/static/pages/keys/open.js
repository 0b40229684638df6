// What is open beside the tree: a key with its value, or a directory with what is in it.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../../html.js";
import { now, useTopic } from "../../live.js";
import { change, href, query } from "../../route.js";
import { Command, Copy } from "../../parts/copy.js";
import { Problem, Silence } from "../../parts/problem.js";
import { Left } from "../../parts/time.js";
import { bytes, number, T } from "../../text.js";
import { K } from "../../text/keys.js";
import { creates } from "./creates.js";
import Directory from "./directory.js";
import { edited } from "./drafts.js";
import { kindOf } from "./kinds.js";
import { hidden, visible } from "./paths.js";
import { Path } from "./path.js";
import { ChangeTTL } from "./ttl.js";
import { Unknown } from "./unknown.js";
import { create } from "./write.js";

// The tabs of a key. What they need, CodeMirror above all, is loaded when one is first shown.
const tabs = {
  value: () => import("./value.js"),
  history: () => import("./history.js"),
  raw: () => import("./raw.js"),
};

/**
 * @param {{path: string, why: string, open: (path: string) => void, wish: {current: any},
 *   act: {create: (begin: string) => void, remove: (items: any[]) => void, removeKey: (node: any) => void}}} props
 */
export function Open({ path, why, open, wish, act }) {
  const { data, error } = useTopic("node:" + path).value;
  // What we have written ourselves is known before the topic tells it, and forgotten then: what the topic says of a key that is gone may be of an earlier revision.
  const [own, setOwn] = useState(/** @type {any} */ (null));
  const last = useRef(/** @type {any} */ (null));
  const ahead = own && (!data || BigInt(data.revision) < BigInt(own.modified));
  useLayoutEffect(() => { if (own && !ahead) setOwn(null); }, [own, ahead]);
  const node = ahead ? own : data?.node ?? null;
  if (node) last.current = node;
  const known = Boolean(data) || ahead;
  let inner;
  if (!known) inner = html`<${Unknown} error=${error} />`;
  else if (node?.dir) inner = html`${node.expires ? html`<${Facts} node=${node} why=${why} saved=${setOwn} />` : null}<${Directory} path=${path} node=${node} why=${why} act=${act} />`;
  else if (node || edited.value.has(path)) inner = html`${node ? html`<${Facts} node=${node} why=${why} saved=${setOwn} />` : null}<${Key} path=${path} node=${node} why=${why} wish=${wish} saved=${setOwn} />`;
  else inner = html`<${Nothing} path=${path} reason=${data.reason} last=${last.current} why=${why} act=${act} made=${setOwn} />`;
  return html`
    <a class="back" href=${href("keys", { ...Object.fromEntries(query.value), at: "", tab: "", filter: "" })}>${K.backToTree}</a>
    <h2 class="sr">${visible(path)}</h2>
    <${Path} path=${path} open=${open}>
      ${path === "/" ? null : html`<${Copy} text=${path} label=${K.facts.copyPath} />`}
      <span class="grow"></span>
      ${node && !node.dir ? html`<button type="button" class="small danger" disabled=${Boolean(why)} title=${why || undefined} onClick=${() => act.removeKey(node)}>${K.remove.open}</button>` : null}
    <//>
    ${hidden(path) ? html`<p class="muted">${K.hidden}</p>` : null}
    <${Silence} error=${error} />
    ${inner}`;
}

function Facts({ node, why, saved }) {
  const [changing, setChanging] = useState(false);
  const { dir } = node;
  const locked = why || (node.damaged ? K.binary.noSave : "");
  return html`
    <dl class="row facts">
      <div><dt>${K.facts.kind}</dt><dd>${dir ? K.directory : K.kinds[kindOf(node.value, node.damaged)]}</dd></div>
      ${dir ? null : html`<div><dt>${K.facts.size}</dt><dd>${bytes(node.size)}</dd></div>`}
      <div><dt>${K.facts.ttl}</dt><dd><${Left} until=${node.expires} /> ${dir ? (node.expires ? html`<span class="muted">(${K.ttl.directory})</span>` : null)
    : html`<button type="button" class="small quiet" disabled=${Boolean(locked)} title=${locked || undefined} onClick=${() => setChanging(true)}>${K.ttl.change}</button>`}</dd></div>
      ${dir ? null : html`
        <div><dt>${K.facts.modified}</dt><dd>${node.modified}</dd></div>
        <div><dt>${K.facts.created}</dt><dd>${node.created}</dd></div>`}
    </dl>
    ${changing ? html`<${ChangeTTL} node=${node} saved=${saved} closed=${() => setChanging(false)} />` : null}`;
}

function Key({ path, node, why, wish, saved }) {
  const name = node && query.value.get("tab") in tabs ? query.value.get("tab") : "value";
  const [loaded, setLoaded] = useState(/** @type {any} */ ({}));
  const restoring = useRef(/** @type {string | null} */ (null));
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    let over = false;
    tabs[name]().then((m) => { if (!over) setLoaded({ name, Component: m.default }); }, (error) => { if (!over) setLoaded({ name, error }); });
    return () => { over = true; };
  }, [name]);
  useEffect(() => {
    if (restoring.current === null || loaded.name !== "value") return;
    const text = restoring.current;
    restoring.current = null;
    wish.current.restore?.(text);
  }, [loaded]);
  const show = (tab) => change({ tab: tab === "value" ? "" : tab }, false);
  function key(/** @type {KeyboardEvent} */ e) {
    const names = Object.keys(tabs);
    const to = { ArrowRight: names.indexOf(name) + 1, ArrowLeft: names.indexOf(name) - 1, Home: 0, End: names.length - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    show(names[(to + names.length) % names.length]);
    requestAnimationFrame(() => list.current?.querySelector("[aria-selected=true]")?.focus());
  }
  const { Component } = loaded;
  return html`
    ${node ? html`<div class="tabs" role="tablist" aria-label=${K.tabs.label} ref=${list} onKeyDown=${key}>
      ${Object.keys(tabs).map((tab) => html`<button type="button" role="tab" id=${"tab-" + tab} aria-controls="tab" aria-selected=${String(tab === name)} tabindex=${tab === name ? 0 : -1} onClick=${() => show(tab)}>${K.tabs[tab]}</button>`)}
    </div>` : null}
    <div id="tab" class="tab" role=${node ? "tabpanel" : undefined} aria-labelledby=${node ? "tab-" + name : undefined}>
      ${loaded.error ? html`<p class="banner bad">${T.pageFailed}</p>`
    : loaded.name !== name ? html`<p class="muted" aria-busy="true">${T.loading}</p>`
    : html`<${Component} key=${path} path=${path} node=${node} why=${why} wish=${wish} saved=${saved} restore=${(text) => { restoring.current = text; show("value"); }} />`}
    </div>`;
}

function Nothing({ path, reason, last, why, act, made }) {
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const undo = last && !last.dir && !last.damaged;
  const left = last?.expires ? Math.ceil((last.expires - now.value) / 1000) : 0;
  async function again() {
    try {
      made(await create(path, last.value, last.expires ? Math.max(1, left) : 0));
    } catch (error) {
      setProblem(error.message ? error : { message: K.create.there(path) });
    }
  }
  return html`
    <div class="empty">
      <p>${K.nothing[last ? reason ?? "deleted" : "never"](visible(path))}</p>
      <p class="row">
        ${undo && reason !== "expired" ? html`<button type="button" disabled=${Boolean(why)} title=${why || undefined} onClick=${again}>${K.nothing.undo(last.expires && left > 0 ? number(left) : "")}</button>` : null}
        <button type="button" disabled=${Boolean(why)} title=${why || undefined} onClick=${() => act.create(path, true)}>${K.nothing.create}</button>
      </p>
      <${Problem} error=${problem} />
      <${Command} text=${creates(path)} />
    </div>`;
}
