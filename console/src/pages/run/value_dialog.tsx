// Ask for the parameters of another attempt of a step, or for the value that replaces its output.
import { useState } from "preact/hooks";
import { type Problem, send, toProblem } from "../../data/api";
import { parseExact, readJson } from "../../data/json";
import { usePolled } from "../../data/polling";
import type { Json, JsonObject, Page, Step } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Dialog } from "../../parts/dialog";
import { Loading, ProblemNotice } from "../../parts/notices";
import { pickEdits } from "./parameter_edits";

const WORDS = {
  retry: {
    title: "Retry with other parameters",
    label: "Parameters",
    note: "What differs is sent; what is left out stays as it was. Secrets are shown as null.",
  },
  fallback: { title: "Use a value instead of the step's output", label: "Value", note: "" },
};

interface Props {
  runId: string;
  stepId: string;
  action: "retry" | "fallback";
  /** Templates of the parameters, where they are known. */
  config: JsonObject | null;
  onClose: () => void;
  /** Resolve the step with `parameters` or `value`. */
  onSubmit: (more: JsonObject) => Promise<void>;
}

/** The dialog. */
export function ValueDialog({ runId, stepId, action, config, onClose, onSubmit }: Props) {
  const { title, label, note } = WORDS[action];
  const { value: before, error } = usePolled(async () => (action === "retry" ? await readParameters(runId, stepId) : {}), stepId, 0);
  const [typed, setTyped] = useState<string | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const text = typed ?? JSON.stringify(action === "retry" ? before : null, null, 2);
  const submit = async () => {
    setProblem(null);
    try {
      const value: Json = readJson(text);
      await onSubmit(action === "retry" ? { parameters: pickEdits(before ?? {}, value, config) } : { value });
      onClose();
    } catch (error) {
      setProblem(toProblem(error));
    }
  };
  const footer = (
    <>
      <button type="button" onClick={onClose}>
        Close
      </button>
      <ActionButton needs={["run", "edit"]} class="primary" refusal={before ? null : "The parameters have not been read yet"} onAct={submit}>
        Continue the run
      </ActionButton>
    </>
  );
  return (
    <Dialog title={title} onClose={onClose} footer={footer}>
      {before ? (
        <label class="field">
          <span>{label} (JSON)</span>
          <textarea rows={12} spellcheck={false} value={text} onInput={(event) => setTyped(event.currentTarget.value)} />
          {note && <small>{note}</small>}
        </label>
      ) : (
        <Loading what="the parameters" />
      )}
      {(problem ?? error) && <ProblemNotice problem={(problem ?? error) as Problem} />}
    </Dialog>
  );
}

/** Return the parameters of a step, read so that large numbers keep their digits. */
async function readParameters(runId: string, stepId: string): Promise<JsonObject> {
  const { body } = await send<string>("GET", `runs/${encodeURIComponent(runId)}/steps`, { query: { step_id: stepId }, isText: true });
  const { items } = parseExact(body) as unknown as Page<Step>;
  return (items[0]?.input_data ?? {}) as JsonObject;
}
