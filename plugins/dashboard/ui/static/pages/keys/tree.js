// The tree: one tab stop; the keyboard's row is told by aria-activedescendant, since rows come and go with scrolling.
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { html } from "../../html.js";
import { Command } from "../../parts/copy.js";
import { Left } from "../../parts/time.js";
import { Silence } from "../../parts/problem.js";
import { K } from "../../text/keys.js";
import { creates } from "./creates.js";
import { edited } from "./drafts.js";
import { visible } from "./paths.js";
import { Unknown } from "./unknown.js";
import { showRow, useWindow } from "./window.js";

const rowHeight = 26;
const slots = 128; // more than there are rows at a time: elements are used again for other rows while scrolling

/**
 * @param {{tree: import("./branches.js").Branches, at: string, open: (path: string) => void, remove: (path: string) => void}} props
 *   at: the path that is open beside the tree
 */
export function Tree({ tree, at, open, remove }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const shift = useRef(0);
  tree.version.value; // what is read below has no signals
  const total = tree.total();
  const { first, last, rows } = useWindow(box, total, rowHeight);

  // Rows that come or go above what is in view must not move it.
  useEffect(() => {
    tree.moved = (place, n) => { if (box.current && box.current.scrollTop > 0 && place * rowHeight < box.current.scrollTop) shift.current += n; };
    return () => { tree.moved = () => {}; };
  }, [tree]);
  useLayoutEffect(() => {
    if (shift.current && box.current) box.current.scrollTop += shift.current * rowHeight;
    shift.current = 0;
  });

  // What is open is shown, when it is not what was clicked.
  useEffect(() => {
    if (at === "/") return;
    if (tree.pathOf(tree.active) === at) {
      tree.expand(tree.active.branch, tree.active.index); // it is not if it is the first row, at which the keyboard begins
      return;
    }
    let over = false;
    tree.reveal(at, () => over).then((found) => { if (found && !over && box.current) showRow(box.current, tree.activePlace(), rowHeight); });
    return () => { over = true; };
  }, [tree, at, tree.root.level.count === null]); // and when etcd is back

  const shown = [];
  for (let place = first; place < last; place++) shown.push({ place, ...tree.at(place) });
  const activePlace = total ? Math.min(tree.activePlace(), total - 1) : -1;
  if (total && (activePlace < first || activePlace >= last)) shown.push({ place: activePlace, ...tree.at(activePlace) });

  useEffect(() => {
    /** @type {Map<any, [number, number]>} */
    const wanted = new Map();
    for (const { branch, index, place } of shown) {
      if (place < first || place >= last) continue;
      const range = wanted.get(branch);
      wanted.set(branch, range ? [Math.min(range[0], index), Math.max(range[1], index + 1)] : [index, index + 1]);
    }
    for (const [branch, [from, to]] of wanted) branch.level.want(from, to);
    const { active } = tree;
    if (!active.name) active.name = active.branch.level.row(active.index)?.name ?? "";
  });

  function move(place) {
    if (total === 0) return;
    place = Math.max(0, Math.min(total - 1, place));
    tree.activate(tree.at(place));
    if (box.current) showRow(box.current, place, rowHeight);
  }
  function key(/** @type {KeyboardEvent} */ e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const { branch, index } = tree.active;
    const row = branch.level.row(index);
    switch (e.key) {
      case "ArrowDown": move(activePlace + 1); break;
      case "ArrowUp": move(activePlace - 1); break;
      case "PageDown": move(activePlace + Math.max(1, rows - 2)); break;
      case "PageUp": move(activePlace - Math.max(1, rows - 2)); break;
      case "Home": move(0); break;
      case "End": move(total - 1); break;
      case "ArrowRight":
        if (branch.open(index)) move(activePlace + 1);
        else tree.expand(branch, index);
        break;
      case "ArrowLeft":
        if (branch.open(index)) tree.collapse(branch, index);
        else if (branch.up) move(branch.up.place(branch.index));
        break;
      case "Enter": case " ":
        if (row) {
          tree.expand(branch, index);
          open(tree.pathOf(tree.active));
        }
        break;
      case "Delete": if (row) remove(tree.pathOf(tree.active)); break;
      default: return;
    }
    e.preventDefault();
  }
  function click(/** @type {MouseEvent} */ e) {
    const target = /** @type {Element} */ (e.target);
    const place = target.closest("[data-place]")?.getAttribute("data-place");
    if (place === null || place === undefined) return;
    const { branch, index } = tree.at(Number(place));
    tree.activate({ branch, index });
    if (!branch.level.row(index)) return;
    const inner = branch.open(index);
    if (target.closest(".twist")) {
      if (inner) tree.collapse(branch, index);
      else tree.expand(branch, index);
      return;
    }
    tree.expand(branch, index);
    open(tree.pathOf({ branch, index }));
  }

  const { count, error } = tree.root.level;
  return html`
    <${Silence} error=${error} />
    ${count === null ? html`<${Unknown} error=${error} />` : count === 0 ? html`<div class="empty narrow"><p>${K.directories.emptyRoot}</p><${Command} text=${creates("/hello")} /></div>` : null}
    <div class="tree" role="tree" tabindex="0" ref=${box} aria-label=${K.tree} aria-busy=${count === null ? "true" : undefined}
      aria-activedescendant=${activePlace >= 0 ? "row" + activePlace : undefined} onKeyDown=${key} onClick=${click}>
      ${total ? html`<div role="presentation" class="sheet" style=${{ height: total * rowHeight + "px" }}>
        ${shown.map(({ place, branch, index }) => {
          const row = branch.level.row(index);
          const path = row ? tree.pathOf({ branch, index }) : "";
          return html`<${Item} key=${place >= first && place < last ? place % slots : "active"} place=${place} row=${row} path=${path} depth=${branch.depth} index=${index} count=${branch.level.count}
            open=${row?.dir ? Boolean(branch.open(index)) : undefined} active=${place === activePlace} chosen=${path === at} edited=${edited.value.has(path)} />`;
        })}
      </div>` : null}
    </div>`;
}

function Item({ place, row, path, depth, index, count, open, active, chosen, edited }) {
  return html`
    <div role="treeitem" id=${"row" + place} data-place=${place} aria-level=${depth} aria-setsize=${count} aria-posinset=${index + 1} aria-expanded=${open === undefined ? undefined : String(open)}
      aria-selected=${chosen ? "true" : "false"} class=${"item" + (active ? " active" : "")} title=${path || undefined}
      style=${{ top: place * rowHeight + "px", paddingLeft: 4 + (Math.min(depth, 20) - 1) * 14 + "px" }}>
      <span class="twist" aria-hidden="true">${open === undefined ? "" : open ? "▾" : "▸"}</span>
      ${row ? html`<${Name} text=${row.name} />` : html`<span class="muted">…</span>`}
      ${edited ? html`<span class="accent" title=${K.unsaved}>●<span class="sr"> ${K.unsaved}</span></span>` : null}
      ${row?.expires ? html`<span class="left"><${Left} until=${row.expires} /></span>` : null}
    </div>`;
}

/** A name that is cut in its middle when there is no room: names often differ at the end. */
export function Name({ text }) {
  const shown = visible(text);
  if (shown.length < 22) return html`<span class="name">${shown}</span>`;
  const at = safeCut(shown, shown.length - 12);
  return html`<span class="name"><span class="head">${shown.slice(0, at)}</span><span class="tail">${shown.slice(at)}</span></span>`;
}

/** Not within a pair that makes one character. */
const safeCut = (text, at) => (/[\udc00-\udfff]/.test(text[at]) ? at - 1 : at);
