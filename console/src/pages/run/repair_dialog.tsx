// Change a run in progress: the buttons, and the dialog that asks for a value, a reason and the confirmation.
import { useState } from "preact/hooks";
import { explain, Problem } from "../../data/api";
import { readJson } from "../../data/json";
import type { Box } from "../../data/layout";
import type { Json, JsonObject, Run, Step } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Dialog } from "../../parts/dialog";
import { ProblemNotice } from "../../parts/notices";
import { notify } from "../../parts/toasts";
import { listRepairs, type RepairKind, REPAIRS, repairRun } from "./repairs";

interface ButtonsProps {
  run: Run;
  box: Box | null;
  step: Step | null;
  /** `config` of the node, where it is known. */
  config: JsonObject | null;
  onChanged: () => void;
}

/** The buttons for the chosen step or node. */
export function RepairButtons({ run, box, step, config, onChanged }: ButtonsProps) {
  const [kind, setKind] = useState<RepairKind | null>(null);
  const kinds = listRepairs(run, box, step);
  if (kinds.length === 0 || !box) return null;
  const initial = kind === "set_parameters" ? config : {};
  return (
    <div class="panel-actions repairs">
      {kinds.map((each) => (
        <ActionButton key={each} needs={REPAIRS[each].needs} class="small" onAct={() => setKind(each)}>
          {REPAIRS[each].verb}…
        </ActionButton>
      ))}
      {kind && (
        <RepairDialog run={run} kind={kind} title={`${REPAIRS[kind].verb}: ${box.name}`} stepId={step?.id} nodeId={box.id}
          initial={initial} onClose={() => setKind(null)} onDone={onChanged} />
      )}
    </div>
  );
}

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
  const { verb, effect, done, needs, value: field } = REPAIRS[kind];
  const [text, setText] = useState(JSON.stringify(initial ?? {}, null, 2));
  const [reason, setReason] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async () => {
    setProblem(null);
    try {
      await repairRun(run.id, { kind, stepId, nodeId, reason, ...(field && { value: readJson(text) }) });
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem(422, "form", explain(error)));
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
