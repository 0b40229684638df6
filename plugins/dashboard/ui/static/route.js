// Where we are: the page and its parameters, both in the address. Keys of etcd stand in the query, where any character survives proxies.
import { computed, signal } from "@preact/signals";
import { pages } from "./pages.js";

/** The mount as this browser sees it, with a slash at the end. */
export const base = new URL("./", location.href).pathname;

const place = signal(location.pathname + location.search);

addEventListener("popstate", () => {
  const before = place.value.split("?")[0];
  place.value = location.pathname + location.search;
  over.abort();
  if (before !== location.pathname && history.state?.y) scrollBack(history.state.y);
});

let over = new AbortController(); // of the latest scrollBack

/** Scrolls to where a page was left, which the browser tries before there is anything on it. Whoever scrolls meanwhile is left alone. */
function scrollBack(/** @type {number} */ y) {
  over = new AbortController();
  const { signal } = over;
  for (const doing of ["wheel", "touchstart", "keydown", "pointerdown"]) addEventListener(doing, () => over.abort(), { signal, passive: true });
  const until = performance.now() + 2000;
  const step = () => {
    if (signal.aborted) return;
    const there = document.documentElement.scrollHeight - innerHeight >= y;
    if (there) scrollTo(0, y);
    if (there || performance.now() > until) over.abort();
    else requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

/** The page that is open; the first one if the address is none of ours. */
export const page = computed(() => {
  const path = place.value.split("?")[0].slice(base.length);
  return pages.find((p) => p.path === path) ?? pages[0];
});

/** The parameters of the address. */
export const query = computed(() => new URLSearchParams(place.value.split("?")[1] ?? ""));

/**
 * Makes the address of a page. Parameters that are empty are left out.
 * @param {string} path
 * @param {Record<string, string | number | undefined | null>} [params]
 */
export function href(path, params = {}) {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value !== undefined && value !== null && value !== "") q.set(name, String(value));
  const text = q.toString();
  return base + path + (text ? "?" + text : "");
}

/**
 * Goes to an address of ours. With replace the one before is not in the history: for filters that change with each key stroke.
 * @param {string} address
 */
export function go(address, replace = false) {
  if (address === location.pathname + location.search) return;
  const leaves = address.split("?")[0] !== location.pathname;
  if (leaves) over.abort();
  if (!replace) history.replaceState({ y: scrollY }, "");
  history[replace ? "replaceState" : "pushState"](null, "", address);
  place.value = address;
  if (leaves) scrollTo(0, 0);
}

/**
 * Changes some parameters of the page that is open; empty ones go.
 * @param {Record<string, string | number | undefined | null>} params
 */
export function change(params, replace = true) {
  const all = Object.fromEntries(query.value);
  go(href(page.value.path, { ...all, ...params }), replace);
}

// Links of ours are followed without loading the page anew.
document.addEventListener("click", (e) => {
  if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
  const link = e.target instanceof Element ? e.target.closest("a[href]") : null;
  if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute("download")) return;
  const to = new URL(link.href);
  const path = to.pathname.slice(base.length);
  if (to.origin !== location.origin || !to.pathname.startsWith(base) || to.hash || !pages.some((p) => p.path === path)) return;
  e.preventDefault();
  go(to.pathname + to.search);
});
