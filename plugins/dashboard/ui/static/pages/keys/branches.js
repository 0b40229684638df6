// The tree as one flat list: the rows of directories that are open stand below their own row. Rows are found by counting, none is made before
// it is looked at; so the length of a directory costs nothing.
import { signal } from "@preact/signals";
import { use, release } from "./level.js";
import { above, join, name, within } from "./paths.js";

const most = 100; // directories open at a time: each is a topic

/** An open directory. */
class Branch {
  /** @param {Branches} tree @param {Branch | null} up @param {number} index its row in up's level @param {string} path */
  constructor(tree, up, index, path) {
    this.tree = tree;
    this.up = up;
    this.index = index;
    this.path = path;
    this.depth = up ? up.depth + 1 : 1;
    /** Open directories in it, by index. @type {Branch[]} */
    this.inner = [];
    this.level = use(path);
    this.listener = {
      inserted: (at) => { for (const b of this.inner) if (b.index >= at) b.index++; tree.shifted(this, at, 1); },
      removed: (at) => {
        const lost = this.inner.find((b) => b.index === at);
        const n = lost ? lost.total() + 1 : 1;
        if (lost) tree.drop(lost);
        for (const b of this.inner) if (b.index > at) b.index--;
        tree.shifted(this, at, -n);
      },
      reset: () => tree.search(this),
    };
    this.level.listeners.add(this.listener);
    this.stop = this.level.version.subscribe(() => tree.touch());
  }

  end() {
    for (const b of this.inner) b.end();
    this.stop();
    this.level.listeners.delete(this.listener);
    release(this.level);
  }

  /** Rows in it and in what is open in it. */
  total() {
    return this.inner.reduce((n, b) => n + b.total(), this.level.count ?? 0);
  }

  /** The row at a place of the flat list of this branch. @returns {{branch: Branch, index: number}} */
  at(place) {
    for (const b of this.inner) {
      if (place <= b.index) return { branch: this, index: place };
      const size = b.total();
      if (place <= b.index + size) return b.at(place - b.index - 1);
      place -= size;
    }
    return { branch: this, index: place };
  }

  /** Where a row of this branch stands in the flat list of the whole tree. */
  place(index) {
    let n = index;
    for (const b of this.inner) if (b.index < index) n += b.total();
    return this.up ? this.up.place(this.index) + 1 + n : n;
  }

  /** The open directory of a row, if it is open. */
  open(index) { return this.inner.find((b) => b.index === index); }
}

export class Branches {
  constructor() {
    /** Counts what a viewer may see of changes. */
    this.version = signal(0);
    this.root = new Branch(this, null, -1, "/");
    /** The row that the keyboard is at. @type {{branch: Branch, index: number, name: string}} */
    this.active = { branch: this.root, index: 0, name: "" };
    /** Told of rows that came (n > 0) or went above a place, so that a viewer can keep what it shows in place. @type {(place: number, n: number) => void} */
    this.moved = () => {};
    this.over = false;
  }

  end() {
    this.over = true;
    this.root.end();
  }

  /** Whether a branch is open still. */
  has(branch) { return !this.over && [...this.each(this.root)].includes(branch); }

  touch() {
    if (this.root === undefined) return; // while it is made
    this.version.value++;
  }

  total() { return this.root.total(); }

  at(place) { return this.root.at(place); }

  /** The path of a row; "" while its name is not known. */
  pathOf({ branch, index }) {
    const row = branch.level.row(index);
    return row ? join(branch.path, row.name) : "";
  }

  /** @param {{branch: Branch, index: number}} at */
  activate({ branch, index }) {
    this.active = { branch, index, name: branch.level.row(index)?.name ?? "" };
    this.touch();
  }

  activePlace() { return this.active.branch.place(this.active.index); }

  /** Opens the directory of a row. */
  expand(branch, index) {
    const row = branch.level.row(index);
    const there = branch.open(index);
    if (!row?.dir || there) return there;
    this.makeRoom();
    const inner = new Branch(this, branch, index, join(branch.path, row.name));
    branch.inner.push(inner);
    branch.inner.sort((a, b) => a.index - b.index);
    this.touch();
    return inner;
  }

  collapse(branch, index) {
    const inner = branch.open(index);
    if (!inner) return;
    if (within(this.active.branch.path, inner.path)) this.activate({ branch, index });
    this.drop(inner);
    this.touch();
  }

  /** @param {Branch} branch is open no longer */
  drop(branch) {
    if (within(this.active.branch.path, branch.path)) this.active = { branch: branch.up, index: branch.index, name: name(branch.path) };
    branch.up.inner = branch.up.inner.filter((b) => b !== branch);
    branch.end();
  }

  /** Closes the directory that was opened first and has nothing to do with where we are, if there are too many. */
  makeRoom() {
    const all = [...this.each(this.root)].slice(1);
    if (all.length < most) return;
    const one = all.find((b) => b.inner.length === 0 && !within(this.active.branch.path, b.path));
    if (one) this.drop(one);
  }

  *each(branch) {
    yield branch;
    for (const b of branch.inner) yield* this.each(b);
  }

  /** A row was put in (n = 1) at index of branch, or taken out with what was open in it (n < 0). */
  shifted(branch, index, n) {
    const a = this.active;
    if (a.branch === branch && (n > 0 ? a.index >= index && a.name !== "" : a.index > index)) a.index += Math.sign(n);
    else if (a.branch === branch && a.index === index) { // it is gone: the next one, or the last, or the directory
      if (branch.level.count > 0 || !branch.up) a.index = Math.max(0, Math.min(index, branch.level.count - 1));
      else this.active = { branch: branch.up, index: branch.index, name: name(branch.path) };
      this.active.name = this.active.branch.level.row(this.active.index)?.name ?? "";
    }
    this.moved(branch.place(index), n);
  }

  /** The rows of branch were all read again: what is open in it, and where the keyboard is, are found by name. */
  async search(branch) {
    const { level } = branch;
    const epoch = level.epoch;
    if (level.gone && branch.up) {
      this.collapse(branch.up, branch.index);
      return;
    }
    const a = this.active;
    const lost = a.branch === branch && a.name ? [a.name] : [];
    for (const wanted of [...lost, ...branch.inner.map((b) => name(b.path))]) {
      const found = await level.find(wanted).catch(() => null);
      if (level.epoch !== epoch || !this.has(branch)) return; // there will be another call, or it is open no longer
      if (!found) {
        setTimeout(() => { if (level.epoch === epoch && this.has(branch)) this.search(branch); }, 1000);
        break;
      }
      const inner = branch.inner.find((b) => name(b.path) === wanted);
      if (inner && found.found) inner.index = found.index;
      else if (inner) this.drop(inner);
      if (this.active === a && a.branch === branch && a.name === wanted) a.index = Math.max(0, Math.min(found.index, level.count - 1));
    }
    branch.inner.sort((x, y) => x.index - y.index);
    this.touch();
  }

  /**
   * Opens what is above a path, and the path if it is a directory, and puts the keyboard on it. What is hidden can't be shown.
   * @param {string} path @param {() => boolean} over tells that nobody waits for it any more
   * @returns {Promise<boolean>} whether it is there
   */
  async reveal(path, over) {
    let branch = this.root;
    for (const dir of [...above(path).slice(1), path]) {
      const found = await branch.level.find(name(dir)).catch(() => null);
      if (!found?.found || over()) return false;
      if (dir === path) {
        this.activate({ branch, index: found.index });
        this.expand(branch, found.index);
        return true;
      }
      const inner = this.expand(branch, found.index);
      if (!inner) return false; // an entry
      branch = inner;
    }
    return false;
  }
}
