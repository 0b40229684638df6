// Style sheets that are not needed at once.

/** Loads one, once. @param {string} path below static */
export function stylesheet(path) {
  const url = new URL("../" + path, import.meta.url).href;
  const have = [...document.querySelectorAll("link[rel=stylesheet]")].some((l) => /** @type {HTMLLinkElement} */ (l).href === url);
  if (have) return Promise.resolve();
  return new Promise((done, failed) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = url;
    link.onload = () => done(undefined);
    link.onerror = () => failed(new Error("no style sheet " + path));
    document.head.append(link);
  });
}
