// What the topics locks and leaders send, as the pages keep it, and what a page shows of it.

/** @typedef {{index: string, value?: string, size?: number, anonymous?: boolean, held?: boolean}} Owner */
/** @typedef {Owner & {ttl: number, asked?: number, since?: number, expires?: number, sessions?: number, renewed?: boolean}} Place */
/** @typedef {{key: string, module: string, name: string, holder?: Place, next?: Owner, waiting?: number, asked?: number, gone?: boolean, fresh?: boolean, haystack?: string}} Line
 *   haystack: what the filter looks at; an election that is vacant has none */
/** @typedef {Owner & {key: string, number: number, module: string, name: string, since?: number, asked?: number, at: number, reason: string, by?: string, next?: Owner}} Ending */
/** @typedef {{module: string, seen?: number, error?: string}} Contact */
/** @typedef {{began: number, lines: Map<string, Line>, endings: Ending[], missed: number, contacts: Contact[], coming?: Data}} Data */

// As many endings as the server keeps.
const mostOfAll = 2000;
const mostOfLine = 100;

/** Names a line: names of modules have no colon. @param {{module: string, name: string}} l */
export const keyOf = (l) => `${l.module}:${l.name}`;

/** @returns {Data} */
const nothing = () => ({ began: 0, lines: new Map(), endings: [], missed: 0, contacts: [] });

/**
 * Takes a message in. What comes in several is shown when it is whole.
 * @param {Data | null} old @param {any} sent @returns {Data}
 */
export function reduce(old, sent) {
  const base = sent.all ? { ...nothing(), began: sent.began } : old?.coming ?? old ?? nothing();
  const whole = base === old;
  for (const l of sent.lines ?? []) {
    l.key = keyOf(l);
    l.haystack = `${l.name}\n${l.holder?.value ?? ""}`.toLowerCase();
    const before = base.lines.get(l.key);
    l.fresh = whole && before?.holder?.index !== l.holder?.index;
    if (l.gone) base.lines.delete(l.key);
    else base.lines.set(l.key, l);
  }
  const next = {
    began: base.began, lines: base.lines, endings: sent.endings ? bounded(base.endings, sent.endings) : base.endings,
    missed: sent.missed ?? base.missed, contacts: sent.contacts ?? base.contacts,
  };
  if (!sent.more) return next;
  const shown = old ?? nothing();
  shown.coming = next; // the same as before for who shows it
  return shown;
}

/** @param {Ending[]} old @param {Ending[]} more */
function bounded(old, more) {
  for (const e of more) e.key = keyOf(e);
  const all = [...old, ...more];
  /** @type {Map<string, number>} */
  const kept = new Map();
  const list = [];
  for (let i = all.length - 1; i >= 0 && list.length < mostOfAll; i--) {
    const n = (kept.get(all[i].key) ?? 0) + 1;
    kept.set(all[i].key, n);
    if (n <= mostOfLine) list.push(all[i]);
  }
  return list.reverse();
}

/** The endings of each line, newest first. @param {Data} data @returns {Map<string, Ending[]>} */
export function byLine(data) {
  const map = new Map();
  for (let i = data.endings.length - 1; i >= 0; i--) {
    const e = data.endings[i];
    const list = map.get(e.key);
    if (list) list.push(e);
    else map.set(e.key, [e]);
  }
  return map;
}

/** How many holders have ended since then. @param {Ending[]} [endings] @param {number} since */
export const endedSince = (endings, since) => (endings ?? []).filter((e) => e.held && e.at >= since).length;

export { mostOfLine };

/** @param {number | undefined} n */
const orLast = (n) => n || Infinity;
/** @param {string} a @param {string} b */
const texts = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** How rows are compared, by the name of the order. The last word has the name. @type {Record<string, (a: any, b: any) => number>} */
const orders = {
  wait: (a, b) => orLast(a.asked) - orLast(b.asked) || orLast(a.holder?.since) - orLast(b.holder?.since),
  name: () => 0,
  owner: (a, b) => Number(!a.holder) - Number(!b.holder) || texts(a.holder?.value ?? "", b.holder?.value ?? ""),
  held: (a, b) => orLast(a.holder?.since) - orLast(b.holder?.since),
  ttl: (a, b) => orLast(a.holder?.expires) - orLast(b.holder?.expires),
  waiting: (a, b) => (b.waiting ?? 0) - (a.waiting ?? 0),
  changes: (a, b) => b.changes - a.changes,
};

/** Orders that have what is most in front. */
const mostFirst = new Set(["wait", "held", "waiting", "changes"]);

/** Whether an order has the least in front, as it is or with "-" the other way round. @param {string} sort */
export const ascends = (sort) => mostFirst.has(sort.replace("-", "")) === sort.startsWith("-");

/**
 * Rows in order; an order with "-" in front is the other way round.
 * @template {Line} L
 * @param {L[]} lines @param {string} sort @returns {L[]}
 */
export function sorted(lines, sort) {
  const back = sort.startsWith("-") ? -1 : 1;
  const order = orders[sort.replace("-", "")] ?? orders.name;
  // Infinity - Infinity is no number, and no order.
  return [...lines].sort((a, b) => back * (order(a, b) || texts(a.name, b.name) || texts(a.module, b.module)));
}

/**
 * The rows that match.
 * @template {Line} L
 * @param {L[]} lines @param {{text: string, module: string}} by @returns {L[]}
 */
export function matching(lines, by) {
  if (!by.text && !by.module) return lines;
  const want = by.text.toLowerCase();
  return lines.filter((l) => (!by.module || l.module === by.module) && (!want || (l.haystack ?? l.name.toLowerCase()).includes(want) || l.holder?.index === want));
}
