// One operation for many runs: the bar that chooses it, the dialog that confirms it, and the progress of its job.
import { useEffect, useState } from "preact/hooks";
import { setParameters } from "../../data/address";
import { usePolled } from "../../data/polling";
import type { RunSummary } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Dialog } from "../../parts/dialog";
import { Loading, ProblemNotice } from "../../parts/notices";
import { formatNumber } from "../../parts/time";
import {
  type BulkItem,
  type BulkJob,
  countSelected,
  listOutcome,
  narrow,
  type Operation,
  OPERATIONS,
  readJob,
  type Selection,
  startJob,
  stopJob,
} from "./bulk_job";

const CHOICES = ["rerun", "resume", "pause", "cancel"] as const;
const REFRESH_MS = 1000;
const SHOWN = 20;

interface BarProps {
  /** The runs that are ticked. */
  runs: RunSummary[];
  /** All runs of the list, where more of them match than are ticked. */
  all: { total: number; selection: Selection } | null;
  onClear: () => void;
}

/** The bar above the list while runs are selected. */
export function BulkBar({ runs, all, onClear }: BarProps) {
  const [operation, setOperation] = useState<Operation | null>(null);
  const [areAll, setAll] = useState(false);
  const everything = areAll ? all : null;
  const count = (each: Operation) => runs.filter(OPERATIONS[each].applies).length;
  const refuse = (each: Operation) => {
    const none = everything ? narrow(everything.selection, each) === null : count(each) === 0;
    return none ? `None of the selected runs can be ${OPERATIONS[each].done}` : null;
  };
  const select = (each: Operation) =>
    everything ? narrow(everything.selection, each) : { ids: runs.filter(OPERATIONS[each].applies).map(({ id }) => id) };
  const selection = operation && select(operation);
  return (
    <div class="bulk" role="toolbar" aria-label="Selected runs">
      <b>{everything ? `All ${formatNumber(everything.total)} that match` : `${formatNumber(runs.length)} selected`}</b>
      {CHOICES.map((each) => (
        <ActionButton key={each} needs={["run"]} class={each === "cancel" ? "danger" : ""} refusal={refuse(each)}
          onAct={() => setOperation(each)}>
          {OPERATIONS[each].verb}
          {everything ? "" : ` ${formatNumber(count(each))}`}…
        </ActionButton>
      ))}
      {all && (
        <button type="button" class="quiet" onClick={() => setAll(!areAll)}>
          {areAll ? "Only those that are ticked" : `Select all ${formatNumber(all.total)} that match`}
        </button>
      )}
      <button type="button" class="quiet" onClick={onClear}>
        Select none
      </button>
      {operation && selection && (
        <BulkDialog operation={operation} selection={selection} onClose={() => setOperation(null)} onStarted={onClear} />
      )}
    </div>
  );
}

interface DialogProps {
  operation: Operation;
  selection: Selection;
  onClose: () => void;
  onStarted?: () => void;
}

/** The dialog that says how many runs it takes, and starts the job. */
export function BulkDialog({ operation, selection, onClose, onStarted }: DialogProps) {
  const { verb, effect } = OPERATIONS[operation];
  const [reason, setReason] = useState("");
  const { value: total, error } = usePolled(
    () => (Array.isArray(selection.ids) ? Promise.resolve(selection.ids.length) : countSelected(operation, selection)),
    operation + JSON.stringify(selection),
    0,
  );
  const act = async () => {
    const job = await startJob(operation, selection, reason);
    setParameters({ bulk: job.id });
    onStarted?.();
    onClose();
  };
  const footer = (
    <>
      <button type="button" onClick={onClose}>
        Close
      </button>
      <ActionButton needs={["run"]} class={operation === "cancel" ? "danger" : "primary"} onAct={act}
        refusal={total ? null : total === 0 ? "No run matches" : "The runs are being counted"}>
        {verb} {total === null ? "" : formatNumber(total)}
      </ActionButton>
    </>
  );
  return (
    <Dialog title={`${verb} runs`} onClose={onClose} footer={footer}>
      {total === null && !error && <Loading what="their number" />}
      {error && <ProblemNotice problem={error} />}
      {total !== null && (
        <p>
          {formatNumber(total)} {total === 1 ? "run" : "runs"}: each {effect}. It continues if you leave the page.
        </p>
      )}
      {operation === "cancel" && (
        <label class="field">
          <span>
            Reason <em>optional</em>
          </span>
          <input value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
        </label>
      )}
    </Dialog>
  );
}

/** The progress of a job, with a stop button and what was refused. */
export function BulkProgress({ id, onChanged }: { id: string; onChanged: () => void }) {
  const [isOver, setOver] = useState(false);
  const { value: job, error, refresh } = usePolled((signal) => readJob(id, signal), id, isOver ? 0 : REFRESH_MS);
  useEffect(() => {
    if (job && job.state !== "running") setOver(true);
    onChanged();
  }, [job?.processed, job?.state]);
  const close = () => setParameters({ bulk: null });
  if (!job) return error && !error.isUnreachable ? <ProblemNotice problem={error} onRetry={refresh} /> : null;
  const stop = async () => {
    await stopJob(id);
    refresh();
  };
  return (
    <section class="card job" aria-label="Operation on many runs">
      <progress max={job.total} value={job.processed} aria-label="Progress" />
      <p role="status">{describeProgress(job)}</p>
      {job.state === "running" ? (
        <ActionButton needs={["run"]} onAct={stop}>
          Stop
        </ActionButton>
      ) : (
        <button type="button" class="quiet" onClick={close}>
          Hide
        </button>
      )}
      <Refused job={job} />
    </section>
  );
}

function describeProgress({ operation, total, outcomes, state, processed, reruns }: BulkJob): string {
  const parts = [`${formatNumber(outcomes.done ?? 0)} of ${formatNumber(total)} ${OPERATIONS[operation]?.done ?? operation}`];
  for (const each of ["refused", "failed"]) if (outcomes[each]) parts.push(`${formatNumber(outcomes[each])} ${each}`);
  if (state === "stopped") parts.push("then stopped");
  if (state === "completed" && processed < total) parts.push(`${formatNumber(total - processed)} no longer matched`);
  const ends = Object.entries(reruns).map(([status, number]) => `${formatNumber(number)} ${status}`);
  return `${parts.join(", ")}${ends.length > 0 ? `; of the new runs ${ends.join(", ")}` : ""}.`;
}

function Refused({ job }: { job: BulkJob }) {
  const [items, setItems] = useState<BulkItem[]>([]);
  const { refused = 0, failed = 0 } = job.outcomes;
  useEffect(() => {
    const wanted = ([["refused", refused], ["failed", failed]] as const).filter(([, number]) => number > 0);
    void Promise.all(wanted.map(([outcome]) => listOutcome(job.id, outcome, SHOWN))).then((lists) => setItems(lists.flat()), () => {});
  }, [job.id, refused, failed]);
  if (items.length === 0) return null;
  return (
    <ul class="refused">
      {items.slice(0, SHOWN).map(({ run_id: id, message }) => (
        <li key={id}>
          <code>{id}</code> {message}
        </li>
      ))}
      {refused + failed > SHOWN && <li>and {formatNumber(refused + failed - SHOWN)} more</li>}
    </ul>
  );
}
