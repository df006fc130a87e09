// The chosen node and its step: what it was given, what came of it, its attempts.
import { useState } from "preact/hooks";
import { linkTo } from "../../data/address";
import type { Box } from "../../data/layout";
import type { Json, JsonObject, NodeSummary, Run, Step } from "../../data/types";
import { listComparisons, portOf } from "../../graph/decisions";
import { countSteps } from "../../graph/states";
import { describeShare, type EdgeCount, type EdgeCounts } from "../../graph/usual_path";
import { ActionButton } from "../../parts/action_button";
import { Icon } from "../../parts/icon";
import { isEmpty, JsonView } from "../../parts/json_view";
import { Loading } from "../../parts/notices";
import { hasEnded, StatusPill } from "../../parts/status";
import { formatCount, formatDuration, Moment, Until } from "../../parts/time";
import type { NodeSteps } from "./node_steps";
import { RepairButtons } from "./repair_buttons";
import type { RerunTarget } from "./run_actions";

const TABS = ["Overview", "Input", "Output", "Attempts", "Raw"] as const;
type Tab = (typeof TABS)[number];

interface Props {
  run: Run;
  box: Box | null;
  /** The steps of the node in the chosen iterations; `null` where there are none. */
  summary: NodeSummary | null;
  /** The newest of them, and the chosen one, once they have been read. */
  chosen: NodeSteps | null;
  /** What the last runs took, where that is known. */
  counts: EdgeCounts | null;
  /** The node as it is written in the definition, where that is known. */
  template: JsonObject | null;
  onChoose: (stepId: string) => void;
  onRerun: (target: RerunTarget) => void;
  onChanged: () => void;
}

/** The panel. */
export function StepPanel({ run, box, summary, chosen, counts, template, onChoose, onRerun, onChanged }: Props) {
  const [tab, setTab] = useState<Tab>("Overview");
  const { steps, step } = chosen ?? { steps: [], step: null };
  const name = box?.name ?? summary?.node_id ?? step?.node_id ?? "";
  return (
    <section class="card panel" aria-label={`Step ${name}`}>
      <h2>
        {name}
        {step && <StatusPill status={step.status} />}
      </h2>
      {steps.length > 1 && step && <StepChoice summary={summary} steps={steps} step={step} onChoose={onChoose} />}
      <div class="tabs" role="tablist" aria-label="Details of the step">
        {TABS.map((each) => (
          <button key={each} type="button" role="tab" id={`tab-${each}`} aria-selected={each === tab} aria-controls="tab-panel"
            tabIndex={each === tab ? 0 : -1} onClick={() => setTab(each)} onKeyDown={(event) => switchTab(event, tab, setTab)}>
            {each}
          </button>
        ))}
      </div>
      <div class="tab-panel" role="tabpanel" id="tab-panel" aria-labelledby={`tab-${tab}`} tabIndex={-1}>
        {summary && !chosen && <Loading what="the step" />}
        {tab === "Overview" && (!summary || chosen) && <Overview run={run} box={box} step={step} counts={counts} onRerun={onRerun} />}
        {tab === "Overview" && (
          <RepairButtons run={run} box={box} step={step} config={(template?.config ?? null) as JsonObject | null} onChanged={onChanged} />
        )}
        {tab === "Input" && <Input step={step} template={template} />}
        {tab === "Output" && <JsonView value={step?.output_data} label="Output" />}
        {tab === "Attempts" && <Attempts step={step} />}
        {tab === "Raw" && <JsonView value={(step ?? template) as unknown as Json} label="Step document" />}
      </div>
    </section>
  );
}

function switchTab(event: KeyboardEvent, tab: Tab, setTab: (tab: Tab) => void): void {
  const shift = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!shift) return;
  const next = TABS[(TABS.indexOf(tab) + shift + TABS.length) % TABS.length] ?? tab;
  setTab(next);
  document.getElementById(`tab-${next}`)?.focus();
}

interface ChoiceProps {
  summary: NodeSummary | null;
  steps: Step[];
  step: Step;
  onChoose: (id: string) => void;
}

function StepChoice({ summary, steps, step, onChoose }: ChoiceProps) {
  const total = summary ? countSteps(summary) : steps.length;
  return (
    <label class="choice">
      <span>
        {formatCount(total, "execution")}
        {total > steps.length && `, the last ${steps.length}`}
      </span>
      <select value={step.id} onChange={(event) => onChoose(event.currentTarget.value)}>
        {steps.map((each) => (
          <option key={each.id} value={each.id}>
            {each.id} · {each.status}
          </option>
        ))}
      </select>
    </label>
  );
}

interface OverviewProps {
  run: Run;
  box: Box | null;
  step: Step | null;
  counts: EdgeCounts | null;
  onRerun: (target: RerunTarget) => void;
}

