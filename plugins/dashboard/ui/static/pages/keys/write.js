// Orders that change one key, and what becomes of them when their answer is lost.
import { get, post } from "../../api.js";

/** Somebody else has changed the key: nothing was written. */
export class Changed extends Error {
  /** @param {any} current the node as it is; null if there is none */
  constructor(current) {
    super();
    this.current = current;
  }
}

/** The node of a path, null if there is none. @param {string} key */
export const look = (key) => get("keys/node", { key }).then((n) => n?.node ?? n, (error) => {
  if (error.status === 404) return null;
  throw error;
});

/**
 * Gives an order once. If no answer says what became of it, the key tells: was reports whether a node is what the order would have made of it, and
 * unchanged whether the node is as before.
 */
async function once(path, order, was, unchanged) {
  try {
    const answer = await post(path, order);
    return answer?.node ?? null;
  } catch (error) {
    if (error.body && "current" in error.body) throw new Changed(error.body.current);
    if (error.status !== 0 && error.body?.outcome !== "unknown") throw error;
    const node = await look(order.key).catch(() => { throw error; });
    if (was(node)) return node;
    if (unchanged(node)) throw error;
    throw new Changed(node);
  }
}

/**
 * Writes a value if the key still is as base says. What it returns is the node as written.
 * @param {any} base @param {string} value @param {"keep" | number} ttl
 */
export const save = (base, value, ttl) => once("keys/save", { key: base.key, value, modified: base.modified, ttl },
  (n) => n && n.value === value && BigInt(n.modified) > BigInt(base.modified), (n) => n?.modified === base.modified);

/** @param {string} key @param {string} value @param {number} ttl */
export const create = (key, value, ttl) => once("keys/create", { key, value, ttl }, (n) => n && !n.dir && n.value === value, (n) => !n);

/** @param {string} key @param {number} ttl */
export const makeDir = (key, ttl) => once("keys/mkdir", { key, ttl }, (n) => n?.dir, (n) => !n);

/** @param {any} base */
export const remove = (base) => once("keys/delete", { key: base.key, modified: base.modified }, (n) => !n, (n) => n?.modified === base.modified);
