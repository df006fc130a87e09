// The list of workflows: whether they run by themselves, how their last runs went.
import { useMemo } from "preact/hooks";
import { linkTo } from "../../data/address";
import { get } from "../../data/api";
import { usePolled } from "../../data/polling";
import type { Page, RunSummary, Workflow } from "../../data/types";
import { Loading, ProblemNotice } from "../../parts/notices";
import { Pill, STATUSES } from "../../parts/status";
import { formatNumber, Moment } from "../../parts/time";
import { FirstRun } from "../examples/later";
import { describeTrigger, STATES } from "./workflow_words";

const REFRESH_MS = 5000;
const MOST = 500;
const STRIP = 14;

/** The page with all workflows. */
export function WorkflowsPage() {
  const list = usePolled((signal) => get<Page<Workflow>>("workflows", { limit: MOST }, signal), "", REFRESH_MS);
  const runs = usePolled((signal) => get<Page<RunSummary>>("runs", { limit: MOST }, signal), "", REFRESH_MS);
  const strips = useMemo(() => groupByWorkflow(runs.value?.items ?? []), [runs.value]);
  if (list.value?.items.length === 0) return <FirstRun />;
  return (
    <>
      <div class="heading">
        <h1>Workflows</h1>
        <span class="actions">
          <a class="button" href={linkTo(["edit"])}>
            New workflow
          </a>
        </span>
      </div>
      {list.error && !list.error.isUnreachable && <ProblemNotice problem={list.error} onRetry={list.refresh} />}
      {list.value === null ? <Loading what="workflows" /> : <WorkflowTable workflows={list.value.items} strips={strips} />}
    </>
  );
}

function groupByWorkflow(runs: RunSummary[]): Map<string, RunSummary[]> {
  const groups = new Map<string, RunSummary[]>();
  for (const run of runs) {
    const group = groups.get(run.workflow_id) ?? [];
    if (group.length < STRIP) groups.set(run.workflow_id, [...group, run]);
  }
  return groups;
}

function WorkflowTable({ workflows, strips }: { workflows: Workflow[]; strips: Map<string, RunSummary[]> }) {
  return (
    <div class="card scroll">
      <table class="table">
        <thead>
          <tr>
            <th>Workflow</th>
            <th>Status</th>
            <th>Starts</th>
            <th>Last runs</th>
            <th class="number">Runs</th>
            <th class="number">Success</th>
            <th>Last run</th>
          </tr>
        </thead>
        <tbody>
          {workflows.map((each) => (
            <Row key={`${each.customer_id}/${each.id}`} workflow={each} runs={strips.get(each.id) ?? []} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ workflow, runs }: { workflow: Workflow; runs: RunSummary[] }) {
  const { word, tone, icon } = STATES[workflow.status];
  const decided = workflow.success_count + workflow.failure_count;
  return (
    <tr>
      <td class="named">
        <a href={linkTo(["workflows", workflow.id])}>{workflow.name || workflow.id}</a>
        <code>{workflow.id}</code>
      </td>
      <td>
        <Pill tone={tone} icon={icon} text={word} />
        {workflow.edited && workflow.version > 0 && <span class="note">edited since version {workflow.version}</span>}
      </td>
      <td class="muted">{describeTrigger(workflow.trigger)}</td>
      <td>
        <Strip runs={runs} />
      </td>
      <td class="number">{formatNumber(workflow.run_count)}</td>
      <td class="number">{decided ? `${workflow.success_rate} %` : ""}</td>
      <td class="muted nowrap">{workflow.last_run_at && <Moment time={workflow.last_run_at} />}</td>
    </tr>
  );
}

/** The last runs, the oldest first: one bar each. */
export function Strip({ runs }: { runs: RunSummary[] }) {
  return (
    <span class="strip-runs">
      {[...runs].reverse().map((run) => {
        const { word, tone } = STATUSES[run.status];
        return (
          <a key={run.id} class={`tone ${tone}`} href={linkTo(["runs", run.id])} title={`${word}: ${run.id}`}>
            <span class="hidden">{`${word} run ${run.id}`}</span>
          </a>
        );
      })}
    </span>
  );
}
