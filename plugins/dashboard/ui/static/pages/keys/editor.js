// CodeMirror as components. An editor lives in a shadow root: there it takes its styles as objects, which the content policy allows, and not as
// style elements.
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { html } from "../../html.js";
import { K } from "../../text/keys.js";
import {
  bracketMatching, Compartment, Decoration, defaultKeymap, drawSelection, EditorState, EditorView, foldGutter, foldKeymap, highlightActiveLine,
  highlightSpecialChars, HighlightStyle, history, historyKeymap, json, keymap, lineNumbers, MergeView, search, searchKeymap, StateEffect, StateField,
  syntaxHighlighting, syntaxTree, tags, unifiedMergeView, xml, yaml,
} from "../../vendor/codemirror.mjs";

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.tagName, tags.definition(tags.propertyName)], color: "var(--code-key)" },
  { tag: [tags.string, tags.attributeValue, tags.content], color: "var(--code-text)" },
  { tag: [tags.number, tags.attributeName], color: "var(--code-number)" },
  { tag: [tags.bool, tags.null, tags.keyword, tags.typeName, tags.labelName, tags.processingInstruction], color: "var(--code-word)" },
  { tag: [tags.comment, tags.meta, tags.punctuation, tags.separator, tags.bracket], color: "var(--code-quiet)" },
]);

const mixed = (colour, part) => `color-mix(in srgb, var(${colour}) ${part}%, transparent)`;

const look = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "var(--panel)", height: "100%", fontSize: "13px" },
  "&.cm-focused": { outline: "none" }, // the host shows it
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5", overflow: "auto" },
  ".cm-content": { caretColor: "var(--text)", padding: "6px 0" },
  ".cm-cursor, .cm-dropCursor": { borderLeftColor: "var(--text)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: mixed("--accent", 25) },
  ".cm-gutters": { backgroundColor: "var(--ground)", color: "var(--muted)", borderRight: "1px solid var(--line)" },
  ".cm-activeLine": { backgroundColor: "transparent" },
  "&.cm-focused .cm-activeLine": { backgroundColor: mixed("--accent", 6) },
  ".cm-matchingBracket": { backgroundColor: mixed("--accent", 20), outline: "1px solid var(--accent)" },
  ".cm-specialChar": { color: "var(--bad)" },
  ".cm-mistake": { textDecoration: "underline wavy var(--bad)", textUnderlineOffset: "3px" },
  ".cm-mistake-line": { backgroundColor: mixed("--bad", 10) },
  ".cm-panels": { backgroundColor: "var(--ground)", color: "var(--text)", borderColor: "var(--line)" },
  ".cm-panel input, .cm-panel button": { font: "inherit", color: "var(--text)", background: "var(--panel)", border: "1px solid var(--line)", borderRadius: "4px" },
  ".cm-searchMatch": { backgroundColor: mixed("--warn", 30) },
  ".cm-searchMatch-selected": { backgroundColor: mixed("--warn", 55) },
  ".cm-foldPlaceholder": { backgroundColor: "var(--hover)", color: "var(--text)", borderColor: "var(--line)" },
  ".cm-deletedChunk": { backgroundColor: mixed("--bad", 10), paddingLeft: "6px" },
  ".cm-deletedChunk .cm-deletedText, .cm-deletedText, &.cm-merge-a .cm-changedText": { background: mixed("--bad", 25), textDecoration: "none" },
  "&.cm-merge-b .cm-changedText, .cm-changedText": { background: mixed("--ok", 25) },
  "&.cm-merge-a .cm-changedLine": { backgroundColor: mixed("--bad", 10) },
  "&.cm-merge-b .cm-changedLine, .cm-inlineChangedLine": { backgroundColor: mixed("--ok", 10) },
  ".cm-changedLineGutter": { background: "var(--ok)" },
  "&.cm-merge-a .cm-changedLineGutter, .cm-deletedLineGutter": { background: "var(--bad)" },
  ".cm-collapsedLines": { background: "var(--hover)", color: "var(--muted)" },
});

