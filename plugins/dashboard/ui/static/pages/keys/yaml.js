// Laying YAML out anew: two spaces for each level, none at the ends of lines. Its meaning hangs on spaces; so what comes out is read again, and
// refused if it has another structure than what went in.
import { yaml } from "../../vendor/codemirror.mjs";
import { K } from "../../text/keys.js";

const parser = yaml().language.parser;
const inside = new Set(["QuotedLiteral", "Literal", "FlowMapping", "FlowSequence"]);

/** @param {string} text @returns {{text: string} | {mistake: import("./format.js").Mistake} | {refused: true}} */
export function formatYAML(text) {
  const tree = parser.parse(text);
  const before = structure(tree, text);
  if (before.error >= 0) return { mistake: { at: before.error, what: K.mistakes.syntax } };
  const made = layOut(text, tree);
  if (made === null) return { refused: true };
  const after = structure(parser.parse(made), made);
  return after.error < 0 && after.list.join("\n") === before.list.join("\n") ? { text: made } : { refused: true };
}

/** What is in a text, without its layout. */
function structure(tree, text) {
  const list = [];
  let depth = 0;
  let error = -1;
  tree.iterate({
    enter(node) {
      if (node.type.isError && error < 0) error = node.from;
      const part = text.slice(node.from, node.to);
      if (node.name === "Comment") list.push("#" + part.trim());
      else if (node.name === "BlockLiteralContent") list.push(depth + JSON.stringify(dedent(part)));
      else list.push(depth + node.name + (node.node.firstChild ? "" : part.replace(/\s+/g, " ").trim()));
      depth++;
    },
    leave() { depth--; },
  });
  return { list, error };
}

function dedent(text) {
  const lines = text.split("\n");
  const least = Math.min(...lines.slice(1).filter((l) => l.trim()).map((l) => l.search(/\S/)), lines[0].trim() && lines.length === 1 ? lines[0].search(/\S/) : Infinity);
  return lines.map((l, i) => (i === 0 && l.search(/\S/) < least ? l.trimStart() : l.slice(least))).join("\n");
}

/** The text with other indents; null if it has something in which that is no good idea. */
function layOut(text, tree) {
  const out = [];
  const levels = [{ at: -1, to: -2 }]; // indents that are open, and what becomes of them
  let literal = null; // a block literal: {parent, to, at}
  let shift = 0;
  let start = 0;
  for (const line of text.split("\n")) {
    const from = start;
    start += line.length + 1;
    const indent = line.search(/\S|$/);
    if (line.slice(0, indent).includes("\t")) return null;
    if (literal) {
      if (!line.trim()) {
        out.push(literal.at < 0 ? "" : line.slice(literal.at));
        continue;
      }
      if (indent > literal.parent) {
        if (literal.at < 0) literal.at = indent;
        if (indent < literal.at) return null;
        out.push(" ".repeat(literal.to) + line.slice(literal.at));
        continue;
      }
      literal = null;
    }
    const rest = line.trimEnd().slice(indent);
    if (!rest) {
      out.push("");
      continue;
    }
    if (continues(tree, from)) {
      out.push(" ".repeat(Math.max(0, indent + shift)) + rest);
      continue;
    }
    if (/^(---|\.\.\.|%)/.test(rest) && indent === 0) {
      if (/[|>]/.test(rest)) return null;
      levels.length = 1;
      out.push(rest);
      continue;
    }
    if (rest.startsWith("#")) {
      const level = levels.findLast((l) => l.at <= indent);
      out.push(" ".repeat(Math.max(0, level.to)) + rest);
      continue;
    }
    let { at, to } = enter(levels, indent);
    shift = to - indent;
    let made = " ".repeat(to);
    let body = rest;
    for (let dash; (dash = /^-[ ]+(?=\S)/.exec(body)); ) {
      made += "- ";
      body = body.slice(dash[0].length);
      at += dash[0].length;
      to += 2;
      levels.push({ at, to });
    }
    out.push(made + body);
    const block = /(?:^|[:\s])[|>]([+-]?)(\d?)[+-]?(\s+#.*)?$/.exec(body);
    if (block) {
      if (block[2]) return null;
      const isItem = !/:\s/.test(body) && levels.length > 1 && body !== rest; // "- |": what is in it is deeper than the dash
      literal = { parent: isItem ? levels.at(-2).at : at, to: isItem ? to : to + 2, at: -1 };
    }
  }
  return out.join("\n");
}

/** The level of an indent: one that is open, or a new one. */
function enter(levels, indent) {
  while (levels.at(-1).at > indent) levels.pop();
  const last = levels.at(-1);
  if (last.at < indent) levels.push({ at: indent, to: last.to + 2 });
  return levels.at(-1);
}

/** Whether a position is within a scalar or flow collection that begins before it. */
function continues(tree, at) {
  for (let node = tree.resolveInner(at, 1); node; node = node.parent) if (inside.has(node.name) && node.from < at && node.to > at) return true;
  return false;
}
