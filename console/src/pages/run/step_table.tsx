// The steps of a run as a table: the same as on the graph, for those who read rather than look.
import { useEffect, useState } from "preact/hooks";
import { get } from "../../data/api";
import type { Overview, Page, Step, StepLine } from "../../data/types";
import { summarizeDecision } from "../../graph/decisions";
import { listPicks, type Picks } from "../../graph/picks";
import { ActionButton } from "../../parts/action_button";
import { Icon } from "../../parts/icon";
import { hasEnded, STATUSES } from "../../parts/status";
import { formatDuration, formatNumber, Since } from "../../parts/time";
import { MOST_STEPS } from "./run_store";

interface Props {
  overview: Overview;
  picks: Picks;
  nameOf: (nodeId: string) => string;
  selected: string | null;
  onChoose: (step: StepLine) => void;
  /** Have the overview list more steps. */
  onMore: () => void;
}

interface Older {
  steps: StepLine[];
  cursor: string | null;
}

const PAGE = 200;

/** The table, the newest step first. */
export function StepTable({ overview, picks, nameOf, selected, onChoose, onMore }: Props) {
  const { run, steps_stored: stored, steps, next_cursor } = overview;
  const [older, loadOlder] = useOlderSteps(overview, picks);
  const { cursor } = older ?? { cursor: next_cursor };
  const rows = [...steps.toReversed(), ...(older?.steps ?? [])];
  const isWidest = steps.length >= MOST_STEPS;
  return (
    <section class="card" aria-label="Steps">
      <h2 class="card-title">
        Steps
        <span class="muted">
          {formatNumber(run.steps_total)} · newest first{run.complete ? "" : " · some cannot be read at present"}
        </span>
      </h2>
      <table class="table steps">
        <thead class="hidden">
          <tr>
            <th>Status</th>
            <th>Step</th>
            <th>Took</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((step) => (
            <Row key={step.id} step={step} name={nameOf(step.node_id)} isSelected={step.id === selected} onChoose={onChoose} />
          ))}
        </tbody>
      </table>
      {cursor && (!isWidest || hasEnded(run.status)) && (
        <ActionButton needs={["read"]} class="quiet more" onAct={isWidest ? loadOlder : onMore}>
          Show more
        </ActionButton>
      )}
      {!cursor && picks.size === 0 && run.steps_total > stored && (
        <p class="muted more">{formatNumber(run.steps_total - stored)} older steps are kept as counts only.</p>
      )}
    </section>
  );
}

/** Hold the steps before those of the overview, and load more of them: only of a run that has ended, they stay as they are. */
function useOlderSteps({ run, next_cursor }: Overview, picks: Picks): [Older | null, () => Promise<void>] {
  const [older, setOlder] = useState<Older | null>(null);
  useEffect(() => setOlder(null), [run.id, picks, next_cursor]);
  const load = async () => {
    const query = { order: "newest", limit: PAGE, iteration: listPicks(picks), cursor: older?.cursor ?? next_cursor };
    const { items, next_cursor: cursor } = await get<Page<Step>>(`runs/${encodeURIComponent(run.id)}/steps`, query);
    setOlder({ steps: [...(older?.steps ?? []), ...items.map(toLine)], cursor });
  };
  return [older, load];
}

function toLine(step: Step): StepLine {
  return { ...step, error: step.error?.message ?? null, error_type: step.error?.error_type ?? null, items: null };
}

interface RowProps {
  step: StepLine;
  name: string;
  isSelected: boolean;
  onChoose: (step: StepLine) => void;
}

function Row({ step, name, isSelected, onChoose }: RowProps) {
  const { word, tone, icon } = STATUSES[step.status];
  const retries = step.retry_count > 0 ? `${step.retry_count} ${step.retry_count > 1 ? "retries" : "retry"}` : "";
  const note = [summarizeDecision(step.decision), step.error, retries].filter(Boolean).join(" · ");
  return (
    <tr class={isSelected ? "selected" : ""}>
      <td>
        <span class={`pill ${tone}`} title={word}>
          <Icon name={icon} />
          <span class="hidden">{word}</span>
        </span>
      </td>
      <td class="wide">
        <button type="button" class="link" onClick={() => onChoose(step)} aria-current={isSelected ? "true" : undefined}>
          {step.path && <span class="muted">{step.path} / </span>}
          {name}
        </button>
        {note && <span class="note">{note}</span>}
      </td>
      <td class="number muted">
        {step.completed_at ? step.duration_ms ? formatDuration(step.duration_ms) : "" : <Since time={step.started_at} />}
      </td>
    </tr>
  );
}
