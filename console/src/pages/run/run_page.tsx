// One run: what it needs, its graph, the chosen step, its steps and its data.
import { useEffect, useMemo, useState } from "preact/hooks";
import { address, linkTo, setParameters } from "../../data/address";
import { get, Problem } from "../../data/api";
import { usePolled } from "../../data/polling";
import type { JsonObject, NodeSummary, Overview, Run, Wait } from "../../data/types";
import { useFoldedGraph } from "../../graph/folding";
import { type Picks, readPicks } from "../../graph/picks";
import type { EdgeCounts } from "../../graph/usual_path";
import { loadLater } from "../../parts/later";
import { Loading, NotRead, ProblemNotice } from "../../parts/notices";
import type { PageProps } from "../../shell/pages";
import { Banner } from "./banner";
import { ComparisonCard, useOtherRun } from "./comparison";
import { describeNeeds } from "./need";
import { RerunBanner, useRerunPreview } from "./rerun_preview";
import type { RerunTarget } from "./run_actions";
import { RunData } from "./run_data";
import { RunGraph } from "./run_graph";
import { RunHeading } from "./run_heading";
import { useRun } from "./run_store";

const RunSide = loadLater(() => import("./run_side").then((loaded) => loaded.RunSide));
const NO_NODES: ReadonlyMap<string, JsonObject> = new Map();
const NO_PICKS: Picks = new Map();

/** The page. */
export function RunPage({ path }: PageProps) {
  const id = path[1] ?? "";
  const [picks, setPicks] = useState<Picks>(NO_PICKS);
  const { overview, error, stream, refresh, widen } = useRun(id, picks);
  useEffect(() => RunSide.preload(), []);
  if (!overview) {
    if (!error || error.isUnreachable) return <Loading what="the run" />;
    return (
      <NotRead problem={error} onRetry={refresh}>
        <a href={linkTo(["runs"])}>Go to the runs</a>
      </NotRead>
    );
  }
  return (
    <RunView overview={overview} picks={picks} setPicks={setPicks} error={error} isLive={stream === "live"} refresh={refresh}
      widen={widen} />
  );
}

function useGraph(run: Run) {
  const version = run.workflow_version;
  const address = `workflows/${encodeURIComponent(run.workflow_id)}/versions/${version}`;
  const drawing = `runs/${encodeURIComponent(run.id)}/graph`;
  const graph = useFoldedGraph(drawing, drawing);
  const definition = usePolled(
    async (signal) => (version > 0 ? (await get<{ definition: JsonObject }>(address, {}, signal)).definition : null),
    `${run.workflow_id}/${version}`,
    0,
  );
  const counts = usePolled(
    async (signal) => (version > 0 ? await get<EdgeCounts>(`${address}/edges`, {}, signal) : null),
    `${run.workflow_id}/${version} edges`,
    0,
  );
  const nodes = useMemo(() => indexNodes(definition.value), [definition.value]);
  return { graph, layout: graph.layout, nodes, counts: counts.value };
}

function indexNodes(definition: JsonObject | null): ReadonlyMap<string, JsonObject> {
  if (!Array.isArray(definition?.nodes)) return NO_NODES;
  return new Map((definition.nodes as JsonObject[]).map((node) => [String(node.id), node]));
}

function readName(nodes: ReadonlyMap<string, JsonObject>, id: string | null | undefined): string | null {
  const name = nodes.get(id ?? "")?.name;
  return typeof name === "string" && name ? name : null;
}

interface ViewProps {
  overview: Overview;
  picks: Picks;
  setPicks: (picks: Picks) => void;
  error: Problem | null;
  isLive: boolean;
  refresh: () => void;
  widen: () => void;
}

