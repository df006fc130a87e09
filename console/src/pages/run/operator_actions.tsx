// Resolve a step that has failed and waits for an operator.
import { useState } from "preact/hooks";
import { explain, Problem, send } from "../../data/api";
import { parseExact, readJson } from "../../data/json";
import type { Json, JsonObject, Run, Step, Wait } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Dialog } from "../../parts/dialog";
import { ProblemNotice } from "../../parts/notices";
import { notify } from "../../parts/toasts";
import { pickEdits } from "./parameter_edits";
import { type Resolution, resolveStep } from "./run_actions";

type Edited = { action: "retry"; initial: JsonObject } | { action: "fallback"; initial: null };

interface Props {
  run: Run;
  wait: Wait;
  /** Templates of the parameters, where they are known. */
  config: JsonObject | null;
  onChanged: () => void;
}

/** The buttons. */
export function OperatorActions({ run, wait, config, onChanged }: Props) {
  const [edited, setEdited] = useState<Edited | null>(null);
  const target = wait.step_id ?? wait.node_id ?? "";
  const resolve = async (action: Resolution, done: string, more: object = {}) => {
    await resolveStep(run.id, target, action, more);
    notify(done);
    onChanged();
  };
  const editParameters = async () => setEdited({ action: "retry", initial: await readParameters(run.id, target) });
  return (
    <div class="actions">
      <ActionButton needs={["run"]} class="primary" onAct={() => resolve("retry", "The step is tried again")}>
        Retry
      </ActionButton>
      <ActionButton needs={["run", "edit"]} onAct={editParameters}>
        Retry with…
      </ActionButton>
      <ActionButton needs={["run"]} onAct={() => resolve("skip", "The step is skipped")}>
        Skip
      </ActionButton>
      <ActionButton needs={["run", "edit"]} onAct={() => setEdited({ action: "fallback", initial: null })}>
        Use a value…
      </ActionButton>
      <ActionButton needs={["run"]} class="danger" onAct={() => resolve("abort", "The step fails")}>
        Abort
      </ActionButton>
      {edited && (
        <ValueDialog
          title={edited.action === "retry" ? "Retry with other parameters" : "Use a value instead of the step's output"}
          label={edited.action === "retry" ? "Parameters" : "Value"}
          note={edited.action === "retry" ? "What differs is sent; what is left out stays as it was. Secrets are shown as null." : ""}
          initial={edited.initial}
          onClose={() => setEdited(null)}
          onSubmit={(value) =>
            edited.action === "retry"
              ? resolve("retry", "The step is tried again", {
                  parameters: pickEdits(edited.initial, value, config),
                })
              : resolve("fallback", "The run continues with the value", { value })
          }
        />
      )}
    </div>
  );
}

/** Return the parameters of a step, read anew so that large numbers keep their digits. */
async function readParameters(runId: string, stepId: string): Promise<JsonObject> {
  const { body } = await send<string>("GET", `runs/${encodeURIComponent(runId)}`, { isText: true });
  const { steps } = parseExact(body) as unknown as { steps: Step[] };
  return (steps.find(({ id }) => id === stepId)?.input_data ?? {}) as JsonObject;
}

interface ValueProps {
  title: string;
  label: string;
  note: string;
  initial: Json;
  onClose: () => void;
  onSubmit: (value: Json) => Promise<void>;
}

function ValueDialog({ title, label, note, initial, onClose, onSubmit }: ValueProps) {
  const [text, setText] = useState(JSON.stringify(initial, null, 2));
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async () => {
    setProblem(null);
    try {
      await onSubmit(readJson(text));
      onClose();
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem(422, "form", explain(error)));
    }
  };
  const footer = (
    <>
      <button type="button" onClick={onClose}>
        Close
      </button>
      <ActionButton needs={["run", "edit"]} class="primary" onAct={submit}>
        Continue the run
      </ActionButton>
    </>
  );
  return (
    <Dialog title={title} onClose={onClose} footer={footer}>
      <label class="field">
        <span>{label} (JSON)</span>
        <textarea rows={12} spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />
        {note && <small>{note}</small>}
      </label>
      {problem && <ProblemNotice problem={problem} />}
    </Dialog>
  );
}
