// A JSON value as indented text. Long ones are cut until somebody asks for all of it.
import { useState } from "preact/hooks";
import type { Json } from "../data/types";
import { notify } from "./toasts";

const SHOWN = 6000;

/** Whether a value holds nothing worth showing. */
export function isEmpty(value: Json | undefined): boolean {
  if (value === null || value === undefined) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

/** The value, with a button that copies it. */
export function JsonView({ value, label }: { value: Json | undefined; label: string }) {
  const [isWhole, setWhole] = useState(false);
  if (isEmpty(value)) return <p class="muted none">None.</p>;
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const isCut = text.length > SHOWN && !isWhole;
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    notify("Copied");
  };
  return (
    <div class="json">
      <pre tabIndex={0} role="region" aria-label={label}>
        {isCut ? `${text.slice(0, SHOWN)}…` : text}
      </pre>
      <div class="json-actions">
        {isCut && (
          <button type="button" class="small" onClick={() => setWhole(true)}>
            Show all {text.length.toLocaleString()} characters
          </button>
        )}
        <button type="button" class="small" aria-label={`Copy: ${label}`} onClick={() => void copy()}>
          Copy
        </button>
      </div>
    </div>
  );
}