function RunView({ overview, picks, setPicks, error, isLive, refresh, widen }: ViewProps) {
  const { run } = overview;
  const { graph, layout, nodes, counts } = useGraph(run);
  const [preview, askForRerun] = useRerunPreview(run);
  const rerun = (target: RerunTarget) => {
    // The graph then shows the iteration that it begins in.
    if (target.path) setPicks(new Map([...picks, ...readPicks(target.path)]));
    askForRerun(target);
  };
  const titles = useMemo(() => new Map(layout?.boxes.map(({ id, name }) => [id, name])), [layout]);
  const nameOf = (id: string | null | undefined) => titles.get(id ?? "") ?? readName(nodes, id) ?? id ?? "the run";
  const choice = chooseStep(overview);
  const pick = (loop: string, index: number | null) => {
    const next = new Map(picks);
    if (index === null) next.delete(loop);
    else next.set(loop, index);
    setPicks(next);
    setParameters({ step: null });
  };
  const { value: compared, error: otherProblem } = useOtherRun(address.value.query.get("with") ?? "", picks);
  const comparison = useMemo(
    () => (layout && compared ? compared.compareRuns(layout, overview, compared.other) : null),
    [layout, overview, compared],
  );
  const planned = useMemo(
    () => (layout && preview?.plan && preview.draw ? preview.draw(layout, preview.plan, picks) : null),
    [layout, preview, picks],
  );
  return (
    <>
      <RunHeading run={run} isLive={isLive} />
      {error && !error.isUnreachable && <ProblemNotice problem={error} onRetry={refresh} />}
      {otherProblem && <ProblemNotice problem={otherProblem} />}
      {preview ? (
        <RerunBanner run={run} preview={preview} nameOf={nameOf} onClose={() => askForRerun(null)} />
      ) : (
        <Banner run={run} needs={describeNeeds(overview, nameOf)} schemaOf={(wait) => findSchema(wait, nodes)}
          configOf={(wait) => (nodes.get(wait.node_id ?? "")?.config as JsonObject | undefined) ?? null}
          onRerun={() => askForRerun(chooseRestart(overview))} onChanged={refresh} />
      )}
      <div class="run-columns">
        <div class="run-main">
          <RunGraph overview={overview} graph={graph} picks={picks} onPick={pick} planned={planned}
            compared={comparison?.states ?? null} counts={counts} selected={choice.node} nameOf={nameOf} />
          {compared && comparison && (
            <ComparisonCard run={run} other={compared.other} differences={comparison.differences} nameOf={nameOf} node={choice.node}
              picks={picks} />
          )}
          <RunData run={run} />
        </div>
        <RunSide overview={overview} layout={layout} choice={choice} picks={picks} counts={counts}
          template={nodes.get(choice.node ?? "") ?? null} nameOf={nameOf} onRerun={rerun} onChanged={refresh} onMore={widen} />
      </div>
    </>
  );
}

/** Return where a rerun begins: at the node that failed, else at the first one that ran. */
function chooseRestart({ run, nodes }: Overview): RerunTarget {
  return run.failure?.node_id ? {} : { fromNode: nodes.find(({ first }) => !first.path)?.node_id };
}

export interface Choice {
  node: string | null;
  summary: NodeSummary | null;
  stepId: string | null;
}

/** Return the node and step that the address names, else those that matter most now. */
function chooseStep({ run, nodes, steps }: Overview): Choice {
  const { query } = address.value;
  const named = query.get("step");
  const open = run.waiting_for.find(({ step_id }) => step_id)?.node_id;
  const node = query.get("node") ?? (named && nodeOf(named)) ?? open ?? findFailed(nodes) ?? steps.at(-1)?.node_id ?? null;
  const summary = nodes.find(({ node_id }) => node_id === node) ?? null;
  return { node, summary, stepId: named ?? summary?.first.id ?? null };
}

/** Return the node of a step ID: `charge` of `each[7]/charge#2`. */
function nodeOf(stepId: string): string {
  return stepId.slice(stepId.lastIndexOf("/") + 1).replace(/[#~]\d+$/, "");
}

/** Return the node that failed last. */
function findFailed(nodes: NodeSummary[]): string | undefined {
  const failed = nodes.filter(({ statuses }) => statuses.failed).map(({ first }) => first);
  return failed.sort((a, b) => a.started_at.localeCompare(b.started_at)).at(-1)?.node_id;
}

function findSchema(wait: Wait, nodes: ReadonlyMap<string, JsonObject>): JsonObject | null {
  const schema = wait.schema ?? (nodes.get(wait.node_id ?? "")?.config as JsonObject | undefined)?.schema;
  return schema && typeof schema === "object" && !Array.isArray(schema) ? schema : null;
}
