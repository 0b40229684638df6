// Style sheets that are not needed at once.

/** By path. @type {Map<string, Promise<HTMLLinkElement>>} */
const links = new Map();

/** Loads one, once. @param {string} path below static */
export function stylesheet(path) {
  const there = links.get(path);
  if (there) return there;
  const coming = new Promise((done, failed) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = new URL("../" + path, import.meta.url).href;
    link.onload = () => done(link);
    link.onerror = () => { links.delete(path); link.remove(); failed(new Error("no style sheet " + path)); };
    document.head.append(link);
  });
  links.set(path, coming);
  return coming;
}

/** @type {CSSStyleSheet | null} */
let shown = null;

/**
 * Loads the sheet of a page. What it returns puts it into force, and that of the page before out of it: each is written as if there were no
 * other, and their names are the same.
 * @param {string | undefined} path
 */
export async function pageSheet(path) {
  const link = path ? await stylesheet(path) : null;
  if (link?.sheet && link.sheet !== shown) link.sheet.disabled = true;
  return () => {
    if (shown) shown.disabled = true;
    shown = link?.sheet ?? null;
    if (shown) shown.disabled = false;
  };
}