function Overview({ run, box, step, counts, onRerun }: OverviewProps) {
  if (!step) {
    return (
      <>
        {box?.description && <p class="described">{box.description}</p>}
        <p class="muted none">{hasEnded(run.status) ? "Not taken in this run." : "The run has not come here yet."}</p>
      </>
    );
  }
  return (
    <>
      {box?.description && <p class="described">{box.description}</p>}
      {step.error && <ErrorBlock step={step} />}
      <dl>
        <Decision decision={step.decision} count={findPortCount(step, counts)} />
        <dt>Type</dt>
        <dd>{box?.type === "action" ? <code>{box.detail}</code> : box?.type}</dd>
        <dt>Started</dt>
        <dd>
          <Moment time={step.started_at} />
        </dd>
        {step.duration_ms !== null && step.completed_at && (
          <>
            <dt>Took</dt>
            <dd>{formatDuration(step.duration_ms)}</dd>
          </>
        )}
        {step.run_id && (
          <>
            <dt>Called</dt>
            <dd>
              <a href={linkTo(["runs", step.run_id])}>{step.run_id}</a>
            </dd>
          </>
        )}
        {step.path && (
          <>
            <dt>Within</dt>
            <dd>
              <code>{step.path}</code>
            </dd>
          </>
        )}
        <dt>Step</dt>
        <dd>
          <code>{step.id}</code>
        </dd>
      </dl>
      <Warnings warnings={step.warnings} />
      {!isEmpty(step.output_data) && <JsonView value={step.output_data} label="Output" />}
      <RerunFrom run={run} step={step} onRerun={onRerun} />
    </>
  );
}

/** Return how many of the last runs left the node by the port of a step. */
function findPortCount({ node_id, decision }: Step, counts: EdgeCounts | null): EdgeCount | null {
  const port = portOf(decision);
  return counts?.edges.find((each) => each.source === node_id && each.port === port) ?? null;
}

function Decision({ decision, count }: { decision: Json; count: EdgeCount | null }) {
  const lines = listComparisons(decision);
  const port = portOf(decision);
  if (lines.length === 0 && port === null) return null;
  return (
    <>
      <dt>Decided</dt>
      <dd>
        {lines.map((line) => (
          <div key={line}>{line}</div>
        ))}
        {port && (
          <div>
            left by <b>{port}</b>
          </div>
        )}
        {count && <div class="muted">{describeShare(count)}</div>}
      </dd>
    </>
  );
}

function ErrorBlock({ step: { error } }: { step: Step }) {
  if (!error) return null;
  return (
    <div class="step-error">
      <p>
        <b>{error.error_type.replaceAll("_", " ")}</b>
      </p>
      <p>{error.message}</p>
      {!isEmpty(error.details) && <JsonView value={error.details} label="Details of the error" />}
    </div>
  );
}

function Warnings({ warnings }: { warnings: string[] }) {
  if (warnings.length === 0) return null;
  return (
    <ul class="warnings">
      {warnings.map((each) => (
        <li key={each}>
          <Icon name="warning" /> {each}
        </li>
      ))}
    </ul>
  );
}

function RerunFrom({ run, step, onRerun }: { run: Run; step: Step; onRerun: (target: RerunTarget) => void }) {
  if (!hasEnded(run.status)) return null;
  const target = { fromNode: step.node_id, path: step.path };
  const { failed = 0, count } = (step.output_data ?? {}) as { failed?: number; count?: number };
  return (
    <div class="panel-actions">
      <ActionButton needs={["run"]} onAct={() => onRerun(target)}>
        Rerun from here…
      </ActionButton>
      {count !== undefined && failed > 0 && (
        <ActionButton needs={["run"]} onAct={() => onRerun({ ...target, failedItems: true })}>
          {`Only the ${formatCount(failed, "failed item")}…`}
        </ActionButton>
      )}
      <span class="muted">shows first what runs again</span>
    </div>
  );
}

function Input({ step, template }: { step: Step | null; template: JsonObject | null }) {
  return (
    <>
      <h3>As it ran</h3>
      <JsonView value={step?.input_data} label="Input" />
      {template && (
        <>
          <h3>In the definition</h3>
          <JsonView value={template} label="Node in the definition" />
        </>
      )}
    </>
  );
}

function Attempts({ step }: { step: Step | null }) {
  if (!step) return <p class="muted none">None.</p>;
  return (
    <>
      <p class="described">
        {step.retry_count === 0 ? "One attempt." : `${step.retry_count + 1} attempts.`}
        {step.error && ` The last error: ${step.error.message}`}
        {step.next_attempt_at && (
          <>
            {" "}
            The next one: <Until time={step.next_attempt_at} />.
          </>
        )}
      </p>
      {step.attempts && step.attempts.length > 0 && <JsonView value={step.attempts} label="Attempts" />}
    </>
  );
}
