// The pages: navigation, addresses, keyboard shortcuts and the tests' matrix are made of this list. The component is loaded when a page is
// first opened.

/**
 * @typedef {object} Page
 * @property {string} id         also its name in T.pages
 * @property {string} path       below the mount, "" is the first page
 * @property {string} key        opens it after "g"
 * @property {string} [needs]    privilege without which it shows why it can't
 * @property {boolean} [current] what it shows is current, too, while etcd is away: it is not of the store
 * @property {() => Promise<{default: Function}>} load
 */

/** @type {Page[]} */
export const pages = [
  { id: "overview", path: "", key: "o", load: () => import("./pages/overview.js") },
  { id: "keys", path: "keys", key: "k", needs: "keys", load: () => import("./pages/keys.js") },
  { id: "locks", path: "locks", key: "l", needs: "keys", load: () => import("./pages/locks.js") },
  { id: "leaders", path: "leaders", key: "e", needs: "keys", load: () => import("./pages/leaders.js") },
  { id: "members", path: "members", key: "m", needs: "cluster", current: true, load: () => import("./pages/members.js") },
  { id: "modules", path: "modules", key: "d", needs: "modules", current: true, load: () => import("./pages/modules.js") },
];
