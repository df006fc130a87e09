// Send an event to a run that waits for it: a form made from the schema of its payload.
import { useState } from "preact/hooks";
import { type Problem, toProblem } from "../../data/api";
import { useIdempotencyKey } from "../../data/idempotency";
import type { JsonObject, Run, Wait } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Dialog } from "../../parts/dialog";
import { ProblemNotice } from "../../parts/notices";
import { SchemaFields, useSchemaForm } from "../../parts/schema_form";
import { notify } from "../../parts/toasts";
import { readApproval } from "./need";
import { sendEvent } from "./run_actions";

interface Props {
  run: Run;
  wait: Wait;
  schema: JsonObject | null;
  /** Values that are filled in already. */
  preset: JsonObject;
  onClose: () => void;
  onSent: () => void;
}

/** The dialog. */
export function EventDialog({ run, wait, schema, preset, onClose, onSent }: Props) {
  const events = (Array.isArray(wait.event) ? wait.event : [wait.event]).map(String);
  const [name, setName] = useState(events[0] ?? "");
  const [problem, setProblem] = useState<Problem | null>(null);
  const findKey = useIdempotencyKey();
  const form = useSchemaForm(withDefaults(schema, preset), Object.keys(preset).length > 0 ? preset : undefined);

  async function submit(): Promise<void> {
    setProblem(null);
    try {
      const event = { name, key: typeof wait.key === "string" ? wait.key : null, payload: form.read() };
      await sendEvent(run.id, event, findKey(JSON.stringify(event)));
    } catch (error) {
      setProblem(toProblem(error));
      return;
    }
    notify("Sent");
    onSent();
    onClose();
  }

  const footer = (
    <>
      <button type="button" onClick={onClose}>
        Close
      </button>
      <ActionButton needs={["run"]} class="primary" onAct={submit}>
        Send
      </ActionButton>
    </>
  );
  const question = wait.kind === "approval" ? readApproval(wait).title : null;
  return (
    <Dialog title={question ?? `Send “${name}”`} onClose={onClose} footer={footer}>
      {events.length > 1 && (
        <label class="field">
          <span>Event</span>
          <select value={name} onChange={(event) => setName(event.currentTarget.value)}>
            {events.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
      )}
      <SchemaFields form={form} label="Payload" />
      {problem && <ProblemNotice problem={problem} />}
    </Dialog>
  );
}

function withDefaults(schema: JsonObject | null, preset: JsonObject): JsonObject | null {
  if (schema === null) return null;
  const properties = { ...(schema.properties as Record<string, JsonObject>) };
  for (const [name, value] of Object.entries(preset)) properties[name] = { ...properties[name], default: value };
  return { ...schema, properties };
}
