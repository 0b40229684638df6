// Merging two texts that were both made of a third, by lines.

/**
 * Which lines of a and b belong together: pairs of positions, in order. Myers' way; texts that differ in too much are said to have nothing in
 * common between their common ends.
 * @param {string[]} a @param {string[]} b
 * @returns {[number, number][]}
 */
export function common(a, b) {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const pairs = /** @type {[number, number][]} */ ([]);
  for (let i = 0; i < start; i++) pairs.push([i, i]);
  for (const [x, y] of middle(a.slice(start, a.length - end), b.slice(start, b.length - end))) pairs.push([x + start, y + start]);
  for (let i = end; i > 0; i--) pairs.push([a.length - i, b.length - i]);
  return pairs;
}

const limit = 1500; // differences

function middle(a, b) {
  const n = a.length, m = b.length, most = Math.min(n + m, limit);
  if (n === 0 || m === 0) return [];
  const at = new Int32Array(2 * most + 2);
  const trace = [];
  for (let d = 0; d <= most; d++) {
    trace.push(at.slice(most - d, most + d + 2));
    for (let k = -d; k <= d; k += 2) {
      let x = k === -d || (k !== d && at[most + k - 1] < at[most + k + 1]) ? at[most + k + 1] : at[most + k - 1] + 1;
      let y = x - k;
      while (x < n && y < m && a[x] === b[y]) { x++; y++; }
      at[most + k] = x;
      if (x >= n && y >= m) return back(trace, d, n, m);
    }
  }
  return [];
}

function back(trace, d, x, y) {
  const pairs = [];
  for (; d >= 0; d--) {
    const row = trace[d]; // of d-1, k from -d
    const k = x - y;
    const of = (i) => row[i + d] ?? -1;
    const before = d === 0 ? 0 : k === -d || (k !== d && of(k - 1) < of(k + 1)) ? k + 1 : k - 1;
    const fromX = d === 0 ? 0 : of(before);
    const fromY = d === 0 ? 0 : fromX - before;
    while (x > fromX && y > fromY) pairs.push([--x, --y]);
    x = fromX;
    y = fromY;
  }
  return pairs.reverse();
}

/**
 * Merges: what only one side has changed is taken over; where both have, mine stands, and clashes counts it.
 * @param {string} base @param {string} theirs @param {string} mine
 */
export function merge(base, theirs, mine) {
  const [o, a, b] = [base, theirs, mine].map((t) => t.split("\n"));
  const toA = new Map(common(o, a));
  const toB = new Map(common(o, b));
  const out = [];
  let clashes = 0;
  let i = 0, ia = 0, ib = 0;
  for (;;) {
    // The next line that all three have.
    let j = i;
    while (j < o.length && !(toA.has(j) && toB.has(j))) j++;
    const ja = j < o.length ? toA.get(j) : a.length;
    const jb = j < o.length ? toB.get(j) : b.length;
    const [po, pa, pb] = [o.slice(i, j), a.slice(ia, ja), b.slice(ib, jb)];
    const same = (x, y) => x.length === y.length && x.every((line, n) => line === y[n]);
    if (same(pa, po)) out.push(...pb);
    else if (same(pb, po) || same(pa, pb)) out.push(...pa);
    else {
      out.push(...pb);
      clashes++;
    }
    if (j >= o.length) return { text: out.join("\n"), clashes };
    out.push(o[j]);
    i = j + 1;
    ia = ja + 1;
    ib = jb + 1;
  }
}