const languages = { json, yaml, xml };

/** The language of a kind. @param {string} kind */
export const language = (kind) => languages[kind]?.() ?? [];

/**
 * How a text is cut into lines, so that it comes out as it went in: CodeMirror would make all ends of lines alike. A carriage return that does
 * not belong to every line is a character among others.
 */
function separator(text) {
  const all = text.split("\n").length - 1;
  return all > 0 && text.split("\r\n").length - 1 === all && text.split("\r").length - 1 === all ? "\r\n" : "\n";
}

const setMistake = StateEffect.define();
const mistakeField = StateField.define({
  create: () => Decoration.none,
  update: (marks, tr) => {
    marks = marks.map(tr.changes);
    for (const e of tr.effects) if (e.is(setMistake)) marks = e.value;
    return marks;
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** What all editors have. */
const basics = (text) => [
  EditorState.lineSeparator.of(separator(text)), EditorState.tabSize.of(2), highlightSpecialChars(), drawSelection(), lineNumbers(),
  syntaxHighlighting(colours), bracketMatching(), look,
];

const readOnly = (label) => [
  EditorState.readOnly.of(true), EditorView.editable.of(false), EditorView.contentAttributes.of({ tabindex: "0", "aria-label": label, role: "textbox", "aria-multiline": "true", "aria-readonly": "true" }),
];

/** Puts what make returns into the shadow root of an element of its own. */
function useShadow(make, watched) {
  const host = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => { // at once: what comes later would move what stands below
    const root = host.current.shadowRoot ?? host.current.attachShadow({ mode: "open" });
    root.replaceChildren();
    const view = make(root);
    return () => view.destroy();
  }, watched);
  return host;
}

/**
 * An editor of a value. It begins with state, or with text; what text is later replaces what stands there, while the cursor stays. handle.current
 * is the view. Tab leaves it.
 * @param {{text: string, state?: any, kind: string, label: string, locked: boolean, mistake: import("./format.js").Mistake | null, handle: any,
 *   onChange: (state: any) => void, onParse: (state: any) => void}} props
 */
export function Editor({ text, state, kind, label, locked, mistake, handle, onChange, onParse }) {
  const parts = useRef({ language: new Compartment(), lock: new Compartment() }).current;
  const calls = useRef({ onChange, onParse });
  calls.current = { onChange, onParse };
  const lock = () => (locked ? readOnly(label) : EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }));
  const host = useShadow((root) => {
    const doc = state ? state.sliceDoc() : text;
    const view = new EditorView({
      root, parent: root,
      state: EditorState.create({
        doc, selection: state?.selection,
        extensions: [
          basics(text), foldGutter(), history(), highlightActiveLine(), search({ top: true }), mistakeField,
          keymap.of([...defaultKeymap, ...historyKeymap, ...searchKeymap, ...foldKeymap]), parts.language.of(language(kind)), parts.lock.of(lock()),
          EditorView.updateListener.of((u) => {
            if (u.docChanged && !u.transactions.some((t) => t.isUserEvent("taken"))) calls.current.onChange(u.state);
            if (u.docChanged || syntaxTree(u.state) !== syntaxTree(u.startState)) calls.current.onParse(u.state);
          }),
        ],
      }),
    });
    handle.current = view;
    calls.current.onParse(view.state);
    return view;
  }, [separator(text)]);
  useEffect(() => { handle.current.dispatch({ effects: parts.language.reconfigure(language(kind)) }); }, [kind]);
  // At once: what is written before would be of another text than the one it is kept for, or where nothing may be written.
  useLayoutEffect(() => { handle.current.dispatch({ effects: parts.lock.reconfigure(lock()) }); }, [locked, label]);
  useLayoutEffect(() => { if (!state) replace(handle.current, text, "taken"); }, [text, state]);
  useEffect(() => {
    const { doc } = handle.current.state;
    let marks = Decoration.none;
    if (mistake && doc.length) {
      const at = Math.min(mistake.at, doc.length);
      const line = doc.lineAt(at);
      const from = Math.min(at, Math.max(line.from, line.to - 1));
      marks = Decoration.set([Decoration.line({ class: "cm-mistake-line" }).range(line.from)]
        .concat(line.length ? [Decoration.mark({ class: "cm-mistake" }).range(from, Math.min(line.to, from + 1))] : []));
    }
    handle.current.dispatch({ effects: setMistake.of(marks) });
  }, [mistake?.at, mistake?.what, text]);
  return html`<div class="editor" ref=${host}></div>`;
}

