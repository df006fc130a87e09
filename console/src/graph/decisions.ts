// What a fork has decided, in words: `amount 12,480 > 10,000: true`.
import type { Json, JsonObject } from "../data/types";
import { formatNumber } from "../parts/time";

const SIGNS: Record<string, string> = {
  equals: "=",
  not_equals: "≠",
  greater_than: ">",
  greater_than_or_equals: "≥",
  less_than: "<",
  less_than_or_equals: "≤",
};
const LONGEST = 60;

/** Return a value as one short line. */
export function formatValue(value: Json | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "number") return formatNumber(value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/** Return the comparisons of a decision, one line each. */
export function listComparisons(decision: Json): string[] {
  const document = asObject(decision);
  const compared = Array.isArray(document?.compared) ? document.compared : [];
  const lines = compared.map((each) => describeComparison(asObject(each) ?? {}));
  if (lines.length === 0 && document && "value" in document) return [`value ${formatValue(document.value)}`];
  return lines;
}

/** Return a decision in one line, with the port that was taken where a comparison does not say it. */
export function summarizeDecision(decision: Json): string {
  const port = portOf(decision);
  const lines = listComparisons(decision);
  const first = lines[0];
  if (first === undefined) return port ?? "";
  const more = lines.length > 1 ? ` (+${lines.length - 1})` : "";
  return port === "true" || port === "false" || port === null ? first + more : `${first}${more} → ${port}`;
}

/** Return the port by which a decision left, if it names one. */
export function portOf(decision: Json): string | null {
  const port = asObject(decision)?.port;
  return typeof port === "string" ? port : null;
}

function describeComparison(each: JsonObject): string {
  const field = String(each.field ?? each.expression ?? "value").replace(/^\{\{\s*|\s*\}\}$/g, "");
  const short = field.split(".").at(-1) ?? field;
  const operator = String(each.operator ?? "");
  const parts = [short, formatValue(each.seen), SIGNS[operator] ?? operator.replaceAll("_", " ")];
  if (each.value !== undefined && each.value !== null) parts.push(formatValue(each.value));
  return `${parts.filter(Boolean).join(" ")}: ${String(each.result)}`;
}

function asObject(value: Json | undefined): JsonObject | null {
  return value && typeof value === "object" && !Array.isArray(value) ? value : null;
}
