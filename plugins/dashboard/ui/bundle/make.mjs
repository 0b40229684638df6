// Writes ../static/vendor and the test's axe-core anew from what package-lock.json names: node make.mjs, after npm ci.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "../static/vendor");
const axe = join(here, "../../../../integration/browser/testdata/axe.min.js");
const lock = JSON.parse(readFileSync(join(here, "package-lock.json"), "utf8"));
const sha256 = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");

// As published.
const copies = [
  ["preact.mjs", "preact", "dist/preact.mjs"],
  ["hooks.mjs", "preact", "hooks/dist/hooks.mjs"],
  ["htm.mjs", "htm", "dist/htm.mjs"],
  ["signals.mjs", "@preact/signals", "dist/signals.mjs"],
  ["signals-core.mjs", "@preact/signals-core", "dist/signals-core.mjs"],
  ["uplot.css", "uplot", "dist/uPlot.min.css"],
];
// Several modules made one, or a large one made small.
const bundles = [["codemirror.mjs", "codemirror.js"], ["uplot.mjs", "uplot.js"]];

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
mkdirSync(dirname(axe), { recursive: true });

function part(name) {
  const entry = lock.packages["node_modules/" + name];
  return { name, version: entry.version, licence: entry.license, integrity: entry.integrity };
}

const files = {};
for (const [file, name, from] of copies) {
  // A source map that is not here must not be asked for.
  const text = readFileSync(join(here, "node_modules", name, from), "utf8").replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n");
  writeFileSync(join(out, file), text);
  files[file] = { sha256: sha256(join(out, file)), made: "copied without its source map's name", of: [part(name)] };
}
for (const [file, from] of bundles) {
  const result = await build({
    entryPoints: [join(here, from)], outfile: join(out, file), absWorkingDir: here,
    bundle: true, minify: true, format: "esm", target: "es2022", legalComments: "none", metafile: true,
  });
  const names = new Set(Object.keys(result.metafile.inputs).map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]).filter(Boolean));
  files[file] = { sha256: sha256(join(out, file)), made: "bundled by esbuild " + lock.packages["node_modules/esbuild"].version, of: [...names].sort().map(part) };
}
copyFileSync(join(here, "node_modules/axe-core/axe.min.js"), axe);
const test = { "axe.min.js": { sha256: sha256(axe), made: "copied", of: [part("axe-core")] } };

const licences = {};
for (const { of } of [...Object.values(files), ...Object.values(test)]) for (const { name } of of) {
  const folder = join(here, "node_modules", name);
  const file = readdirSync(folder).find((f) => /^licen[cs]e/i.test(f));
  if (!file) throw new Error(name + " has no licence file");
  licences[name] = readFileSync(join(folder, file), "utf8").trim();
}
writeFileSync(join(out, "LICENCES.txt"), Object.keys(licences).sort().map((name) => `${name}\n${"=".repeat(name.length)}\n\n${licences[name]}\n`).join("\n\n"));
writeFileSync(join(out, "manifest.json"), JSON.stringify({ files, test }, null, 2) + "\n");
