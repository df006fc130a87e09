// Cancel or terminate a run, with a reason that its document keeps.
import { useState } from "preact/hooks";
import type { Run } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Dialog } from "../../parts/dialog";
import { notify } from "../../parts/toasts";
import { operate } from "./run_actions";

/** The dialog. */
export function StopDialog({ run, onClose, onStopped }: { run: Run; onClose: () => void; onStopped: () => void }) {
  const [reason, setReason] = useState("");
  const stop = async (operation: "cancel" | "terminate") => {
    await operate(run.id, operation, { reason });
    notify(operation === "cancel" ? "The run is being cancelled" : "The run was terminated");
    onStopped();
    onClose();
  };
  const footer = (
    <>
      <button type="button" onClick={onClose}>
        Keep it running
      </button>
      <ActionButton needs={["run"]} onAct={() => stop("terminate")}>
        Terminate
      </ActionButton>
      <ActionButton needs={["run"]} class="danger" onAct={() => stop("cancel")}>
        Cancel the run
      </ActionButton>
    </>
  );
  return (
    <Dialog title="Cancel this run?" onClose={onClose} footer={footer}>
      <p>Open steps are cancelled, then what was done is compensated. Terminating ends the run at once, without that.</p>
      <label class="field">
        <span>
          Reason<em> optional</em>
        </span>
        <input value={reason} maxLength={1000} onInput={(event) => setReason(event.currentTarget.value)} />
      </label>
    </Dialog>
  );
}
