// What can be written at a position of a definition: from its JSON Schema keys, choices, names of actions and nodes; in a
// template, the names that the planner says can be read there.
import { get, Problem, send } from "../../data/api";
import type { Json, JsonObject } from "../../data/types";
import type { Completion, Position } from "../../editor/types";
import { contentType } from "./draft";

interface Name {
  /** The path, as a template writes it. */
  name: string;
  type: string;
}

/** Positions that take IDs of nodes, by the last key on the way. */
const NODE_IDS = ["source", "target", "true_branch", "false_branch", "body", "branches", "retry_from"];

/** Completes from the schema of this server, with its actions. */
export class SchemaCompletion {
  private schema: Promise<JsonObject> | null = null;
  private actions: Promise<{ name: string }[]> | null = null;

  /** Return what can be written in a text; `nodeIds` are those of the document. */
  async complete({ path, siblings, isTemplate }: Position, text: string, nodeIds: string[]): Promise<Completion[]> {
    if (isTemplate) return await listNames(path, text);
    const key = path.findLast((step) => typeof step === "string");
    if (typeof key === "string" && NODE_IDS.includes(key)) return describeNodes(nodeIds, key);
    if (path.at(-1) === "action") return await this.listActions();
    const root = await this.load();
    let found = expand(root, root, siblings[0] ?? {});
    path.forEach((step, index) => {
      found = found.flatMap((each) => enter(each, step)).flatMap((each) => expand(each, root, siblings[index + 1] ?? {}));
    });
    return [...listKeys(found, siblings[path.length] ?? {}), ...listValues(found)];
  }

  private async listActions(): Promise<Completion[]> {
    this.actions ??= get("actions");
    this.actions.catch(() => (this.actions = null));
    return (await this.actions).map(({ name }) => ({ label: name, detail: "action" }));
  }

  private load(): Promise<JsonObject> {
    this.schema ??= get("schema");
    this.schema.catch(() => (this.schema = null));
    return this.schema;
  }
}

/** Return the names that a template can read; none while the text cannot be read. */
async function listNames(path: (string | number)[], text: string): Promise<Completion[]> {
  const at = path.map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
  const options = { query: { at }, body: text, headers: { "Content-Type": contentType(text) } };
  try {
    const { body } = await send<{ names: Name[] }>("POST", "workflows/validate", options);
    return body.names.map(({ name, type }) => ({ label: name, detail: type }));
  } catch (error) {
    if (error instanceof Problem) return [];
    throw error;
  }
}

function describeNodes(ids: string[], key: string): Completion[] {
  return [...(key === "source" ? ["trigger"] : []), ...ids].map((label) => ({ label, detail: "node" }));
}

/** Return the simple schemas that one schema means for a value, of which the simple members are known. */
function expand(schema: Json | undefined, root: JsonObject, members: Record<string, string>): JsonObject[] {
  const document = asObject(schema);
  if (!document) return [];
  const parts = [...asList(document.allOf), ...asList(document.anyOf), ...asList(document.oneOf)];
  if (typeof document.$ref === "string") parts.push(resolve(document.$ref, root));
  if (document.then !== undefined && matches(asObject(document.if), members)) parts.push(document.then);
  return [document, ...parts.flatMap((each) => expand(each, root, members))];
}

function resolve(reference: string, root: JsonObject): Json {
  const steps = reference.replace(/^#\//, "").split("/");
  return steps.reduce<Json>((value, step) => asObject(value)?.[step] ?? null, root);
}

/** Whether the members have the values that a condition names; a condition that is about other things is not met. */
function matches(condition: JsonObject | null, members: Record<string, string>): boolean {
  const properties = Object.entries(asObject(condition?.properties) ?? {});
  return (
    properties.length > 0 &&
    properties.every(([name, each]) => {
      const wanted = asObject(each);
      const choices = wanted?.const === undefined ? asList(wanted?.enum) : [wanted.const];
      return choices.includes(members[name] ?? null);
    })
  );
}

function enter(schema: JsonObject, step: string | number): Json[] {
  if (typeof step === "number") return [schema.items ?? null];
  const properties = asObject(schema.properties);
  return [properties && Object.hasOwn(properties, step) ? (properties[step] ?? null) : null];
}

function listKeys(schemas: JsonObject[], present: Record<string, string>): Completion[] {
  const keys = new Map<string, Completion>();
  const unused = new Set(Object.keys(present));
  for (const schema of schemas) {
    for (const [label, property] of Object.entries(asObject(schema.properties) ?? {})) {
      const description = asObject(property)?.description;
      if (asObject(property)?.doNotSuggest) unused.add(label);
      if (!keys.has(label)) keys.set(label, { label, detail: "key", ...(typeof description === "string" && { info: description }) });
    }
  }
  return [...keys.values()].filter(({ label }) => !unused.has(label));
}

function listValues(schemas: JsonObject[]): Completion[] {
  const values = schemas.filter(({ doNotSuggest }) => !doNotSuggest).flatMap((each) => [
    ...asList(each.enum),
    ...(each.const === undefined ? [] : [each.const]),
    ...([each.type].flat().includes("boolean") ? [true, false] : []),
  ]);
  const labels = values.flatMap((each) => (typeof each === "string" || typeof each === "boolean" ? [String(each)] : []));
  return [...new Set(labels)].filter(Boolean).map((label) => ({ label, detail: "value" }));
}

function asObject(value: Json | undefined): JsonObject | null {
  return value && typeof value === "object" && !Array.isArray(value) ? value : null;
}

function asList(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}
