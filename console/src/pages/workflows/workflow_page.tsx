// One workflow: its graph, versions, statistics, next fire times, and the buttons that operate it.
import { useState } from "preact/hooks";
import { address, goTo, linkTo, setParameters } from "../../data/address";
import { get, post } from "../../data/api";
import { usePolled } from "../../data/polling";
import type { Json, JsonObject, Page, RunSummary, Usage, Workflow } from "../../data/types";
import { FoldButton, useFoldedGraph, useOpened } from "../../graph/folding";
import { Graph } from "../../graph/graph";
import { ActionButton } from "../../parts/action_button";
import { JsonView } from "../../parts/json_view";
import { Loading, NotRead, ProblemNotice } from "../../parts/notices";
import { Pill } from "../../parts/status";
import { formatCount, formatNumber, formatDuration, Moment, Until } from "../../parts/time";
import { notify } from "../../parts/toasts";
import { formatUsage } from "../../parts/usage";
import type { PageProps } from "../../shell/pages";
import { type Delivery, DeliveryTable } from "../deliveries/delivery_table";
import { RunTable } from "../runs/run_table";
import { useComparedGraph, useComparison } from "./comparison";
import { StartDialog } from "./start_dialog";
import { VersionsCard } from "./versions";
import { describeTrigger, STATES } from "./workflow_words";

const REFRESH_MS = 5000;
const RUNS = 10;
const DELIVERIES = 5;
const NONE: ReadonlySet<string> = new Set();

/** The page. */
export function WorkflowPage({ path }: PageProps) {
  const id = path[1] ?? "";
  const base = `workflows/${encodeURIComponent(id)}`;
  const { value, error, refresh } = usePolled((signal) => get<Workflow>(base, {}, signal), id, REFRESH_MS);
  if (!value) {
    if (!error || error.isUnreachable) return <Loading what="the workflow" />;
    return (
      <NotRead problem={error} onRetry={refresh}>
        <a href={linkTo(["workflows"])}>Go to the workflows</a>
      </NotRead>
    );
  }
  return <View workflow={value} base={base} refresh={refresh} />;
}

function View({ workflow, base, refresh }: { workflow: Workflow; base: string; refresh: () => void }) {
  const runs = usePolled(
    (signal) => get<Page<RunSummary>>("runs", { workflow_id: workflow.id, limit: RUNS }, signal),
    workflow.id,
    REFRESH_MS,
  );
  return (
    <>
      <Heading workflow={workflow} base={base} refresh={refresh} />
      {workflow.description && <p class="lead">{workflow.description}</p>}
      <div class="run-columns">
        <div class="run-main">
          <GraphCard workflow={workflow} base={base} />
          <section class="card" aria-label="Last runs">
            <h2 class="card-title">
              Last runs
              <a class="card-tools" href={linkTo(["runs"], { workflow: workflow.id })}>
                All runs
              </a>
            </h2>
            {runs.value?.items.length ? (
              <RunTable runs={runs.value.items} names={new Map()} selected={NONE} />
            ) : (
              <p class="muted none">None yet.</p>
            )}
          </section>
          <Deliveries id={workflow.id} />
          <section class="card" aria-label="Definition">
            <h2 class="card-title">Definition</h2>
            <JsonView value={pickDefinition(workflow)} label="Text of the definition" />
          </section>
        </div>
        <aside class="run-side">
          <Statistics base={base} id={workflow.id} />
          {workflow.trigger?.type === "schedule" && <Schedule base={base} workflow={workflow} />}
          <VersionsCard workflow={workflow} base={base} onChanged={refresh} />
        </aside>
      </div>
    </>
  );
}

/** The newest entries of the ledger that start the workflow. */
function Deliveries({ id }: { id: string }) {
  const { value, refresh } = usePolled(
    (signal) => get<Page<Delivery>>("deliveries", { workflow_id: id, limit: DELIVERIES }, signal),
    id,
    REFRESH_MS,
  );
  if (!value || value.items.length === 0) return null;
  return (
    <section class="card" aria-label="Deliveries">
      <h2 class="card-title">
        Deliveries
        <a class="card-tools" href={linkTo(["deliveries"], { workflow: id })}>
          All deliveries
        </a>
      </h2>
      <DeliveryTable deliveries={value.items} onChanged={refresh} />
    </section>
  );
}

const RECORDED = ["run_count", "success_count", "failure_count", "last_run_at", "success_rate", "edited", "created_at", "updated_at", "created_by"];

/** Return what an author writes of a workflow's document. */
export function pickDefinition(workflow: Workflow): Json {
  return Object.fromEntries(Object.entries(workflow).filter(([name]) => !RECORDED.includes(name))) as Json;
}

