// Where in the document the cursor is: the keys and numbers that lead there, and what is written beside them.
import { parser } from "@lezer/yaml";
import type { EditorState } from "@codemirror/state";
import type { SyntaxNode } from "@lezer/common";
import type { Position } from "./types";

const SCALARS = ["Literal", "QuotedLiteral"];
const MAPPINGS = ["BlockMapping", "FlowMapping"];
const SEQUENCES = ["BlockSequence", "FlowSequence"];
/** What stands in front of a key: the indentation, with the dashes of list items, or the sign before it in one line. */
const BEFORE_KEY = /^[\s-]*["']?$|[{,]\s*["']?$/;

/** Return the position of a word that begins at an offset, whether or not anything is written there. `to` is the end of a
 * value that takes its place. */
export function locatePosition(state: EditorState, from: number, to?: number): Position {
  const line = state.doc.lineAt(from);
  const word = /^[\w.]*/.exec(line.text.slice(from - line.from))?.[0] ?? "";
  const end = to ?? from + word.length;
  const rest = line.text.slice(end - line.from);
  const isKey = to === undefined && BEFORE_KEY.test(line.text.slice(0, from - line.from)) && !/^["']?\s*:/.test(rest);
  // A word of our own in its place, without quotes: text that is half written is read as if it were whole.
  const quote = /["']$/.exec(state.doc.sliceString(from - 1, from))?.[0] ?? "";
  const start = from - quote.length;
  const after = state.doc.sliceString(end);
  const text = state.doc.sliceString(0, start) + (isKey ? "x: 0" : "x") + (quote && after.startsWith(quote) ? after.slice(1) : after);
  const levels: Level[] = [];
  for (let node: SyntaxNode | null = parser.parse(text).resolveInner(start, 1), inner: SyntaxNode | null = null; node; ) {
    const level = readLevel(node, inner, text);
    if (level) levels.unshift(level);
    inner = node;
    node = node.parent;
  }
  return { path: levels.flatMap(({ step }) => (step === null ? [] : [step])), siblings: levels.map(({ siblings }) => siblings), isTemplate: false };
}

interface Level {
  /** `null` where the word is a key of the mapping. */
  step: string | number | null;
  siblings: Record<string, string>;
}

/** Return what a mapping or list that holds the word says of it. */
function readLevel(node: SyntaxNode, inner: SyntaxNode | null, text: string): Level | null {
  if (!inner) return null;
  if (SEQUENCES.includes(node.name)) {
    const items = node.getChildren("Item");
    return { step: Math.max(items.findIndex(({ from }) => from === inner.from), 0), siblings: {} };
  }
  if (!MAPPINGS.includes(node.name)) return null;
  const siblings: Record<string, string> = {};
  for (const pair of node.getChildren("Pair")) {
    if (pair.from === inner.from) continue;
    const value = pair.lastChild;
    if (value) siblings[readKey(pair, text)] = SCALARS.includes(value.name) ? readScalar(value, text) : "";
  }
  const key = inner.name === "Pair" ? readKey(inner, text) : "";
  return { step: key === "x" || key === "" ? null : key, siblings };
}

function readKey(pair: SyntaxNode, text: string): string {
  const key = pair.getChild("Key");
  return key ? readScalar(key, text) : "";
}

function readScalar({ from, to }: SyntaxNode, text: string): string {
  return text.slice(from, to).trim().replace(/^(["'])(.*)\1$/s, "$2");
}
