// One action for many runs: one request after the other, with progress, a stop button and what was refused.
import { useRef, useState } from "preact/hooks";
import { explain } from "../../data/api";
import { makeKey } from "../../data/idempotency";
import type { RunSummary } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Dialog } from "../../parts/dialog";
import { hasEnded } from "../../parts/status";
import { formatNumber } from "../../parts/time";
import { operate, startRerun } from "../run/run_actions";

type Operation = "cancel" | "rerun";

const WORDS: Record<Operation, { title: string; verb: string; done: string; applies: (run: RunSummary) => boolean }> = {
  cancel: { title: "Cancel runs", verb: "Cancel", done: "cancelled", applies: ({ status }) => !hasEnded(status) },
  rerun: {
    title: "Rerun failed runs",
    verb: "Rerun",
    done: "rerun",
    applies: ({ status }) => status === "failed" || status === "cancelled",
  },
};

interface BarProps {
  runs: RunSummary[];
  onClear: () => void;
  onDone: () => void;
}

/** The bar above the list while runs are selected. */
export function BulkBar({ runs, onClear, onDone }: BarProps) {
  const [operation, setOperation] = useState<Operation | null>(null);
  const count = (each: Operation) => runs.filter(WORDS[each].applies).length;
  return (
    <div class="bulk" role="toolbar" aria-label="Selected runs">
      <b>{formatNumber(runs.length)} selected</b>
      {(["rerun", "cancel"] as const).map((each) => (
        <ActionButton key={each} needs={["run"]} class={each === "cancel" ? "danger" : ""}
          refusal={count(each) === 0 ? "None of the selected runs can be " + WORDS[each].done : null}
          onAct={() => setOperation(each)}>
          {WORDS[each].verb} {formatNumber(count(each))}…
        </ActionButton>
      ))}
      <button type="button" class="quiet" onClick={onClear}>
        Select none
      </button>
      {operation && (
        <BulkDialog operation={operation} runs={runs} onClose={() => setOperation(null)} onDone={onDone} />
      )}
    </div>
  );
}

interface Progress {
  done: number;
  refused: { id: string; reason: string }[];
  isOver: boolean;
}

interface DialogProps {
  operation: Operation;
  runs: RunSummary[];
  onClose: () => void;
  onDone: () => void;
}

/** The dialog that confirms the action and shows its progress. */
export function BulkDialog({ operation, runs, onClose, onDone }: DialogProps) {
  const words = WORDS[operation];
  const [targets] = useState(() => runs.filter(words.applies));
  const [progress, setProgress] = useState<Progress | null>(null);
  const isStopped = useRef(false);
  const keys = useRef(new Map(targets.map(({ id }) => [id, makeKey()])));

  async function act(): Promise<void> {
    const state: Progress = { done: 0, refused: [], isOver: false };
    for (const { id } of targets) {
      if (isStopped.current) break;
      setProgress({ ...state });
      try {
        if (operation === "cancel") await operate(id, "cancel");
        else await startRerun(id, keys.current.get(id) ?? makeKey());
        state.done += 1;
      } catch (error) {
        state.refused = [...state.refused, { id, reason: explain(error) }];
      }
    }
    setProgress({ ...state, isOver: true });
    onDone();
  }
  const close = () => {
    isStopped.current = true;
    onClose();
  };
  const footer = (
    <>
      <button type="button" onClick={close}>
        {progress && !progress.isOver ? "Stop" : "Close"}
      </button>
      {!progress && (
        <ActionButton needs={["run"]} class={operation === "cancel" ? "danger" : "primary"} onAct={act}>
          {words.verb} {formatNumber(targets.length)}
        </ActionButton>
      )}
    </>
  );
  return (
    <Dialog title={words.title} onClose={close} footer={footer}>
      {progress ? (
        <ProgressView progress={progress} total={targets.length} done={words.done} />
      ) : (
        <p>
          {operation === "rerun"
            ? `${formatNumber(targets.length)} runs start again, each from the node that failed, with what was done before it.`
            : `${formatNumber(targets.length)} runs are cancelled: open steps end, then what was done is compensated.`}
        </p>
      )}
    </Dialog>
  );
}

function ProgressView({ progress, total, done }: { progress: Progress; total: number; done: string }) {
  const handled = progress.done + progress.refused.length;
  return (
    <>
      <progress max={total} value={handled} aria-label="Progress" />
      <p role="status">
        {formatNumber(progress.done)} of {formatNumber(total)} {done}
        {progress.refused.length > 0 && `, ${formatNumber(progress.refused.length)} refused`}
        {progress.isOver && handled < total && ", then stopped"}.
      </p>
      {progress.refused.length > 0 && (
        <ul class="refused">
          {progress.refused.map(({ id, reason }) => (
            <li key={id}>
              <code>{id}</code> {reason}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
