// What the server tells by itself: topics as signals. Nothing here asks again and again.
import { computed, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

/** @typedef {{version: string, module: string, readOnly: string, user: string, signedIn: boolean, missing: string[], locks: string[], leaders: string[]}} Hello */

/** Whom we talk to; null before the first answer. @type {import("@preact/signals").Signal<Hello | null>} */
export const hello = signal(null);

/** Whether etcd answers the server, as of the last pulse. */
export const store = signal({ why: "", since: 0 });

/** The time here, in ms, changed every second while the page is visible. */
export const tick = signal(Date.now());

/** When the stream last said something, by the clock here; 0 before. */
const heard = signal(0);

/** The server's clock minus ours, in ms. */
const ahead = signal(0);

/** What the latest pulses say of it. @type {number[]} */
let distances = [];

/** Whether the stream is known to have broken off, or to say nothing. */
const broken = signal(false);

/** "connecting", "live" or "stale". */
export const connection = computed(() => {
  if (heard.value === 0) return broken.value ? "stale" : "connecting";
  return broken.value || tick.value - heard.value > 3500 /* the worker is gone too */ ? "stale" : "live";
});

/** When what is shown was last known to be true: ms by our clock. */
export const known = computed(() => (store.value.why ? Math.min(heard.value, store.value.since - ahead.value) : heard.value));

/** Whether what is shown may be old: no stream, or the server has no etcd. */
export const stale = computed(() => connection.value === "stale" || store.value.why !== "");

/** The server's time now, for what ends or began at a time of its clock. */
export const now = computed(() => tick.value + ahead.value);

/** Turns a time of the server into one of ours. @param {number} t */
export const here = (t) => t - ahead.value;

const policy = globalThis.trustedTypes?.createPolicy("modhost", {
  // The one script that is loaded by address is our worker.
  createScriptURL: (url) => { if (url !== workerURL) throw new TypeError("not our worker"); return url; },
});
const workerURL = new URL("./worker.js", import.meta.url).href;

/** @type {MessagePort} */
let port;
/** Where there are no shared ones. @type {Worker | undefined} */
let worker;
/** When the worker last said anything, were it that the stream is lost, which it does every few seconds. */
let spoken = 0;
/** @type {Map<string, {users: number, state: import("@preact/signals").Signal<any>, on: (data: any) => void}>} */
const open = new Map();

function connect() {
  if (port) port.onmessage = null;
  port?.postMessage({ bye: true });
  worker?.terminate();
  spoken = Date.now();
  const url = /** @type {string} */ (policy ? policy.createScriptURL(workerURL) : workerURL);
  if (globalThis.SharedWorker) {
    port = new SharedWorker(url, { type: "module", name: "modhost" }).port;
  } else {
    const both = new MessageChannel();
    worker = new Worker(url, { type: "module" });
    worker.postMessage({ port: both.port2 }, [both.port2]);
    port = both.port1;
  }
  port.onmessage = (e) => receive(e.data);
  begin();
}

/** @param {any} m */
function receive(m) {
  const at = Date.now();
  spoken = at;
  if (m.topic === "signedOut") {
    location.reload();
    return;
  }
  if (m.topic === "lost" || m.topic === "quiet") {
    broken.value = true;
    tick.value = at;
    return;
  }
  heard.value = at;
  broken.value = false;
  if (m.topic === "hello") {
    hello.value = m.data;
  } else if (m.topic === "pulse") {
    // A pulse that was under way for long makes the server seem to be behind: the largest distance is the least delayed.
    // One that differs by more than any delay tells that a clock was set.
    const latest = m.data.now - at;
    distances = Math.abs(latest - ahead.value) > 3000 ? [latest] : [...distances.slice(-9), latest];
    const distance = Math.max(...distances);
    if (Math.abs(distance - ahead.value) > 50) ahead.value = distance;
    if (m.data.store !== store.value.why || m.data.since !== store.value.since) store.value = { why: m.data.store, since: m.data.since };
  } else {
    open.get(m.topic)?.on(m);
  }
}

let asking = 0;
let fresh = false;
let away = false;

/**
 * Tells the worker which topics are shown here, together with what else changes now. With anew the stream is opened anew, which sends all of
 * each topic again: for one that was joined, also if it was left just before, and for one that was found to be incomplete.
 */
function ask(anew = false) {
  fresh ||= anew;
  clearTimeout(asking);
  if (away) return; // who comes back asks for all of it
  asking = setTimeout(() => {
    port.postMessage({ topics: [...open.keys()], anew: fresh });
    fresh = false;
  }, 0);
}

/**
 * A topic as {data, error}: data is what reduce makes of what was there and what comes, error is why there is nothing new. Both are null
 * at first. Every call must be paired with leave.
 * @param {string} topic
 * @param {(old: any, sent: any) => any} [reduce]
 */
export function join(topic, reduce = (_, sent) => sent) {
  let t = open.get(topic);
  if (!t) {
    const state = signal({ data: null, error: null });
    t = {
      users: 0, state,
      on: (m) => { state.value = m.error ? { data: state.value.data, error: m.error } : { data: reduce(state.value.data, m.data), error: null }; },
    };
    open.set(topic, t);
    ask(true);
  }
  t.users++;
  return t.state;
}

/** @param {string} topic */
export function leave(topic) {
  const t = open.get(topic);
  if (t && --t.users === 0) {
    open.delete(topic);
    ask();
  }
}

/**
 * A topic for as long as a component is shown; its signal. "" is none.
 * @param {string} topic
 * @param {(old: any, sent: any) => any} [reduce]
 */
export function useTopic(topic, reduce) {
  const state = useMemo(() => (topic ? join(topic, reduce) : signal({ data: null, error: null })), [topic]);
  useEffect(() => () => { if (topic) leave(topic); }, [topic]);
  return state;
}

const gone = 10_000; // ms without a word of the worker: it has died, as with the process that it was in

// A page that nobody sees has no clock.
let clock = 0;
function wind() {
  clearInterval(clock);
  if (document.hidden) return;
  tick.value = Date.now();
  clock = setInterval(() => {
    tick.value = Date.now();
    if (tick.value - spoken > gone) connect();
  }, 1000);
}
document.addEventListener("visibilitychange", () => {
  wind();
  if (!globalThis.SharedWorker) begin();
});
wind();

/** Has the stream. Where tabs can't share one, a tab that nobody sees has none: a browser has but six connections to a host. */
function begin() {
  if (!globalThis.SharedWorker && document.hidden) return end();
  away = false;
  ask(true);
}

/** Gives the stream back. */
function end() {
  away = true;
  clearTimeout(asking);
  port.postMessage({ bye: true });
}

addEventListener("pagehide", end);
addEventListener("pageshow", (e) => { if (e.persisted) connect(); });
connect();
