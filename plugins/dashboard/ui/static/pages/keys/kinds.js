// What kind of text a value is.
/** @typedef {"json" | "yaml" | "xml" | "text" | "binary"} Kind */

const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/;

/**
 * Guesses the kind of a value. A value that begins like JSON or XML is that, also if it has a mistake: the mistake is what one wants to see.
 * @param {string} value
 * @param {boolean} [damaged] its bytes were no UTF-8 and are lost
 * @returns {Kind}
 */
export function kindOf(value, damaged) {
  if (damaged || control.test(value)) return "binary";
  const text = value.trim();
  if (/^[[{]\s*(["[{\]}\d-]|true|false|null|$)/.test(text)) return "json";
  if (/^<([?!A-Za-z_])/.test(text)) return "xml";
  if (looksYAML(text)) return "yaml";
  return "text";
}

/** Several lines, half of which are "key:" or "- item": one line of text with a colon is no YAML. */
function looksYAML(text) {
  if (/^(---|%YAML)(\s|$)/.test(text)) return true;
  const lines = text.split(/\r?\n/, 200).filter((l) => l.trim() && !/^\s*#/.test(l));
  if (lines.length < 2) return false;
  const hits = lines.filter((l) => /^\s*(- |-$|("[^"]*"|'[^']*'|[^\s"'#:,[\]{}][^#:]*):(\s|$))/.test(l)).length;
  return /^(- |("[^"]*"|'[^']*'|[^\s#:,]+):(\s|$))/.test(lines[0]) && hits * 2 >= lines.length;
}

/** @param {string} value */
export const bytesOf = (value) => new TextEncoder().encode(value).length;

/** The first line, for a list. @param {string} value @param {number} [most] characters */
export function firstLine(value, most = 120) {
  const line = value.split(/\r?\n/, 1)[0];
  return line.length > most ? line.slice(0, most) + "…" : line + (line.length < value.length ? " …" : "");
}
