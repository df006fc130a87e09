// The steps of a run as a table: the same as on the graph, for those who read rather than look.
import { useState } from "preact/hooks";
import type { Run, Step } from "../../data/types";
import { summarizeDecision } from "../../graph/decisions";
import { Icon } from "../../parts/icon";
import { STATUSES } from "../../parts/status";
import { formatDuration, formatNumber, Since } from "../../parts/time";

interface Props {
  run: Run;
  nameOf: (nodeId: string) => string;
  selected: string | null;
  onChoose: (step: Step) => void;
}

const PAGE = 100;

/** The table, the newest step first. */
export function StepTable({ run, nameOf, selected, onChoose }: Props) {
  const [shown, setShown] = useState(PAGE);
  const steps = run.steps.slice(-shown).reverse();
  const cut = run.steps_total - run.steps.length;
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
          {steps.map((step) => (
            <Row key={step.id} step={step} name={nameOf(step.node_id)} isSelected={step.id === selected} onChoose={onChoose} />
          ))}
        </tbody>
      </table>
      {shown < run.steps.length && (
        <button type="button" class="quiet more" onClick={() => setShown(shown + PAGE)}>
          Show {formatNumber(Math.min(PAGE, run.steps.length - shown))} more
        </button>
      )}
      {cut > 0 && shown >= run.steps.length && (
        <p class="muted more">{formatNumber(cut)} older steps are kept as counts only.</p>
      )}
    </section>
  );
}

interface RowProps {
  step: Step;
  name: string;
  isSelected: boolean;
  onChoose: (step: Step) => void;
}

function Row({ step, name, isSelected, onChoose }: RowProps) {
  const { word, tone, icon } = STATUSES[step.status];
  const retries = step.retry_count > 0 ? `${step.retry_count} ${step.retry_count > 1 ? "retries" : "retry"}` : "";
  const note = [summarizeDecision(step.decision), step.error?.message, retries].filter(Boolean).join(" · ");
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
