// Resolve a step that has failed and waits for an operator.
import { useState } from "preact/hooks";
import type { JsonObject, Run, Wait } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { loadLater } from "../../parts/later";
import { notify } from "../../parts/toasts";
import { type Resolution, resolveStep } from "./run_actions";

const ValueDialog = loadLater(() => import("./on_demand").then((loaded) => loaded.ValueDialog));

interface Props {
  run: Run;
  wait: Wait;
  /** Templates of the parameters, where they are known. */
  config: JsonObject | null;
  onChanged: () => void;
}

/** The buttons. */
export function OperatorActions({ run, wait, config, onChanged }: Props) {
  const [edited, setEdited] = useState<"retry" | "fallback" | null>(null);
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
        <ValueDialog runId={run.id} stepId={target} action={edited} config={config} onClose={() => setEdited(null)}
          onSubmit={(more) =>
            edited === "retry"
              ? resolve("retry", "The step is tried again", more)
              : resolve("fallback", "The run continues with the value", more)
          }
        />
      )}
    </div>
  );
}
