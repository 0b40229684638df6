// Where the focus goes when what had it is gone: rows come and go by themselves.
import { useLayoutEffect, useRef } from "preact/hooks";

/** Puts the focus on the filter, if it is nowhere. */
export function home() {
  if (document.activeElement && document.activeElement !== document.body) return;
  const to = document.querySelector("main [data-search]") ?? document.getElementById("content");
  if (to instanceof HTMLElement) to.focus({ preventScroll: true });
}

/** Handlers for an element, whose focus is not lost with what is taken out of it. */
export function useFocusKept() {
  const at = useRef(/** @type {Element | null} */ (null));
  useLayoutEffect(() => {
    if (!at.current || at.current.isConnected) return;
    at.current = null;
    home();
  });
  return {
    onFocusIn: (/** @type {FocusEvent} */ e) => { at.current = /** @type {Element} */ (e.target); },
    // What is taken out of the page has nobody that gets the focus after it.
    onFocusOut: (/** @type {FocusEvent} */ e) => { if (e.relatedTarget) at.current = null; },
  };
}
