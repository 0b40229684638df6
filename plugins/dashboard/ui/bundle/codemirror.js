// What the pages use of CodeMirror, as one module.
export { EditorState, Compartment, Annotation, StateEffect, StateField } from "@codemirror/state";
export {
  Decoration, EditorView, keymap, lineNumbers, highlightActiveLine, highlightActiveLineGutter, drawSelection, highlightSpecialChars,
} from "@codemirror/view";
export { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
export { search, searchKeymap, highlightSelectionMatches } from "@codemirror/search";
export { HighlightStyle, syntaxHighlighting, bracketMatching, foldGutter, foldKeymap, syntaxTree } from "@codemirror/language";
export { tags } from "@lezer/highlight";
export { json, jsonParseLinter } from "@codemirror/lang-json";
export { yaml } from "@codemirror/lang-yaml";
export { xml } from "@codemirror/lang-xml";
export { MergeView, unifiedMergeView } from "@codemirror/merge";
