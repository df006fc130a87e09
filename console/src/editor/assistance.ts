// What is known of the language: colours, completion, closing brackets, and problems in the gutter.
import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  type CompletionContext,
  completionKeymap,
  type CompletionResult,
} from "@codemirror/autocomplete";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, lintGutter, setDiagnostics } from "@codemirror/lint";
import type { EditorState, Extension } from "@codemirror/state";
import { type EditorView, keymap } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { findOffset } from "./main";
import { locatePosition } from "./position";
import type { EditorOptions, Located, Position } from "./types";

const COLOURS = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--accent)" },
  { tag: [tags.string, tags.content], color: "var(--text)" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: "var(--run)" },
  { tag: tags.comment, color: "var(--muted)" },
]);

/** Return what helps to write. */
export function makeAssistance(complete: EditorOptions["complete"]): Extension {
  return [
    yaml(), // JSON is YAML, too
    syntaxHighlighting(COLOURS),
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
  const options = await complete(readPosition(context.state, from), context.state.doc.toString());
  return options.length > 0 ? { from, options, validFor: /^[\w.]*$/ } : null;
}

/** Return the position of a word; in a template, that of the value which holds it. */
function readPosition(state: EditorState, from: number): Position {
  const line = state.doc.lineAt(from);
  const before = line.text.slice(0, from - line.from);
  const begin = before.lastIndexOf("{{");
  if (begin < 0 || before.includes("}}", begin)) return locatePosition(state, from);
  const [value = "", quote = ""] = /(["'])(?:(?!\1).)*$/.exec(before.slice(0, begin)) ?? [];
  const end = quote ? line.text.indexOf(quote, before.length) + 1 : 0;
  return { ...locatePosition(state, line.from + begin - value.length, end ? line.from + end : line.to), isTemplate: true };
}
