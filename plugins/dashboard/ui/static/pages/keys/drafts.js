// What was edited and is not saved yet, by path: it stays while one looks at other keys, and belongs to this page only.
import { signal } from "@preact/signals";

/**
 * @typedef {object} Draft
 * @property {any} base       the node that the edit began with: a save is guarded by its index
 * @property {any} state      the editor's, of CodeMirror
 * @property {"keep" | number} ttl   what a save does with the expiry: seconds, 0 for none
 * @property {any} [theirs]   what somebody else has written meanwhile, as far as it was looked at; null: it was deleted
 */

/** @type {Map<string, Draft>} */
const drafts = new Map();

/** The paths of keys with such; another set whenever one is kept or dropped, by whatever page that was. */
export const edited = signal(/** @type {Set<string>} */ (new Set()));

/** @param {string} path */
export const draftOf = (path) => drafts.get(path);

/** The text of a draft. @param {Draft} draft */
export const textOf = (draft) => draft.state.sliceDoc();

/** @param {string} path @param {Draft} draft */
export function keepDraft(path, draft) {
  drafts.set(path, draft);
  edited.value = new Set(drafts.keys());
}

/** @param {string} path */
export function dropDraft(path) {
  if (drafts.delete(path)) edited.value = new Set(drafts.keys());
}

addEventListener("beforeunload", (e) => { if (drafts.size) e.preventDefault(); });
