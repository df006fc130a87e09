// Another run of the workflow beside this one: choose it, and see what differs.
import { linkTo, setParameters } from "../../data/address";
import { get } from "../../data/api";
import { usePolled } from "../../data/polling";
import type { Overview, Page, Run, RunSummary } from "../../data/types";
import type { Picks } from "../../graph/picks";
import { Dialog } from "../../parts/dialog";
import { JsonView } from "../../parts/json_view";
import { Empty, Loading, ProblemNotice } from "../../parts/notices";
import { StatusPill } from "../../parts/status";
import { formatCount, formatDuration, Moment } from "../../parts/time";
import type { Difference } from "./compared_runs";
import { useNodeSteps } from "./node_steps";

const CHOICES = 30;

/** The list of runs to compare with. */
export function ChoiceDialog({ run, onClose }: { run: Run; onClose: () => void }) {
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
  other: Overview;
  differences: Difference[];
  nameOf: (nodeId: string) => string;
  /** The chosen node, and the iterations that are compared. */
  node: string | null;
  picks: Picks;
}

/** What differs, as a table beside the graph. */
export function ComparisonCard({ run, other, differences, nameOf, node, picks }: CardProps) {
  const summary = other.nodes.find(({ node_id }) => node_id === node);
  const { step } = useNodeSteps(other.run.id, node, summary?.first.id ?? null, picks, "") ?? { step: null };
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
              <a href={linkTo(["runs", other.run.id], { with: run.id })}>The other</a>
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
