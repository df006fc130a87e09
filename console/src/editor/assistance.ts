// Completion, closing brackets, and problems in the gutter.
import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  type CompletionContext,
  completionKeymap,
  type CompletionResult,
} from "@codemirror/autocomplete";
import { type Diagnostic, lintGutter, setDiagnostics } from "@codemirror/lint";
import type { EditorState, Extension } from "@codemirror/state";
import { type EditorView, keymap } from "@codemirror/view";
import { findOffset } from "./main";
import { locatePosition } from "./position";
import type { EditorOptions, Located } from "./types";

/** Return what helps to write. */
export function makeAssistance(complete: EditorOptions["complete"]): Extension {
  return [
    lintGutter(),
    closeBrackets(),
    autocompletion({ override: [(context) => listCompletions(context, complete)] }),
    keymap.of([...closeBracketsKeymap, ...completionKeymap]),
  ];
}

/** Show problems in the text and the gutter. */
export function showProblems(view: EditorView, problems: Located[]): void {
  view.dispatch(setDiagnostics(view.state, problems.map((each) => locate(view.state, each))));
}

function locate(state: EditorState, { line, column, severity, message, hint }: Located): Diagnostic {
  const from = findOffset(state, line, column);
  const word = /^["\w.-]+/.exec(state.doc.sliceString(from, state.doc.lineAt(from).to))?.[0] ?? "";
  return { from, to: from + word.length, severity, message: hint ? `${message} (${hint})` : message };
}

async function listCompletions(
  context: CompletionContext,
  complete: EditorOptions["complete"],
): Promise<CompletionResult | null> {
  const word = context.matchBefore(/[\w.]+/);
  if (!word && !context.explicit) return null;
  const from = word?.from ?? context.pos;
  const options = await complete(locatePosition(context.state, from), context.state.doc.toString());
  return options.length > 0 ? { from, options, validFor: /^[\w.]*$/ } : null;
}
