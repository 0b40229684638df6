// The part of a long list that is in view.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../../html.js";

const beyond = 6; // rows above and below what is in view, so that scrolling has something to show
const step = 8; // rows: a new window is made when so many have passed
const most = 96; // rows

/**
 * Which rows of a list are to be made, [first, last), for a list of rows of one height in a box that scrolls.
 * @param {{current: HTMLElement | null}} box @param {number} total @param {number} height of a row, px @param {number} [head] px above the first row
 */
export function useWindow(box, total, height, head = 0) {
  const [seen, see] = useState({ first: 0, rows: 30 });
  useLayoutEffect(() => {
    const b = box.current;
    if (!b) return;
    const look = () => {
      const first = Math.floor(Math.max(0, b.scrollTop - head) / height / step) * step;
      const rows = Math.ceil(b.clientHeight / height);
      see((old) => (old.first === first && old.rows === rows ? old : { first, rows }));
    };
    look();
    b.addEventListener("scroll", look, { passive: true });
    const sizes = new ResizeObserver(look);
    sizes.observe(b);
    return () => {
      b.removeEventListener("scroll", look);
      sizes.disconnect();
    };
  }, [box.current, height, head]);
  const first = Math.max(0, Math.min(seen.first, total - seen.rows) - beyond);
  return { first, last: Math.min(total, first + most, seen.first + seen.rows + step + beyond), rows: seen.rows };
}

/** Scrolls a box as little as needed to show a row. @param {HTMLElement} box */
export function showRow(box, place, height, head = 0) {
  const top = place * height;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + height + head > box.scrollTop + box.clientHeight) box.scrollTop = top + height + head - box.clientHeight;
}

/**
 * A long list of rows of one height.
 * @param {{total: number, height: number, label: string, row: (i: number) => any, children?: any}} props  row makes what stands in a row
 */
export function List({ total, height, label, row, onKeyDown }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const { first, last } = useWindow(box, total, height);
  const shown = [];
  for (let i = first; i < last; i++) shown.push(i);
  return html`
    <div class="list" role="region" aria-label=${label} tabindex="0" ref=${box} onKeyDown=${onKeyDown}>
      <ul class="sheet" style=${{ height: total * height + "px" }}>
        ${shown.map((i) => html`<li key=${i} class="item" style=${{ top: i * height + "px", height: height + "px" }}>${row(i)}</li>`)}
      </ul>
    </div>`;
}
