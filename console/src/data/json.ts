// JSON whose numbers keep the digits that were written: JavaScript rounds integers above 2^53.
import type { Json } from "./types";

interface RawJson {
  readonly rawJSON: string;
}

type Reviver = (name: string, value: unknown, context?: { source?: string }) => unknown;

/** What browsers have since 2025 and TypeScript's library does not describe yet. */
const browser = JSON as unknown as {
  parse: (text: string, reviver: Reviver) => unknown;
  rawJSON?: (text: string) => RawJson;
  isRawJSON?: (value: unknown) => boolean;
};

/** Return the value of a text; a number that would lose digits is one that `JSON.stringify` writes as it was. */
export function parseExact(text: string): Json {
  return browser.parse(text, (_, value, context) => {
    const source = context?.source;
    if (typeof value !== "number" || source === undefined || String(value) === source) return value;
    return browser.rawJSON ? browser.rawJSON(source) : value;
  }) as Json;
}

/** Return the value that was typed; throws an Error that says why it is not JSON. */
export function readJson(text: string): Json {
  try {
    return parseExact(text);
  } catch (error) {
    throw new Error(`This is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Return the text of a number that is kept as text; `null` for every other value. */
export function readRawNumber(value: unknown): string | null {
  return browser.isRawJSON?.(value) ? (value as RawJson).rawJSON : null;
}
