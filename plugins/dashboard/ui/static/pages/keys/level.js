// The rows of a directory: as many as were looked at, kept true by the directory's topic.
//
// The topic counts versions: each change makes one. A page of rows says of which version it is. It is taken when the rows here are of that
// version; a page from ahead waits until the changes up to it have come, one from before is asked for again.
import { batch, signal } from "@preact/signals";
import { get } from "../../api.js";
import { join, leave } from "../../live.js";

/** @typedef {{name: string, dir: boolean, size: number, preview: string, damaged?: boolean, expires: number, created: string, modified: string}} Row */
/** @typedef {{inserted?: (at: number) => void, removed?: (at: number) => void, reset?: () => void}} Listener */

const pageSize = 200;
const atOnce = 2; // questions
const keep = 20000; // rows

export class Level {
  /** @param {string} path */
  constructor(path) {
    this.path = path;
    /** Entries and directories in it; null before the first answer. @type {number | null} */
    this.count = null;
    /** Why there is nothing, or nothing new. @type {any} */
    this.error = null;
    this.gone = false;
    /** Counts what a viewer may see of changes. */
    this.version = signal(0);
    this.users = 0;
    /** @type {Set<Listener>} */
    this.listeners = new Set();
    /** @type {(Row | undefined)[]} */
    this.rows = [];
    this.seq = -1;
    this.epoch = 0; // of rows: older ones are shown until newer ones are there
    /** @type {WeakMap<Row, number>} */
    this.epochs = new WeakMap();
    this.held = 0; // rows that are not empty, at most
    this.failures = 0; // one after the other
    this.waiting = /** @type {any[]} */ ([]); // pages from ahead
    this.asked = /** @type {Set<number>} */ (new Set());
    this.first = 0;
    this.last = pageSize;
  }

  get topic() { return "dir:" + this.path; }

  start() {
    this.state = join(this.topic, (_, sent) => { this.receive(sent); return true; });
    this.stop = this.state.subscribe((s) => {
      if (s.error === this.error) return;
      this.error = s.error;
      this.version.value++;
      if (!s.error) this.pump();
    });
    this.pump();
  }

  end() {
    this.stop?.();
    leave(this.topic);
  }

  /** @param {number} i */
  row(i) { return this.rows[i]; }

  /** The rows from first up to last are looked at. */
  want(first, last) {
    this.first = Math.max(0, first);
    this.last = last;
    this.pump();
  }

  isNew(i) {
    const row = this.rows[i];
    return row !== undefined && this.epochs.get(row) === this.epoch;
  }

  pump() {
    if (this.users === 0) return;
    const last = this.count === null ? 1 : Math.min(this.last, this.count);
    for (let i = this.first; i < last && this.asked.size < atOnce; i++) {
      if (this.isNew(i)) continue;
      const offset = i - (i % pageSize);
      if (!this.asked.has(offset) && !this.waiting.some((page) => page.offset === offset)) this.ask(offset);
      i = offset + pageSize - 1;
    }
  }

  async ask(offset) {
    this.asked.add(offset);
    let again = 0;
    try {
      this.take(await get("keys/page", { dir: this.path, offset, limit: pageSize }));
      this.failures = 0;
    } catch (error) {
      if (this.count === null) {
        this.error = error;
        this.version.value++;
      }
      // The topic tells by itself when what it lacked is back.
      again = this.state?.value.error ? 0 : Math.min(15000, 1000 * 2 ** this.failures++);
      if (!again) return;
    } finally {
      this.asked.delete(offset);
    }
    if (again) setTimeout(() => this.pump(), again);
    else this.pump();
  }

  /** Takes a page of rows. @param {{offset: number, count: number, seq: number, rows: Row[]}} page */
  take(page) {
    if (this.seq < 0) this.restart(page.count, page.seq);
    if (page.seq > this.seq) {
      this.waiting.push(page);
      // Changes come a few times in a second: a topic that is silent for longer has lost them.
      setTimeout(() => { if (this.waiting.includes(page)) this.restart(page.count, page.seq); }, 1500);
      return;
    }
    if (page.seq < this.seq) return;
    this.put(page);
    this.forget();
    this.version.value++;
  }

  put(page) {
    page.rows.forEach((row, i) => {
      this.rows[page.offset + i] = row;
      this.epochs.set(row, this.epoch);
    });
    this.held += page.rows.length;
  }

  /** All that is known is of another version. */
  restart(count, seq) {
    this.epoch++;
    this.count = count;
    this.seq = seq;
    this.gone = false;
    this.error = null;
    this.rows.length = count;
    this.settle();
    this.listeners.forEach((l) => l.reset?.());
    this.version.value++;
    this.pump();
  }

  /** Pages that have waited for this version. */
  settle() {
    if (this.waiting.length === 0) return;
    for (const page of this.waiting) if (page.seq === this.seq) this.put(page);
    this.waiting = this.waiting.filter((page) => page.seq > this.seq);
  }

