// A form made from a JSON Schema: one field for each property of an object, JSON for everything else.
import { useState } from "preact/hooks";
import { parseExact, readJson, readRawNumber } from "../data/json";
import type { Json, JsonObject } from "../data/types";

interface Draft {
  /** What was typed, by property; the whole value as JSON under the empty name. */
  texts: Record<string, string>;
  isJson: boolean;
}

export interface SchemaForm {
  schema: JsonObject | null;
  draft: Draft;
  setDraft: (draft: Draft) => void;
  /** Return the value, or throw an Error that says which field cannot be read. */
  read: () => Json;
}

/** Other ways to write a number, such as `.5` and `0x10`, are read as JavaScript does. */
const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?$/i;
const SIMPLE = ["string", "number", "integer", "boolean"];

/** Hold what is typed into a form for a schema. */
export function useSchemaForm(schema: JsonObject | null, initial?: Json): SchemaForm {
  const hasFields = schema !== null && Object.keys(listProperties(schema)).length > 0;
  const [draft, setDraft] = useState<Draft>(() => ({
    texts: { "": initial === undefined || initial === null ? "" : JSON.stringify(initial, null, 2) },
    isJson: !hasFields,
  }));
  const isJson = draft.isJson || !hasFields;
  const read = () => requireFit(schema, isJson ? readWhole(draft) : readFields(schema, draft));
  return { schema, draft: { ...draft, isJson }, setDraft, read };
}

function listProperties(schema: JsonObject | null): Record<string, JsonObject> {
  const properties = schema?.properties;
  return properties && typeof properties === "object" && !Array.isArray(properties)
    ? (properties as Record<string, JsonObject>)
    : {};
}

function isRequired(schema: JsonObject | null, name: string): boolean {
  return Array.isArray(schema?.required) && schema.required.includes(name);
}

function readWhole(draft: Draft): Json {
  const text = draft.texts[""]?.trim() ?? "";
  return text ? readJson(text) : null;
}

/** Check the first level of a value; the server checks all of it. */
function requireFit(schema: JsonObject | null, value: Json): Json {
  if (schema?.type !== "object") return value;
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error("An object is needed.");
  for (const [name, property] of Object.entries(listProperties(schema))) {
    const each = value[name];
    if (each === undefined) {
      if (isRequired(schema, name)) throw new Error(`“${titleOf(name, property)}” is needed.`);
    } else if (typeof property.type === "string" && !isOfType(each, property.type)) {
      throw new Error(`“${titleOf(name, property)}” is not of type ${property.type}.`);
    }
  }
  return value;
}

function isOfType(value: Json, type: string): boolean {
  const raw = readRawNumber(value);
  if (raw !== null) return type === "number" || (type === "integer" && Number.isInteger(Number(raw)));
  if (type === "integer") return Number.isInteger(value);
  if (type === "array") return Array.isArray(value);
  if (type === "null") return value === null;
  if (type === "object") return value !== null && typeof value === "object" && !Array.isArray(value);
  return typeof value === type;
}

function readFields(schema: JsonObject | null, draft: Draft): Json {
  const value: JsonObject = {};
  for (const [name, property] of Object.entries(listProperties(schema))) {
    const text = draft.texts[name] ?? defaultText(property);
    if (text === "") {
      if (isRequired(schema, name)) throw new Error(`“${titleOf(name, property)}” is needed.`);
      continue;
    }
    value[name] = readField(titleOf(name, property), property, text);
  }
  return value;
}

function readField(title: string, property: JsonObject, text: string): Json {
  if (Array.isArray(property.enum)) {
    return property.enum.find((each) => labelOf(each) === text) ?? text;
  }
  if (property.type === "string") return text;
  if (property.type === "number" || property.type === "integer") {
    const value = Number(text);
    if (Number.isNaN(value)) throw new Error(`“${title}” is not a number.`);
    return JSON_NUMBER.test(text.trim()) ? parseExact(text) : value;
  }
  if (property.type === "boolean") return text === "true";
  try {
    return parseExact(text);
  } catch {
    throw new Error(`“${title}” is not JSON.`);
  }
}

function titleOf(name: string, property: JsonObject): string {
  return typeof property.title === "string" && property.title ? property.title : name;
}

function labelOf(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function defaultText(property: JsonObject): string {
  return property.default === undefined || property.default === null ? "" : labelOf(property.default);
}

/** The fields of a form. */
export function SchemaFields({ form, label }: { form: SchemaForm; label: string }) {
  const { schema, draft, setDraft } = form;
  const properties = Object.entries(listProperties(schema));
  const type = (name: string, text: string) => setDraft({ ...draft, texts: { ...draft.texts, [name]: text } });
  if (draft.isJson) {
    return (
      <>
        <label class="field">
          <span>{label} (JSON)</span>
          <textarea rows={8} spellcheck={false} value={draft.texts[""]} onInput={(e) => type("", e.currentTarget.value)} />
        </label>
        {properties.length > 0 && <Switch text="Use the form" onClick={() => setDraft({ ...draft, isJson: false })} />}
      </>
    );
  }
  return (
    <>
      {properties.map(([name, property]) => (
        <Field
          key={name}
          title={titleOf(name, property)}
          isNeeded={isRequired(schema, name)}
          property={property}
          text={draft.texts[name] ?? defaultText(property)}
          onType={(text) => type(name, text)}
        />
      ))}
      <Switch text="Write JSON instead" onClick={() => setDraft({ ...draft, isJson: true })} />
    </>
  );
}

function Switch({ text, onClick }: { text: string; onClick: () => void }) {
  return (
    <button type="button" class="quiet small start" onClick={onClick}>
      {text}
    </button>
  );
}

interface FieldProps {
  title: string;
  isNeeded: boolean;
  property: JsonObject;
  text: string;
  onType: (text: string) => void;
}

function Field({ title, isNeeded, property, text, onType }: FieldProps) {
  const choices = Array.isArray(property.enum)
    ? property.enum.map(labelOf)
    : property.type === "boolean"
      ? ["true", "false"]
      : null;
  const isSimple = typeof property.type === "string" && SIMPLE.includes(property.type);
  return (
    <label class="field">
      <span>
        {title}
        {!isNeeded && <em> optional</em>}
      </span>
      {choices ? (
        <select value={text} onChange={(event) => onType(event.currentTarget.value)}>
          <option value="">{isNeeded ? "Choose…" : "—"}</option>
          {choices.map((each) => (
            <option key={each} value={each}>
              {property.type === "boolean" ? (each === "true" ? "Yes" : "No") : each}
            </option>
          ))}
        </select>
      ) : isSimple ? (
        <input
          inputMode={property.type === "string" ? "text" : "decimal"}
          value={text}
          onInput={(event) => onType(event.currentTarget.value)}
        />
      ) : (
        <textarea rows={3} spellcheck={false} placeholder="JSON" value={text} onInput={(e) => onType(e.currentTarget.value)} />
      )}
      {typeof property.description === "string" && <small>{property.description}</small>}
    </label>
  );
}
