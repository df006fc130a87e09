// Compare the run with another one of its workflow: choose it, and see what differs.
import { useState } from "preact/hooks";
import { linkTo, setParameters } from "../../data/address";
import { get, type Problem } from "../../data/api";
import { usePolled } from "../../data/polling";
import type { Page, Run, RunSummary, Step } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Dialog } from "../../parts/dialog";
import { JsonView } from "../../parts/json_view";
import { Empty, Loading, ProblemNotice } from "../../parts/notices";
import { StatusPill } from "../../parts/status";
import { formatCount, formatDuration, Moment } from "../../parts/time";
import type { Difference } from "./compared_runs";

const CHOICES = 30;

/** Read the run that another one is compared with; `null` until it is there, and where none is chosen. */
export function useOtherRun(id: string): { other: Run | null; problem: Problem | null } {
  const { value, error } = usePolled(
    async (signal) => (id ? await get<Run>(`runs/${encodeURIComponent(id)}`, {}, signal) : null),
    id,
    0,
  );
  return { other: value, problem: error };
}

/** The button that opens the list of runs to compare with. */
export function CompareButton({ run }: { run: Run }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <ActionButton needs={["read"]} class="small" onAct={() => setOpen(true)}>
        Compare…
      </ActionButton>
      {isOpen && <ChoiceDialog run={run} onClose={() => setOpen(false)} />}
    </>
  );
}

function ChoiceDialog({ run, onClose }: { run: Run; onClose: () => void }) {
  const { value, error, refresh } = usePolled(
    (signal) => get<Page<RunSummary>>("runs", { workflow_id: run.workflow_id, limit: CHOICES }, signal),
    run.workflow_id,
    0,
  );
  const choices = value?.items.filter(({ id }) => id !== run.id) ?? [];
  const choose = (id: string) => {
    setParameters({ with: id });
    onClose();
  };
  return (
    <Dialog title="Compare with another run" onClose={onClose} isWide>
      {error && <ProblemNotice problem={error} onRetry={refresh} />}
      {!value && !error && <Loading what="runs" />}
      {value && choices.length === 0 && <Empty title="This workflow has no other run" />}
      <ul class="choices">
        {choices.map(({ id, status, started_at, workflow_version, duration_ms }) => (
          <li key={id}>
            <StatusPill status={status} />
            <button type="button" class="link" onClick={() => choose(id)}>
              {id}
            </button>
            <span class="muted">
              version {workflow_version} · <Moment time={started_at} />
              {duration_ms !== null && ` · ${formatDuration(duration_ms)}`}
            </span>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

interface CardProps {
  run: Run;
  other: Run;
  differences: Difference[];
  nameOf: (nodeId: string) => string;
  /** The step of the other run at the chosen node. */
  step: Step | null;
}

/** What differs, as a table beside the graph. */
export function ComparisonCard({ run, other, differences, nameOf, step }: CardProps) {
  return (
    <section class="card" aria-label="Comparison">
      <h2 class="card-title">
        {differences.length === 0 ? "No difference" : formatCount(differences.length, "difference")}
        <span class="card-tools">
          <button type="button" class="small" onClick={() => setParameters({ with: null })}>
            Close
          </button>
        </span>
      </h2>
      <table class="table steps">
        <thead>
          <tr>
            <th>Node</th>
            <th>This run</th>
            <th>
              <a href={linkTo(["runs", other.id], { with: run.id })}>The other</a>
            </th>
          </tr>
        </thead>
        <tbody>
          {differences.map(({ nodeId, first, second }) => (
            <tr key={nodeId}>
              <td>
                <button type="button" class="link" onClick={() => setParameters({ node: nodeId, step: null })}>
                  {nameOf(nodeId)}
                </button>
              </td>
              <td>{first}</td>
              <td>{second}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {step && (
        <div class="other-step">
          <h3>
            {nameOf(step.node_id)} in the other run <StatusPill status={step.status} />
          </h3>
          {step.error && <p>{step.error.message}</p>}
          <JsonView value={step.output_data} label="Output in the other run" />
        </div>
      )}
    </section>
  );
}
