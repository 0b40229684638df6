// Paths of keys: "/" is the root, "/a/b" an entry or a directory. Any character but the slash may stand in a name.

/** @param {string} dir @param {string} name */
export const join = (dir, name) => (dir === "/" ? "/" + name : dir + "/" + name);

/** The directory that a path stands in. @param {string} path */
export const parent = (path) => path.slice(0, path.lastIndexOf("/")) || "/";

/** @param {string} path */
export const name = (path) => path.slice(path.lastIndexOf("/") + 1);

/** The names on the way to a path. @param {string} path */
export const names = (path) => path.split("/").filter(Boolean);

/** The directories above a path, the root first. @param {string} path */
export function above(path) {
  const all = names(path);
  return all.map((_, i) => (i === 0 ? "/" : "/" + all.slice(0, i).join("/")));
}

/** Whether a path is below dir, or dir itself. @param {string} path @param {string} dir */
export const within = (path, dir) => dir === "/" || path === dir || path.startsWith(dir + "/");

/** A path as etcd means it: one slash between names, none at the end. Spaces belong to names. @param {string} text */
export const clean = (text) => "/" + names(text.replace(/[\r\n]/g, "")).join("/");

/** Whether a path is left out of listings: a name in it begins with an underscore. @param {string} path */
export const hidden = (path) => names(path).some((n) => n.startsWith("_"));

const unseen = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const signs = { "\n": "↵", "\r": "↵", "\t": "⇥" };

/** A text on one line: what can't be seen, or would turn the line around, is shown as a sign. @param {string} text */
export const visible = (text) => text.replace(unseen, (c) => signs[c] ?? "¤");
