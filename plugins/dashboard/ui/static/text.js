// Every text that people read is here and in text/, one file for each page: another language is other such files. Functions take what is
// filled in.

/** @param {number} n @param {string} one @param {string} many */
export const count = (n, one, many) => `${number(n)} ${n === 1 ? one : many}`;

const digits = new Intl.NumberFormat("en");

/** Thousands apart. @param {number} n */
export const number = (n) => digits.format(n);

/**
 * A time span of two units at most: "3 d 4 h", "12 min 5 s", "0.4 s" is "0 s".
 * @param {number} ms
 */
export function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** A latency, in ms. @param {number} ms */
export function latency(ms) {
  if (ms > 0 && ms < 0.01) return "< 0.01 ms";
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 10000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** @param {number} n bytes */
export function bytes(n) {
  if (n < 1000) return `${n} B`;
  for (const unit of ["kB", "MB", "GB"]) {
    n /= 1000;
    if (n < 999.5) return `${n < 10 ? n.toFixed(1) : Math.round(n)} ${unit}`;
  }
  return `${number(Math.round(n / 1000))} TB`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { year: "numeric", month: "short", day: "numeric" });
const date = new Intl.DateTimeFormat("en-GB", { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** @param {number} ms */
export const time = (ms) => clock.format(ms);
/** @param {number} ms */
export const dateTime = (ms) => date.format(ms);
/** The time of today, with the day before it if it was another one. @param {number} ms */
export const moment = (ms) => (day.format(ms) === day.format(Date.now()) ? time(ms) : `${day.format(ms)}, ${time(ms)}`);

export const T = {
  name: "modhost",
  pages: { overview: "Overview", keys: "Keys", locks: "Locks", leaders: "Leaders", members: "Members", modules: "Modules" },
  title: (/** @type {string} */ what, /** @type {string} */ where) => `${what} · ${where}`,
  skip: "Skip to the content",
  navigation: "Pages",
  off: (/** @type {string} */ why) => `${why}; see Modules`,
  theme: { label: "Theme", system: "System", light: "Light", dark: "Dark" },
  stream: {
    connecting: "connecting",
    live: "live",
    none: "no connection",
    stale: "reconnecting",
    away: "etcd away",
    old: (/** @type {string} */ age) => `, ${age} old`,
  },
  banner: {
    lost: (/** @type {string} */ at) => `No connection to the dashboard. What you see is as of ${at}; it goes on by itself.`,
    store: (/** @type {string} */ at, /** @type {string} */ why) => `etcd does not answer: ${why}. What you see is as of ${at}; nothing can be changed until it is back.`,
    current: (/** @type {string} */ why) => `etcd does not answer: ${why}. What this page shows is current all the same.`,
    old: "The dashboard was updated while this page was open.",
    reload: "Load it anew",
  },
  readOnly: "read-only",
  signOut: "Sign out",
  user: (/** @type {string} */ name) => (name ? name : "signed in"),
  loading: "Loading…",
  pageFailed: "This page could not be loaded.",
  missing: (/** @type {string} */ privilege, /** @type {string} */ module) =>
    `The config does not let the dashboard see this. Add "${privilege}" to privileges in the block of module "${module}", and reload the config.`,
  shortcuts: {
    title: "Keyboard",
    open: "Keyboard shortcuts",
    search: "Search on this page",
    page: (/** @type {string} */ name) => `Go to ${name}`,
    help: "This list",
    close: "Close",
    list: "Move in a list or tree; Enter opens, Left and Right close and open",
    create: "Make a key",
    edit: "Edit the key that is open",
    remove: "Delete the key or directory that the tree is at, after asking",
    save: "Save",
  },
  error: {
    retry: "Try again",
    noAnswer: "The dashboard did not answer",
    broken: "The answer broke off",
    foreign: "This is not an answer of the dashboard",
  },
  dialog: { cancel: "Cancel", close: "Close", working: "Working…" },
  copy: { button: "Copy", done: "Copied", failed: "Select and copy it by hand" },
  graph: { table: "Show as a table", graph: "Show as a graph", time: "Time", none: "No samples yet." },
  filter: "Filter",
  none: (/** @type {string} */ text) => `Nothing matches ${text}.`,
  never: "never",
  expiring: "expiring",
  count,
};
