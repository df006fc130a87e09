// Change a run in progress: the dialog that asks for a value, a reason and the confirmation.
import { useState } from "preact/hooks";
import { post, type Problem, toProblem } from "../../data/api";
import { readJson } from "../../data/json";
import type { Json, JsonObject, Run } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Dialog } from "../../parts/dialog";
import { ProblemNotice } from "../../parts/notices";
import { notify } from "../../parts/toasts";
import { type RepairKind, REPAIRS } from "./repairs";

/** What each does, above the confirmation, and what is said once it is done. */
const EFFECTS: Record<RepairKind, { effect: string; done: string }> = {
  retry_now: { effect: "The next attempt is made now.", done: "The step is tried again" },
  skip_wait: { effect: "A delay ends now, a wait as if its timeout had passed.", done: "The wait has ended" },
  skip_node: { effect: "It is skipped, and left by the port “next”.", done: "The node is skipped" },
  set_result: {
    effect: "This becomes its output; its action is not called, and it is left by the port “next”.",
    done: "The result is set",
  },
  set_parameters: {
    effect: "These replace parameters of the node in this run, from its next attempt on. They may hold templates.",
    done: "The parameters are set",
  },
  set_variables: { effect: "These variables get new values. Branches that have begun do not see them.", done: "The variables are set" },
};

interface DialogProps {
  run: Run;
  kind: RepairKind;
  title: string;
  stepId?: string | undefined;
  nodeId?: string | undefined;
  initial: Json;
  onClose: () => void;
  onDone: () => void;
}

/** The dialog. */
export function RepairDialog({ run, kind, title, stepId, nodeId, initial, onClose, onDone }: DialogProps) {
  const { verb, needs, value: field } = REPAIRS[kind];
  const { effect, done } = EFFECTS[kind];
  const [text, setText] = useState(JSON.stringify(initial ?? {}, null, 2));
  const [reason, setReason] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async () => {
    setProblem(null);
    try {
      await repairRun(run.id, { kind, stepId, nodeId, reason, ...(field && { value: readJson(text) }) });
    } catch (error) {
      setProblem(toProblem(error));
      return;
    }
    notify(done);
    onDone();
    onClose();
  };
  const footer = (
    <>
      <button type="button" onClick={onClose}>
        Close
      </button>
      <ActionButton needs={needs} class="primary" onAct={submit}>
        {verb}
      </ActionButton>
    </>
  );
  return (
    <Dialog title={title} onClose={onClose} footer={footer}>
      <p>{effect} The run records who did it, and why.</p>
      {field && (
        <label class="field">
          <span>{`${field[0]?.toUpperCase()}${field.slice(1)} (JSON)`}</span>
          <textarea rows={8} spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
      )}
      <label class="field">
        <span>
          Reason<em> optional</em>
        </span>
        <input value={reason} maxLength={1000} onInput={(event) => setReason(event.currentTarget.value)} />
      </label>
      {problem && <ProblemNotice problem={problem} />}
    </Dialog>
  );
}

interface Request {
  kind: RepairKind;
  stepId?: string | undefined;
  nodeId?: string | undefined;
  value?: Json;
  reason: string;
}

/** Change a run. */
function repairRun(runId: string, { kind, stepId, nodeId, value, reason }: Request): Promise<unknown> {
  const field = REPAIRS[kind].value;
  const body: JsonObject = { kind, reason };
  if (stepId) body.step_id = stepId;
  else if (nodeId) body.node_id = nodeId;
  if (field) body[field] = value ?? null;
  return post(`runs/${encodeURIComponent(runId)}/interventions`, body);
}
