// One run: what it needs, its graph, the chosen step, its steps and its data.
import { useMemo, useState } from "preact/hooks";
import { address, setParameters } from "../../data/address";
import { get, Problem } from "../../data/api";
import type { Layout } from "../../data/layout";
import { usePolled } from "../../data/polling";
import type { JsonObject, Run, Step, Wait } from "../../data/types";
import { useFoldedGraph } from "../../graph/folding";
import type { Picks } from "../../graph/paths";
import { groupSteps } from "../../graph/states";
import type { EdgeCounts } from "../../graph/usual_path";
import { Loading, ProblemNotice } from "../../parts/notices";
import type { PageProps } from "../../shell/pages";
import { Banner } from "./banner";
import { compareRuns } from "./compared_runs";
import { ComparisonCard, useOtherRun } from "./comparison_card";
import { InterventionsCard } from "./interventions_card";
import { describeNeeds } from "./need";
import { RerunBanner, useRerunPreview } from "./rerun_preview";
import type { RerunTarget } from "./run_actions";
import { RunData } from "./run_data";
import { RunGraph } from "./run_graph";
import { RunHeading } from "./run_heading";
import { useRun } from "./run_store";
import { StepPanel } from "./step_panel";
import { StepTable } from "./step_table";

const NO_NODES: ReadonlyMap<string, JsonObject> = new Map();

/** The page. */
export function RunPage({ path }: PageProps) {
  const id = path[1] ?? "";
  const { run, error, stream, refresh } = useRun(id);
  if (!run) {
    if (error && !error.isUnreachable) return <ProblemNotice problem={error} onRetry={refresh} />;
    return <Loading what="the run" />;
  }
  return <RunView run={run} error={error} isLive={stream === "live"} refresh={refresh} />;
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
  run: Run;
  error: Problem | null;
  isLive: boolean;
  refresh: () => void;
}

function RunView({ run, error, isLive, refresh }: ViewProps) {
  const { graph, layout, nodes, counts } = useGraph(run);
  const [picks, setPicks] = useState<Picks>(new Map());
  const [preview, askForRerun] = useRerunPreview(run);
  const titles = useMemo(() => new Map(layout?.boxes.map(({ id, name }) => [id, name])), [layout]);
  const nameOf = (id: string | null | undefined) => titles.get(id ?? "") ?? readName(nodes, id) ?? id ?? "the run";
  const choice = chooseStep(run, layout, picks);
  const pick = (scope: string, index: number | null) => {
    const next = new Map(picks);
    if (index === null) next.delete(scope);
    else next.set(scope, index);
    setPicks(next);
    setParameters({ step: null });
  };
  const { other, problem: otherProblem } = useOtherRun(address.value.query.get("with") ?? "");
  const comparison = useMemo(() => (layout && other ? compareRuns(layout, run, other, picks) : null), [layout, run, other, picks]);
  const choose = ({ id, node_id }: Step) => setParameters({ step: id, node: node_id });
  return (
    <>
      <RunHeading run={run} isLive={isLive} />
      {error && !error.isUnreachable && <ProblemNotice problem={error} onRetry={refresh} />}
      {otherProblem && <ProblemNotice problem={otherProblem} />}
      {preview ? (
        <RerunBanner run={run} preview={preview} nameOf={nameOf} onClose={() => askForRerun(null)} />
      ) : (
        <Banner run={run} needs={describeNeeds(run, nameOf)} schemaOf={(wait) => findSchema(wait, nodes)}
          configOf={(wait) => (nodes.get(wait.node_id ?? "")?.config as JsonObject | undefined) ?? null}
          onRerun={() => askForRerun(chooseRestart(run))} onChanged={refresh} />
      )}
      <div class="run-columns">
        <div class="run-main">
          <RunGraph run={run} graph={graph} picks={picks} onPick={pick} plan={preview?.plan ?? null}
            compared={comparison?.states ?? null} counts={counts} selected={choice.node} nameOf={nameOf} />
          {other && comparison && (
            <ComparisonCard run={run} other={other} differences={comparison.differences} nameOf={nameOf}
              step={other.steps.findLast(({ node_id }) => node_id === choice.node) ?? null} />
          )}
          <RunData run={run} />
        </div>
        <aside class="run-side">
          {choice.node && (
            <StepPanel run={run} box={layout?.boxes.find(({ id }) => id === choice.node) ?? null} steps={choice.steps}
              step={choice.step} counts={counts} template={nodes.get(choice.node) ?? null} onChoose={(step) => setParameters({ step })}
              onRerun={askForRerun} onChanged={refresh} />
          )}
          <InterventionsCard run={run} nameOf={nameOf} />
          <StepTable run={run} nameOf={nameOf} selected={choice.step?.id ?? null} onChoose={choose} />
        </aside>
      </div>
    </>
  );
}

/** Return where a rerun begins: at the node that failed, else at the first step of the run. */
function chooseRestart(run: Run): RerunTarget {
  return run.failure?.node_id ? {} : { fromNode: run.steps.find(({ path }) => !path)?.node_id };
}

interface Choice {
  node: string | null;
  steps: Step[];
  step: Step | null;
}

/** Return the step that the address names, else the one that matters most now. */
function chooseStep(run: Run, layout: Layout | null, picks: Picks): Choice {
  const { query } = address.value;
  const wanted = query.get("step");
  const named = run.steps.find(({ id }) => id === wanted);
  const open = run.waiting_for.find(({ step_id }) => step_id)?.step_id;
  const urgent = run.steps.find(({ id }) => id === open) ?? run.steps.findLast(({ status }) => status === "failed");
  const node = named?.node_id ?? query.get("node") ?? urgent?.node_id ?? run.steps.at(-1)?.node_id ?? null;
  if (node === null) return { node, steps: [], step: null };
  const steps = layout ? (groupSteps(layout, run, picks).get(node) ?? []) : run.steps.filter(({ node_id }) => node_id === node);
  const step = named?.node_id === node ? named : (steps.find(({ status }) => status === "failed") ?? steps.at(-1) ?? null);
  return { node, steps, step };
}

function findSchema(wait: Wait, nodes: ReadonlyMap<string, JsonObject>): JsonObject | null {
  const schema = wait.schema ?? (nodes.get(wait.node_id ?? "")?.config as JsonObject | undefined)?.schema;
  return schema && typeof schema === "object" && !Array.isArray(schema) ? schema : null;
}