function Heading({ workflow, base, refresh }: { workflow: Workflow; base: string; refresh: () => void }) {
  const [isStarting, setStarting] = useState(false);
  const { word, tone, icon } = STATES[workflow.status];
  const change = async (operation: string, done: string) => {
    const answer = await post<{ warnings?: { message: string }[] }>(`${base}/${operation}`);
    for (const { message } of answer.warnings ?? []) notify(message, true);
    notify(done);
    refresh();
  };
  const isActive = workflow.status === "active";
  return (
    <div class="heading">
      <h1>{workflow.name || workflow.id}</h1>
      <code class="muted">{workflow.id}</code>
      <Pill tone={tone} icon={icon} text={word} />
      <span class="muted">
        {workflow.version ? `version ${workflow.version}` : "not published"}
        {workflow.edited && workflow.version > 0 && ", edited since"} · starts: {describeTrigger(workflow.trigger)}
      </span>
      <span class="actions">
        <ActionButton needs={["run"]} class="primary" onAct={() => setStarting(true)}
          refusal={workflow.status === "archived" ? "An archived workflow cannot be started" : null}>
          Start a run…
        </ActionButton>
        <a class="button" href={linkTo(["edit", workflow.id])}>
          Edit
        </a>
        {(!isActive || workflow.edited) && (
          <ActionButton needs={["edit"]} onAct={() => change("activate", "Active")}>
            {isActive ? "Publish the edits" : "Activate"}
          </ActionButton>
        )}
        {isActive && (
          <ActionButton needs={["edit"]} onAct={() => change("pause", "Paused: nothing starts by itself")}>
            Pause
          </ActionButton>
        )}
        {workflow.status !== "archived" && (
          <ActionButton needs={["edit"]} class="danger" onAct={() => change("archive", "Archived")}>
            Archive
          </ActionButton>
        )}
      </span>
      {isStarting && (
        <StartDialog workflow={workflow} onClose={() => setStarting(false)} onStarted={(id) => goTo(["runs", id])} />
      )}
    </div>
  );
}

function GraphCard({ workflow, base }: { workflow: Workflow; base: string }) {
  const { query } = address.value;
  const version = Number(query.get("version") ?? 0);
  const from = Number(query.get("from") ?? 0);
  const comparison = useComparison(base, from, version);
  const drawing = version > 0 ? `${base}/versions/${version}/graph` : `${base}/graph`;
  const key = `${drawing} ${version > 0 ? "" : workflow.updated_at}`;
  const graph = useFoldedGraph(drawing, key);
  const opened = useOpened();
  const compared = useComparedGraph(base, comparison, pickDefinition(workflow) as JsonObject, opened);
  const layout = compared?.layout ?? graph.layout;
  return (
    <section class="card" aria-label="Graph">
      <h2 class="card-title">
        Graph
        <span class="muted">{version > 0 ? `version ${version}` : "working copy"}</span>
        {comparison && <Pill tone="wait" text={`${formatCount(comparison.changes.length, "change")} ${from > version && version ? "from" : "since"} version ${from}`} />}
        <span class="card-tools">
          <FoldButton layout={layout} opened={compared ? opened : graph.opened} selected={query.get("node")} />
        </span>
      </h2>
      {layout ? (
        <Graph layout={layout} states={compared?.states} label={`Graph of ${workflow.id}`} selected={query.get("node")}
          onSelect={(node) => setParameters({ node })} />
      ) : graph.error ? (
        <ProblemNotice problem={graph.error} />
      ) : (
        <Loading what="the graph" />
      )}
      {comparison && <JsonView value={comparison.changes as unknown as Json} label="Changes" />}
    </section>
  );
}

interface Stats {
  runs: number;
  by_status: Record<string, number>;
  success_rate: number;
  p50_ms: number | null;
  p95_ms: number | null;
  usage: Usage & { runs: number };
}

function Statistics({ base, id }: { base: string; id: string }) {
  const { value } = usePolled((signal) => get<Stats>(`${base}/stats`, {}, signal), id, REFRESH_MS);
  if (!value) return null;
  const rows: [string, string][] = [
    ["Runs", formatNumber(value.runs)],
    ...Object.entries(value.by_status).map(([status, number]) => [status, formatNumber(number)] as [string, string]),
    ["Success", value.runs ? `${value.success_rate} %` : "—"],
    ["Median", value.p50_ms === null ? "—" : formatDuration(value.p50_ms)],
    ["95th percentile", value.p95_ms === null ? "—" : formatDuration(value.p95_ms)],
  ];
  return (
    <section class="card" aria-label="Statistics">
      <h2 class="card-title">Statistics</h2>
      <dl class="even">
        {rows.map(([name, text]) => (
          <>
            <dt>{name}</dt>
            <dd>{text}</dd>
          </>
        ))}
      </dl>
      {value.usage.runs > 0 && (
        <p class="described">
          {formatCount(value.usage.runs, "ended run")} used {formatUsage(value.usage)}
        </p>
      )}
    </section>
  );
}

interface ScheduleView {
  installed: boolean;
  paused: boolean;
  next_times: string[];
}

function Schedule({ base, workflow }: { base: string; workflow: Workflow }) {
  const key = `${workflow.id} ${workflow.status} ${workflow.updated_at}`;
  const { value, error } = usePolled((signal) => get<ScheduleView>(`${base}/schedule`, { count: 5 }, signal), key, 30_000);
  const trigger = async () => {
    const started = await post<{ id: string }>(`${base}/schedule/trigger`);
    goTo(["runs", started.id]);
  };
  return (
    <section class="card" aria-label="Schedule">
      <h2 class="card-title">
        Next fire times
        <span class="card-tools">
          <ActionButton needs={["run"]} class="small" onAct={trigger}>
            Fire now
          </ActionButton>
        </span>
      </h2>
      {error && <p class="muted none">{error.message}</p>}
      {value && !value.installed && <p class="muted none">Not installed: these are the times once it is active.</p>}
      <ul class="times">
        {value?.next_times.map((time) => (
          <li key={time}>
            <Moment time={time} /> <span class="muted"><Until time={time} /></span>
          </li>
        ))}
      </ul>
    </section>
  );
}

