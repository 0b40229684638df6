// The field of a filter. A list may be long: it is filtered when the hands rest, not with each key stroke.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";

const rest = 150; // ms

/** @param {{text: string, label: string, apply: (text: string) => void, class?: string, search?: boolean}} props  search: "/" goes to it */
export function Filter({ text, label, apply, search, ...more }) {
  const [shown, show] = useState(text);
  const applied = useRef(text);
  const timer = useRef(0);
  useEffect(() => {
    if (text === applied.current) return; // ours; more may have been written since
    clearTimeout(timer.current);
    applied.current = text;
    show(text);
  }, [text]);
  useLayoutEffect(() => () => clearTimeout(timer.current), []); // before the next page is there, which has filters of its own
  function on(/** @type {any} */ e) {
    const { value } = e.currentTarget;
    show(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => { applied.current = value; apply(value); }, rest);
  }
  return html`<input type="search" data-search=${search ? "" : undefined} class=${more.class} aria-label=${label} placeholder=${label} value=${shown} autocomplete="off" spellcheck=${false} onInput=${on} />`;
}
