// Ask for the API key: once for each tab, and again when the API no longer accepts it.
import { useState } from "preact/hooks";
import { get, Problem } from "../data/api";
import { caller, key, saveKey } from "../data/session";
import type { Caller } from "../data/types";

/** What can be sent in a header. */
const HEADER_TEXT = /^[\x21-\x7e]+$/;

/** The form that asks for the key; `reason` is what the API has answered without one. */
export function KeyForm({ reason }: { reason: Problem | null }) {
  const [typed, setTyped] = useState("");
  const [refusal, setRefusal] = useState<string | null>(null);
  const [isChecking, setChecking] = useState(false);

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    if (!HEADER_TEXT.test(typed.trim())) {
      setRefusal("A key has letters, digits and signs of ASCII only: copy it again, without spaces.");
      return;
    }
    setChecking(true);
    key.value = typed.trim();
    try {
      caller.value = await get<Caller>("caller");
      saveKey(typed.trim());
    } catch (error) {
      setRefusal(error instanceof Problem ? error.message : String(error));
      setChecking(false);
    }
  }

  return (
    <form class="card narrow" onSubmit={submit}>
      <h1>API key</h1>
      {reason && !refusal && <p class="muted">{reason.message}.</p>}
      <label class="field">
        <span>Key</span>
        <input
          type="password"
          autocomplete="off"
          spellcheck={false}
          placeholder="ork_…"
          value={typed}
          required
          aria-invalid={refusal !== null}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
      </label>
      {refusal && (
        <p class="error" role="alert">
          {refusal}
        </p>
      )}
      <p class="muted">
        It is kept in this tab only, until you close it. <code>orchestrator keys create NAME</code> creates one.
      </p>
      <button type="submit" class="primary" disabled={isChecking}>
        {isChecking ? "Checking…" : "Continue"}
      </button>
    </form>
  );
}
