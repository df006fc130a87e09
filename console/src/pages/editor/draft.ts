// What is typed into the editor: kept in the tab, checked and drawn a moment after the last key.
import { useEffect, useState } from "preact/hooks";
import { explain, isConnected, Problem, send } from "../../data/api";
import type { Layout } from "../../data/layout";
import type { Mistake } from "../../data/types";
import { type Opened, queryOpened } from "../../graph/folding";
import type { Located } from "../../editor/types";

const PAUSE_MS = 350;
const JSON_TYPE = "application/json";
const YAML = "application/yaml";
/** JSON is YAML, too, and problems of YAML bodies come with their lines; a large body is read faster as JSON. */
const LOCATED_CHARACTERS = 60_000;

export type DraftProblem = Mistake & { line?: number | null; column?: number | null };

export interface Checked {
  isValid: boolean;
  problems: DraftProblem[];
  layout: Layout | null;
  /** Why it cannot be checked at present. */
  failure: string | null;
}

/** Return the type to check a text as, which need not be complete: what begins with a brace is JSON. */
export function contentType(text: string): string {
  return text.trimStart().startsWith("{") ? JSON_TYPE : YAML;
}

/** Read a stored definition: as it was written where that was YAML, its document in JSON otherwise. */
export async function readText(path: string): Promise<{ text: string; isYaml: boolean; etag: string }> {
  const { body, headers } = await send<string>("GET", path, { isText: true, headers: { Accept: `${YAML}, ${JSON_TYPE}` } });
  const isYaml = (headers.get("content-type") ?? "").startsWith(YAML);
  // The text editor ends lines by a line feed: with others, a text that was not touched would look changed.
  return { text: body.replaceAll(/\r\n?/g, "\n"), isYaml, etag: headers.get("etag") ?? "" };
}

/** Send a definition as it is typed: as YAML, which is stored with its comments, unless it is JSON. */
export async function sendText<Body>(method: string, path: string, text: string, headers: Record<string, string> = {}) {
  return await send<Body>(method, path, { body: text, headers: { "Content-Type": isJson(text) ? JSON_TYPE : YAML, ...headers } });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false; // a mapping in braces with comments, too
  }
}

/** Check and lay out a text, with some boxes of a large graph open; again when the server is back. */
export function useChecked(text: string, opened: Opened): Checked | null {
  const [checked, setChecked] = useState<Checked | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => void check(text, opened, stop.signal).then((next) => !stop.signal.aborted && setChecked(next)), PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [text, opened.ids, isConnected.value]);
  return checked;
}

async function check(text: string, opened: Opened, signal: AbortSignal): Promise<Checked> {
  const type = text.length <= LOCATED_CHARACTERS ? YAML : contentType(text);
  const options = { body: text, headers: { "Content-Type": type }, signal, isRead: true };
  try {
    const { body } = await send<{ valid: boolean; problems: DraftProblem[] }>("POST", "workflows/validate", options);
    const layout = await send<Layout>("POST", "workflows/layout", { ...options, query: queryOpened(opened) }).then(
      (answer) => answer.body,
      () => null,
    );
    return { isValid: body.valid, problems: body.problems, layout, failure: null };
  } catch (error) {
    return { isValid: false, problems: readSyntaxError(error), layout: null, failure: explain(error) };
  }
}

/** Return the position in front of the message of a syntax error: `3:12: …`. */
function readSyntaxError(error: unknown): DraftProblem[] {
  if (!(error instanceof Problem) || error.status !== 400) return [];
  const [, line = "1", column = "1", message = error.message] = /^(\d+):(\d+): (.*)$/s.exec(error.message) ?? [];
  return [{ severity: "error", code: error.code, path: "", message, hint: error.hint, line: Number(line), column: Number(column) }];
}

/** Return the problems that have a position. */
export function locateProblems(problems: DraftProblem[]): Located[] {
  return problems.flatMap(({ severity, line, column, message, hint }) =>
    line ? [{ severity, line, column: column ?? 1, message, hint }] : [],
  );
}
