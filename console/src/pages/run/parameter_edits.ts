// What an operator changes of a step's parameters. A secret is null in them: it must not be sent back as null.
import type { Json, JsonObject } from "../../data/types";

/**
 * Return the parameters that differ; throws an Error where one that differs holds a secret that is not shown.
 * `config` has the templates of the parameters, where they are known.
 */
export function pickEdits(before: JsonObject, after: Json, config: JsonObject | null): JsonObject {
  if (after === null || typeof after !== "object" || Array.isArray(after)) throw new Error("The parameters are an object.");
  const edits: JsonObject = {};
  for (const [name, value] of Object.entries(after)) {
    const old = Object.hasOwn(before, name) ? before[name] : undefined;
    if (JSON.stringify(value) === JSON.stringify(old)) continue;
    const secret = mayHoldSecret(config, name) ? findKeptNull(old, value, name) : null;
    if (secret) throw new Error(`“${secret}” is null: a secret is not shown. Write its value, or leave “${name}” as it was.`);
    edits[name] = value;
  }
  return edits;
}

function mayHoldSecret(config: JsonObject | null, name: string): boolean {
  return !config || !Object.hasOwn(config, name) || JSON.stringify(config[name]).includes("secret");
}

/** Return the path of a null that was there before, too. */
function findKeptNull(before: Json | undefined, after: Json | undefined, path: string): string | null {
  if (before === null && after === null) return path;
  if (!before || !after || typeof before !== "object" || typeof after !== "object") return null;
  const old = before as JsonObject;
  for (const [name, value] of Object.entries(after)) {
    const found = Object.hasOwn(old, name) ? findKeptNull(old[name], value as Json, `${path}.${name}`) : null;
    if (found) return found;
  }
  return null;
}
