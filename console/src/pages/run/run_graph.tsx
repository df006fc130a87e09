// The graph of a run: its states, the plan of a rerun, or what differs from another run.
import { useMemo } from "preact/hooks";
import { linkTo, setParameters } from "../../data/address";
import type { Overview } from "../../data/types";
import { FoldButton, type FoldedGraph } from "../../graph/folding";
import { Graph } from "../../graph/graph";
import type { Picks } from "../../graph/picks";
import { computeStates, type GraphStates } from "../../graph/states";
import { type EdgeCounts, findDeviations, markShares } from "../../graph/usual_path";
import { Loading } from "../../parts/notices";
import { Pill } from "../../parts/status";
import { formatNumber } from "../../parts/time";
import { CompareButton } from "./comparison";
import { IterationPickers } from "./pickers";

interface Props {
  overview: Overview;
  graph: FoldedGraph;
  picks: Picks;
  /** States that a rerun would give. */
  planned: GraphStates | null;
  /** States of a comparison with another run. */
  compared: GraphStates | null;
  /** What the last runs took, where that is known. */
  counts: EdgeCounts | null;
  selected: string | null;
  onPick: (loop: string, index: number | null) => void;
  nameOf: (nodeId: string) => string;
}

/** The card. */
export function RunGraph({ overview, graph, picks, planned, compared, counts, selected, onPick, nameOf }: Props) {
  const { layout, error } = graph;
  const { run, steps_stored: stored, nodes, passes } = overview;
  const own = useMemo(() => (layout ? computeStates(layout, run, nodes) : undefined), [layout, overview]);
  const states = useMemo(() => {
    if (!layout || !own) return undefined;
    return planned ?? compared ?? (counts ? markShares(layout, own, counts) : own);
  }, [layout, own, planned, compared, counts]);
  const deviations = layout && own && counts && !planned && !compared ? findDeviations(layout, own, counts) : [];
  return (
    <section class="card" aria-label="Graph">
      <h2 class="card-title">
        Graph
        {own && !planned && !compared && <Legend states={[...own.nodes.values()].map(({ word }) => word)} />}
        {run.steps_total > stored && !planned && !compared && (
          <span class="muted">from the newest {formatNumber(stored)} steps</span>
        )}
        {compared && <Pill tone="wait" icon="warning" text="what differs from the other run" />}
        {deviations.map(({ source, port }) => (
          <button key={`${source} ${port}`} type="button" class="link" onClick={() => setParameters({ node: source, step: null })}>
            left the usual path at “{nameOf(source)}”
          </button>
        ))}
        <span class="card-tools">
          {layout && <IterationPickers layout={layout} passes={passes} nodes={nodes} picks={picks} onPick={onPick} />}
          <FoldButton layout={layout} opened={graph.opened} selected={selected} />
          <CompareButton run={run} />
        </span>
      </h2>
      {layout ? (
        <Graph layout={layout} states={states} label={`Graph of run ${run.id}`} selected={selected}
          onSelect={(node) => setParameters({ node, step: null })} />
      ) : error ? (
        <p class="muted none">
          The graph cannot be drawn: {error.message} <a href={linkTo(["workflows", run.workflow_id])}>Open the workflow</a>
        </p>
      ) : (
        <Loading what="the graph" />
      )}
    </section>
  );
}

function Legend({ states }: { states: string[] }) {
  const count = (...words: string[]) => states.filter((word) => words.includes(word)).length;
  const groups = [
    { tone: "ok", icon: "completed", text: "done", number: count("Completed", "Started") },
    { tone: "run", icon: "running", text: "running", number: count("Running", "Retrying") },
    { tone: "wait", icon: "waiting", text: "waiting", number: count("Waiting", "Pending") },
    { tone: "bad", icon: "failed", text: "failed", number: count("Failed") },
    { tone: "off", icon: "skipped", text: "not taken", number: count("Not taken", "Skipped", "Cancelled") },
  ] as const;
  return (
    <>
      {groups
        .filter(({ number }) => number > 0)
        .map(({ tone, icon, text, number }) => (
          <Pill key={text} tone={tone} icon={icon} text={`${number} ${text}`} />
        ))}
    </>
  );
}
