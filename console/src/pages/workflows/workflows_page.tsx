// The list of workflows: whether they run by themselves, how their last runs went.
import { useEffect, useMemo, useState } from "preact/hooks";
import { address, linkTo, setParameters } from "../../data/address";
import { get } from "../../data/api";
import { usePages } from "../../data/pages";
import { usePolled } from "../../data/polling";
import type { Page, RunSummary, Workflow } from "../../data/types";
import { ActionButton } from "../../parts/action_button";
import { Empty, Loading, ProblemNotice } from "../../parts/notices";
import { Pill, STATUSES } from "../../parts/status";
import { formatNumber, Moment } from "../../parts/time";
import { FirstRun } from "../examples/later";
import { describeTrigger, STATES } from "./workflow_words";

const REFRESH_MS = 5000;
const PAUSE_MS = 300;
const MOST_RUNS = 500;
const STRIP = 14;

/** The page with all workflows. */
export function WorkflowsPage() {
  const prefix = address.value.query.get("id") ?? "";
  const { items, error, hasMore, loadMore, refresh } = usePages<Workflow>({
    path: "workflows",
    query: { id_prefix: prefix },
    key: prefix,
    every: REFRESH_MS,
    identify: ({ customer_id, id }) => `${customer_id}/${id}`,
  });
  const runs = usePolled((signal) => get<Page<RunSummary>>("runs", { limit: MOST_RUNS }, signal), "", REFRESH_MS);
  const strips = useMemo(() => groupByWorkflow(runs.value?.items ?? []), [runs.value]);
  if (items?.length === 0 && !prefix) return <FirstRun />;
  return (
    <>
      <div class="heading">
        <h1>Workflows</h1>
        <span class="actions">
          <PrefixBox prefix={prefix} />
          <a class="button" href={linkTo(["edit"])}>
            New workflow
          </a>
        </span>
      </div>
      {error && !error.isUnreachable && <ProblemNotice problem={error} onRetry={refresh} />}
      {items === null && <Loading what="workflows" />}
      {items?.length === 0 && (
        <Empty title="No workflow matches">
          <button type="button" onClick={() => setParameters({ id: null })}>
            Remove the filter
          </button>
        </Empty>
      )}
      {items !== null && items.length > 0 && (
        <div class="card">
          <WorkflowTable workflows={items} strips={strips} />
          {hasMore && (
            <div class="more">
              <ActionButton needs={["read"]} class="quiet" onAct={loadMore}>
                Show more workflows
              </ActionButton>
            </div>
          )}
        </div>
      )}
    </>
  );
}

/** The field for the beginning of an ID; the list follows a moment after the last key. */
function PrefixBox({ prefix }: { prefix: string }) {
  const [typed, setTyped] = useState(prefix);
  useEffect(() => setTyped(prefix), [prefix]);
  useEffect(() => {
    if (typed.trim() === prefix) return;
    const timer = setTimeout(() => setParameters({ id: typed.trim() }), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <input type="search" class="prefix" aria-label="Workflow ID" placeholder="ID, or how it begins…" value={typed}
      onInput={(event) => setTyped(event.currentTarget.value)} />
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
    <div class="scroll">
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
