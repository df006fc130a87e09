// Resolve a step that has failed and waits for an operator.
import { useState } from "preact/hooks";
import { explain, Problem } from "../../data/api";
import type { Json, Run, Wait } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Dialog } from "../../parts/dialog";
import { ProblemNotice } from "../../parts/notices";
import { notify } from "../../parts/toasts";
import { type Resolution, resolveStep } from "./run_actions";

interface Props {
  run: Run;
  wait: Wait;
  onChanged: () => void;
}

/** The buttons. */
export function OperatorActions({ run, wait, onChanged }: Props) {
  const [edited, setEdited] = useState<"retry" | "fallback" | null>(null);
  const step = run.steps.find(({ id }) => id === wait.step_id);
  const target = wait.step_id ?? wait.node_id ?? "";
  const resolve = async (action: Resolution, done: string, more: object = {}) => {
    await resolveStep(run.id, target, action, more);
    notify(done);
    onChanged();
  };
  return (
    <div class="actions">
      <ActionButton needs={["run"]} class="primary" onAct={() => resolve("retry", "The step is tried again")}>
        Retry
      </ActionButton>
      <ActionButton needs={["run", "edit"]} onAct={() => setEdited("retry")}>
        Retry with…
      </ActionButton>
      <ActionButton needs={["run"]} onAct={() => resolve("skip", "The step is skipped")}>
        Skip
      </ActionButton>
      <ActionButton needs={["run", "edit"]} onAct={() => setEdited("fallback")}>
        Use a value…
      </ActionButton>
      <ActionButton needs={["run"]} class="danger" onAct={() => resolve("abort", "The step fails")}>
        Abort
      </ActionButton>
      {edited && (
        <ValueDialog
          title={edited === "retry" ? "Retry with other parameters" : "Use a value instead of the step's output"}
          label={edited === "retry" ? "Parameters" : "Value"}
          initial={edited === "retry" ? (step?.input_data ?? {}) : null}
          onClose={() => setEdited(null)}
          onSubmit={(value) =>
            edited === "retry"
              ? resolve("retry", "The step is tried again", { parameters: value })
              : resolve("fallback", "The run continues with the value", { value })
          }
        />
      )}
    </div>
  );
}

interface ValueProps {
  title: string;
  label: string;
  initial: Json;
  onClose: () => void;
  onSubmit: (value: Json) => Promise<void>;
}

function ValueDialog({ title, label, initial, onClose, onSubmit }: ValueProps) {
  const [text, setText] = useState(JSON.stringify(initial, null, 2));
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async () => {
    setProblem(null);
    try {
      await onSubmit(JSON.parse(text) as Json);
      onClose();
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem(422, "json", `This is not JSON: ${explain(error)}`));
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
      </label>
      {problem && <ProblemNotice problem={problem} />}
    </Dialog>
  );
}
