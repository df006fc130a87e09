// Two runs on one graph: what each node and edge was in the one and in the other.
import type { Edge, Layout } from "../../data/layout";
import type { Json, Run, Step } from "../../data/types";
import type { Picks } from "../../graph/paths";
import { computeStates, type EdgeState, type GraphStates, type NodeState } from "../../graph/states";

export interface Difference {
  nodeId: string;
  /** What the node was in each run, in words. */
  first: string;
  second: string;
}

export interface ComparedRuns {
  states: GraphStates;
  differences: Difference[];
}

const NOT_IN_GRAPH = "not in this graph";

/** Compare two runs on the graph of the first one. */
export function compareRuns(layout: Layout, first: Run, second: Run, picks: Picks): ComparedRuns {
  const one = computeStates(layout, first, picks);
  const other = computeStates(layout, second, picks);
  const nodes = new Map<string, NodeState>();
  const differences: Difference[] = [];
  for (const { id } of layout.boxes) {
    const [a, b] = [one.nodes.get(id), other.nodes.get(id)];
    if (!a || !b) continue;
    const words = describeDifference(a, b);
    if (words) differences.push({ nodeId: id, first: words[0], second: words[1] });
    nodes.set(id, words ? { ...a, tone: "wait", icon: "warning", word: `Differs: ${words.join(" – ")}`, line: words.join(" – ") } : a);
  }
  const edges = new Map<Edge, EdgeState>();
  for (const edge of layout.edges) edges.set(edge, mergeEdges(one.edges.get(edge), other.edges.get(edge)));
  const known = new Set(layout.boxes.map(({ id }) => id));
  const foreign = new Set(second.steps.map(({ node_id }) => node_id).filter((id) => !known.has(id)));
  for (const nodeId of foreign) differences.push({ nodeId, first: NOT_IN_GRAPH, second: "ran" });
  return { states: { nodes, edges }, differences };
}

function mergeEdges(a: EdgeState | undefined, b: EdgeState | undefined): EdgeState {
  if (a === "taken") return b === "taken" ? "taken" : "first";
  return b === "taken" ? "second" : "off";
}

/** Return what a node was in each run; `null` where that is the same. */
function describeDifference(a: NodeState, b: NodeState): [string, string] | null {
  const [one, other] = [a.steps.at(-1), b.steps.at(-1)];
  if (a.word !== b.word || a.steps.length !== b.steps.length) return [describeState(a), describeState(b)];
  if (differ(one?.decision, other?.decision)) return [a.line || a.word, b.line || b.word];
  return differ(readResult(one), readResult(other)) ? [`${a.word.toLowerCase()}, one result`, "another"] : null;
}

function describeState({ word, steps }: NodeState): string {
  return steps.length > 1 ? `${word.toLowerCase()}, ${steps.length} ×` : word.toLowerCase();
}

function readResult(step: Step | undefined): Json {
  return step ? [step.output_data, step.error?.error_type ?? null] : null;
}

function differ(a: Json | undefined, b: Json | undefined): boolean {
  return JSON.stringify(a ?? null) !== JSON.stringify(b ?? null);
}
