// Start a run: a form made from the workflow's input schema.
import { useState } from "preact/hooks";
import { post, type Problem, toProblem } from "../../data/api";
import { useIdempotencyKey } from "../../data/idempotency";
import type { JsonObject, Workflow } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Dialog } from "../../parts/dialog";
import { ProblemNotice } from "../../parts/notices";
import { SchemaFields, useSchemaForm } from "../../parts/schema_form";

interface Props {
  workflow: Workflow;
  onClose: () => void;
  onStarted: (runId: string) => void;
}

/** The dialog. A second click starts nothing twice: the key stays the same until something is changed. */
export function StartDialog({ workflow, onClose, onStarted }: Props) {
  const form = useSchemaForm((workflow.settings?.input_schema as JsonObject | undefined) ?? null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const findKey = useIdempotencyKey();

  async function start(): Promise<void> {
    setProblem(null);
    try {
      const body = { input: form.read() };
      const key = findKey(JSON.stringify(body));
      const run = await post<{ id: string }>(`workflows/${encodeURIComponent(workflow.id)}/runs`, body, { "Idempotency-Key": key });
      onClose();
      onStarted(run.id);
    } catch (error) {
      setProblem(toProblem(error));
    }
  }

  const footer = (
    <>
      <button type="button" onClick={onClose}>
        Close
      </button>
      <ActionButton needs={["run"]} class="primary" onAct={start}>
        Start
      </ActionButton>
    </>
  );
  return (
    <Dialog title={`Start ${workflow.name || workflow.id}`} onClose={onClose} footer={footer}>
      <p class="muted">
        {workflow.version ? `Runs version ${workflow.version}` : "Runs the draft, which is not published"}.
      </p>
      <SchemaFields form={form} label="Input" />
      {problem && <ProblemNotice problem={problem} />}
    </Dialog>
  );
}
