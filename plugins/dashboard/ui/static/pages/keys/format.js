// Laying values out anew. What is written stays as it is, letter by letter: numbers are not read as numbers, since 64-bit ones would be rounded.

import { K } from "../../text/keys.js";

/** @typedef {{at: number, what: string}} Mistake where in the text, and what is wrong */

const M = K.mistakes;
const space = /[ \t\n\r]/;

/**
 * Reads JSON strictly; null if it is right.
 * @param {string} text
 * @param {(token: string, depth: number) => void} [on] is told each token
 * @returns {Mistake | null}
 */
export function parseJSON(text, on = () => {}) {
  let i = 0;
  const fail = (what, at = i) => { throw Object.assign(new Error(what), { at }); };
  const skip = () => { while (i < text.length && space.test(text[i])) i++; };
  const take = (n, depth) => { on(text.slice(i, i + n), depth); i += n; };
  const string = (depth) => {
    let j = i + 1;
    for (; text[j] !== '"'; j++) {
      if (j >= text.length) fail(M.noEnd);
      if (text.charCodeAt(j) < 0x20) fail(M.control, j);
      if (text[j] === "\\" && !/^\\(["\\/bfnrt]|u[0-9a-fA-F]{4})/.test(text.slice(j, j + 6))) fail(M.escape, j);
      if (text[j] === "\\") j++;
    }
    take(j + 1 - i, depth);
  };
  const value = (depth) => {
    if (depth > 500) fail(M.deep);
    skip();
    const c = text[i];
    if (c === "{" || c === "[") {
      const end = c === "{" ? "}" : "]";
      take(1, depth);
      skip();
      if (text[i] === end) return take(1, depth);
      for (;;) {
        skip();
        if (c === "{") {
          if (text[i] !== '"') fail(text[i] === "}" ? M.comma : M.name);
          string(depth + 1);
          skip();
          if (text[i] !== ":") fail(M.colon);
          take(1, depth + 1);
        } else if (text[i] === "]") fail(M.comma);
        value(depth + 1);
        skip();
        if (text[i] === ",") take(1, depth + 1);
        else if (text[i] === end) return take(1, depth);
        else fail(i < text.length ? M.more(end) : M.missing(end));
      }
    }
    if (c === '"') return string(depth);
    const word = /^(-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|true|false|null)(?![\w.+-])/.exec(text.slice(i, i + 400));
    if (!word) fail(i < text.length ? M.value : M.noValue);
    take(word[0].length, depth);
  };
  try {
    value(0);
    skip();
    if (i < text.length) fail(M.after);
    return null;
  } catch (e) {
    if (e.at === undefined) throw e;
    return { at: Math.min(e.at, text.length), what: e.message };
  }
}

/** @typedef {{text: string} | {mistake: Mistake}} Formatted */

/** @param {string} text @returns {Formatted} */
export function formatJSON(text) {
  let out = "";
  let before = "";
  const mistake = parseJSON(text, (token, depth) => {
    const line = "\n" + "  ".repeat(depth);
    const closes = token === "}" || token === "]";
    if (closes ? before !== "{" && before !== "[" : before === "{" || before === "[" || before === ",") out += line;
    else if (before === ":") out += " ";
    out += token;
    before = token;
  });
  return mistake ? { mistake } : { text: out + (/\n\s*$/.test(text) ? "\n" : "") };
}

const tags = /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>|<!DOCTYPE(?:\[[\s\S]*?\]|"[^"]*"|'[^']*'|[^>[])*>|<\/?[^\s<>/!?=]+(?:\s+[^\s=<>/]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*\s*\/?>/gy;

/** Cuts XML into tags and what is between them, and checks that they pair. @returns {{tokens: string[]} | {mistake: Mistake}} */
function readXML(text) {
  const tokens = [];
  const open = [];
  let seen = 0;
  for (let i = 0; i < text.length;) {
    const next = text.indexOf("<", i);
    if (next !== i) {
      const between = next < 0 ? text.slice(i) : text.slice(i, next);
      if (between.trim() && open.length === 0) return { mistake: { at: i + between.search(/\S/), what: M.outside } };
      tokens.push(between);
      i += between.length;
      continue;
    }
    tags.lastIndex = i;
    const m = tags.exec(text);
    if (!m) return { mistake: { at: i, what: M.tag } };
    const tag = m[0];
    const name = /^<\/?([^\s<>/!?=]+)/.exec(tag)?.[1];
    if (tag.startsWith("</")) {
      const last = open.pop();
      if (last?.name !== name) return { mistake: { at: i, what: last ? M.expected(last.name) : M.nothingOpen(tag) } };
    } else if (name) {
      if (open.length === 0 && seen++ > 0) return { mistake: { at: i, what: M.second } };
      if (!tag.endsWith("/>")) open.push({ name, at: i });
    }
    tokens.push(tag);
    i += tag.length;
  }
  const last = open.pop();
  if (last) return { mistake: { at: last.at, what: M.open(last.name) } };
  return seen ? { tokens } : { mistake: { at: 0, what: M.noElement } };
}

/** @param {string} text @returns {Mistake | null} */
export function checkXML(text) {
  const read = readXML(text);
  return "mistake" in read ? read.mistake : null;
}

/** An element with text in it keeps its inside: spaces may matter there. @param {string} text @returns {Formatted} */
export function formatXML(text) {
  const read = readXML(text);
  if ("mistake" in read) return read;
  const { tokens } = read;
  const opens = (t) => /^<[^/!?]/.test(t) && !t.endsWith("/>");
  const closes = (t) => t.startsWith("</");
  let out = "";
  let depth = 0;
  for (let i = 0; i < tokens.length; i++) {
    const t = tokens[i];
    if (!t.trim()) continue;
    if (closes(t)) depth--;
    out += (out ? "\n" : "") + "  ".repeat(depth) + t;
    if (!opens(t)) continue;
    const end = mixedEnd(tokens, i);
    if (end < 0) {
      depth++;
      continue;
    }
    out += tokens.slice(i + 1, end + 1).join("");
    i = end;
  }
  return { text: out + (/\n\s*$/.test(text) ? "\n" : "") };
}

/** Where the element that tokens[i] opens ends, if it has text or nothing directly in it; else -1. */
function mixedEnd(tokens, i) {
  let depth = 0;
  let mixed = false;
  let empty = true;
  for (let j = i + 1; j < tokens.length; j++) {
    const t = tokens[j];
    if (depth === 0 && t.startsWith("</")) return mixed || empty ? j : -1;
    if (depth === 0 && (t.startsWith("<![CDATA[") || (!t.startsWith("<") && t.trim()))) mixed = true;
    if (t.startsWith("<")) empty = false;
    if (t.startsWith("</")) depth--;
    else if (/^<[^/!?]/.test(t) && !t.endsWith("/>")) depth++;
  }
  return -1;
}
