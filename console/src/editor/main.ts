// The text editor, loaded by the page of the editor only: CodeMirror in a shadow root, whose style sheets are made by
// script, so that the page's policy needs no exception. Colours, completion, problems and search come a moment later.
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, indentOnInput } from "@codemirror/language";
import { EditorState, StateEffect } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import type { EditorHandle, EditorOptions, Located } from "./types";

const THEME = EditorView.theme({
  "&": { height: "100%", fontSize: "12.5px", color: "var(--text)", backgroundColor: "var(--panel)" },
  ".cm-content": { fontFamily: "var(--mono)", caretColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--muted)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--accent-bg)" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-selectionBackground": { backgroundColor: "var(--accent-bg) !important" },
  ".cm-tooltip, .cm-panels": { backgroundColor: "var(--raised)", color: "var(--text)", border: "1px solid var(--line-strong)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent-fill)", color: "#fff" },
});

const SETUP = [
  lineNumbers(),
  history(),
  drawSelection(),
  indentOnInput(),
  bracketMatching(),
  highlightActiveLine(),
  keymap.of([{ key: "Mod-f", run: openSearch }, ...defaultKeymap, ...historyKeymap]),
  THEME,
  EditorView.lineWrapping,
];

/** Show an editor in a shadow root of an element. */
export function mountEditor(host: HTMLElement, options: EditorOptions): EditorHandle {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  const state = EditorState.create({
    doc: options.text,
    extensions: [
      SETUP,
      EditorView.contentAttributes.of({ "aria-label": options.label, tabindex: "0" }),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) options.onChange(update.state.doc.toString());
      }),
    ],
  });
  const view = new EditorView({ state, parent: root, root });
  const assistance = import("./assistance").then((module) => {
    view.dispatch({ effects: StateEffect.appendConfig.of(module.makeAssistance(options.complete)) });
    return module;
  });
  let latest: Located[] = [];
  return {
    setText(text) {
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
    },
    setProblems(problems) {
      latest = problems;
      void assistance.then(({ showProblems }) => latest === problems && showProblems(view, problems));
    },
    goTo(line, column) {
      view.dispatch({ selection: { anchor: findOffset(view.state, line, column) }, scrollIntoView: true });
      view.focus();
    },
    destroy() {
      view.destroy();
    },
  };
}

function openSearch(view: EditorView): boolean {
  void import("./search").then(({ showSearch }) => showSearch(view));
  return true;
}

/** Return where a line and column are, both from 1. */
export function findOffset(state: EditorState, line: number, column: number): number {
  const found = state.doc.line(Math.min(Math.max(line, 1), state.doc.lines));
  return Math.min(found.from + Math.max(column - 1, 0), found.to);
}