/** Makes the text of a view another one, where it differs. @param {any} view @param {string} text @param {string} event */
export function replace(view, text, event) {
  const old = view.state.sliceDoc();
  if (old === text) return;
  const doc = view.state.toText(text);
  const now = view.state.doc;
  // Positions count a line's end as one, whatever it is made of.
  const [a, b] = [now.toString(), doc.toString()];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  view.dispatch({ changes: { from: start, to: a.length - end, insert: doc.slice(start, b.length - end) }, userEvent: event });
}

/** Where the text is no YAML or XML, as the highlighter's own parser sees it. @returns {import("./format.js").Mistake | null} */
export function firstError(state) {
  let at = -1;
  syntaxTree(state).iterate({ enter: (node) => { if (at < 0 && node.type.isError) at = node.from; return at < 0; } });
  return at < 0 ? null : { at, what: K.mistakes.syntax };
}

/** A text to look at. */
export function Text({ text, kind, label }) {
  const host = useShadow((root) => new EditorView({ root, parent: root, state: EditorState.create({ doc: text, extensions: [basics(text), language(kind), readOnly(label)] }) }), [text, kind, label]);
  return html`<div class="editor" ref=${host}></div>`;
}

const limits = { scanLimit: 500, timeout: 300 };

/** What became of a text, in one column; long parts that are the same are folded. */
export function Diff({ from, to, kind, label }) {
  const host = useShadow((root) => new EditorView({
    root, parent: root,
    state: EditorState.create({ doc: to, extensions: [basics(to), language(kind), readOnly(label),
      unifiedMergeView({ original: EditorState.create({ doc: from, extensions: [EditorState.lineSeparator.of(separator(to))] }).doc, mergeControls: false,
        collapseUnchanged: { margin: 3, minSize: 6 }, diffConfig: limits })] }),
  }), [from, to, kind, label]);
  return html`<div class="editor" ref=${host}></div>`;
}

/** Two texts side by side, the right one to be edited; buttons take a part of the left one. handle.current is the right one's view. */
export function Merge({ left, right, kind, leftLabel, rightLabel, handle }) {
  const host = useShadow((root) => {
    const view = new MergeView({
      root, parent: root, revertControls: "a-to-b", diffConfig: limits,
      renderRevertControl: () => {
        const b = document.createElement("button");
        b.type = "button";
        b.textContent = "→";
        b.setAttribute("aria-label", K.conflict.take);
        b.title = K.conflict.take;
        b.style.minHeight = "24px";
        b.style.color = "var(--accent)";
        return b;
      },
      a: { doc: left, extensions: [basics(right), language(kind), readOnly(leftLabel)] },
      b: { doc: right, extensions: [basics(right), language(kind), history(), keymap.of([...defaultKeymap, ...historyKeymap]), EditorView.contentAttributes.of({ "aria-label": rightLabel, tabindex: "0" })] },
    });
    view.dom.querySelector(".cm-merge-revert").style.width = "26px"; // to be hit by a finger
    handle.current = view.b;
    return view;
  }, [left, right, kind]);
  return html`<div class="editor merge" ref=${host}></div>`;
}