  receive(told) {
    const sent = { seq: 0, ...told };
    batch(() => {
      if (sent.gone) {
        this.gone = true;
        this.restart(0, -1);
        this.gone = true;
      } else if (!sent.changes) {
        if (sent.seq !== this.seq || sent.count !== this.count) this.restart(sent.count, sent.seq);
      } else if (this.seq >= 0 && sent.seq > this.seq) { // before all of it: the rest of a stream that another tab has
        this.change(sent);
      }
    });
  }

  change({ seq, changes }) {
    const from = seq - changes.length;
    if (this.seq < from) return this.restart(Math.max(0, (this.count ?? 0) + changes.reduce((n, c) => n + (c.op === "insert" ? 1 : c.op === "remove" ? -1 : 0), 0)), seq);
    for (const c of changes.slice(this.seq - from)) {
      if (c.row) this.epochs.set(c.row, this.epoch);
      if (c.op === "insert") {
        this.rows.splice(c.at, 0, c.row);
        this.count++;
        this.listeners.forEach((l) => l.inserted?.(c.at));
      } else if (c.op === "remove") {
        this.rows.splice(c.at, 1);
        this.count--;
        this.listeners.forEach((l) => l.removed?.(c.at));
      } else {
        this.rows[c.at] = c.row;
      }
      this.seq++;
      this.settle();
    }
    this.version.value++;
    this.pump();
  }

  /** Forgets rows far from what is looked at, when there are very many. */
  forget() {
    if (this.held <= keep) return;
    this.held = 0;
    for (let i = 0; i < this.rows.length; i++) {
      if (i < this.first - 2000 || i > this.last + 2000) this.rows[i] = undefined;
      else if (this.rows[i]) this.held++;
    }
  }

  /**
   * Where a name stands, or would.
   * @param {string} name @returns {Promise<{index: number, found: boolean} | null>} null: not to be told at the moment
   */
  async find(name) {
    for (let attempt = 0; attempt < 5; attempt++) {
      const known = this.rows.findIndex((r, i) => r?.name === name && this.isNew(i));
      if (known >= 0) return { index: known, found: true };
      const page = await get("keys/page", { dir: this.path, around: name, limit: pageSize });
      if (this.seq < 0) this.restart(page.count, page.seq);
      const i = page.rows.findIndex((r) => r.name === name);
      if (page.seq === this.seq) {
        this.put(page);
        this.version.value++;
        if (i >= 0) return { index: page.offset + i, found: true };
        return { index: page.offset, found: false };
      }
      this.take(page);
      await new Promise((done) => setTimeout(done, 150));
    }
    return null;
  }
}

/** @type {Map<string, Level>} */
const levels = new Map();

/** The level of a directory; give it back with release. @param {string} path */
export function use(path) {
  let level = levels.get(path);
  if (!level) levels.set(path, level = new Level(path));
  if (level.users++ === 0) level.start();
  return level;
}

/** @param {Level} level */
export function release(level) {
  if (--level.users > 0) return;
  level.end();
  levels.delete(level.path);
}

/** The rows of a directory whose names match a filter. It has what Level has for who shows rows. */
export class Matches {
  /** @param {Level} level @param {string} filter */
  constructor(level, filter) {
    this.level = level;
    this.filter = filter;
    this.count = /** @type {number | null} */ (null);
    this.of = 0;
    this.error = /** @type {any} */ (null);
    this.version = signal(0);
    this.rows = /** @type {(Row | undefined)[]} */ ([]);
    this.old = new Set(); // offsets of pages that are to be asked for again
    this.have = new Set();
    this.asking = false;
    this.over = false;
    this.first = 0;
    this.last = pageSize;
    this.seq = level.seq;
    // What has changed may match now, or no longer.
    this.stop = level.version.subscribe(() => {
      if (level.seq === this.seq) return;
      this.seq = level.seq;
      this.old = new Set(this.have);
      clearTimeout(this.planned);
      this.planned = setTimeout(() => this.pump(), 200);
    });
    this.pump();
  }

  end() {
    this.over = true;
    clearTimeout(this.planned);
    this.stop();
  }

  row(i) { return this.rows[i]; }

  want(first, last) {
    this.first = Math.max(0, first);
    this.last = last;
    this.pump();
  }

  async pump() {
    if (this.asking || this.over) return;
    const last = this.count === null || this.old.size ? Math.max(1, Math.min(this.last, this.count ?? 1)) : Math.min(this.last, this.count);
    let offset = -1;
    for (let i = this.first - (this.first % pageSize); i < last && offset < 0; i += pageSize) if (!this.have.has(i) || this.old.has(i)) offset = i;
    if (offset < 0) return;
    this.asking = true;
    this.have.add(offset); // also if it fails: until something changes
    this.old.delete(offset); // and what changes from here on makes it old again
    try {
      const page = await get("keys/page", { dir: this.level.path, offset, limit: pageSize, filter: this.filter });
      this.count = page.count;
      this.of = page.of;
      this.rows.length = page.count;
      page.rows.forEach((row, i) => { this.rows[offset + i] = row; });
      this.error = null;
    } catch (error) {
      this.error = error;
    }
    this.asking = false;
    this.version.value++;
    this.pump();
  }
}
