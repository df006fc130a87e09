// The rows of the list of runs.
import { linkTo } from "../../data/address";
import type { RunSummary } from "../../data/types";
import { hasEnded, StatusPill } from "../../parts/status";
import { formatDuration, Moment, Since } from "../../parts/time";
import { describeRow } from "./row_words";

interface Props {
  runs: RunSummary[];
  names: ReadonlyMap<string, string>;
  selected: ReadonlySet<string>;
  /** Without it, nothing can be selected. */
  onSelect?: (ids: ReadonlySet<string>) => void;
}

/** The table. */
export function RunTable({ runs, names, selected, onSelect }: Props) {
  const areAll = runs.every(({ id }) => selected.has(id));
  const toggle = (id: string) => {
    const next = new Set(selected);
    if (!next.delete(id)) next.add(id);
    onSelect?.(next);
  };
  return (
    <div class="scroll">
      <table class="table stacked runs">
        <thead>
          <tr>
            {onSelect && (
              <th>
                <input type="checkbox" aria-label="Select all" checked={areAll}
                  onChange={() => onSelect(areAll ? new Set() : new Set(runs.map(({ id }) => id)))} />
              </th>
            )}
            <th>Status</th>
            <th>Workflow</th>
            <th class="wide">What it does, waits for, or why it failed</th>
            <th>Started</th>
            <th class="number">Took</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <Row key={run.id} run={run} name={run.workflow_name || names.get(run.workflow_id) || run.workflow_id}
              isSelected={selected.has(run.id)} onToggle={onSelect && (() => toggle(run.id))} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  run: RunSummary;
  name: string;
  isSelected: boolean;
  onToggle: (() => void) | undefined;
}

function Row({ run, name, isSelected, onToggle }: RowProps) {
  return (
    <tr class={isSelected ? "selected" : ""}>
      {onToggle && (
        <td>
          <input type="checkbox" aria-label={`Select ${run.id}`} checked={isSelected} onChange={onToggle} />
        </td>
      )}
      <td>
        <StatusPill status={run.status} />
      </td>
      <td class="named">
        <a href={linkTo(["runs", run.id])}>{name}</a>
        <code>{run.id}</code>
      </td>
      <td class="wide">{describeRow(run)}</td>
      <td class="muted nowrap">
        <Moment time={run.started_at} />
      </td>
      <td class="number">
        {run.duration_ms === null ? hasEnded(run.status) ? "" : <Since time={run.started_at} /> : formatDuration(run.duration_ms)}
      </td>
    </tr>
  );
}
