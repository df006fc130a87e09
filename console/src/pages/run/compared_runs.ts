// Two runs on one graph: what each node and edge was in the one and in the other.
import type { Edge, Layout } from "../../data/layout";
import type { NodeSummary, Overview } from "../../data/types";
import { computeStates, countSteps, type EdgeState, type GraphStates, type NodeState } from "../../graph/states";

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
export function compareRuns(layout: Layout, first: Overview, second: Overview): ComparedRuns {
  const one = computeStates(layout, first.run, first.nodes);
  const other = computeStates(layout, second.run, second.nodes);
  const firstNodes = new Map(first.nodes.map((each) => [each.node_id, each]));
  const secondNodes = new Map(second.nodes.map((each) => [each.node_id, each]));
  const nodes = new Map<string, NodeState>();
  const differences: Difference[] = [];
  for (const { id, folded } of layout.boxes) {
    const [a, b] = [one.nodes.get(id), other.nodes.get(id)];
    if (!a || !b) continue;
    const differsInside = folded.some((each) => haveDifferentSteps(firstNodes.get(each), secondNodes.get(each)));
    const own = describeDifference(a, b, firstNodes.get(id), secondNodes.get(id));
    const words = own ?? (differsInside ? [a.word.toLowerCase(), "differs inside"] : null);
    if (words) differences.push({ nodeId: id, first: words[0], second: words[1] });
    nodes.set(id, words ? { ...a, tone: "wait", icon: "warning", word: `Differs: ${words.join(" – ")}`, line: words.join(" – ") } : a);
  }
  const edges = new Map<Edge, EdgeState>();
  for (const edge of layout.edges) edges.set(edge, mergeEdges(one.edges.get(edge), other.edges.get(edge)));
  const known = new Set(layout.boxes.flatMap(({ id, folded }) => [id, ...folded]));
  for (const nodeId of secondNodes.keys()) if (!known.has(nodeId)) differences.push({ nodeId, first: NOT_IN_GRAPH, second: "ran" });
  return { states: { nodes, edges }, differences };
}

function mergeEdges(a: EdgeState | undefined, b: EdgeState | undefined): EdgeState {
  if (a === "taken") return b === "taken" ? "taken" : "first";
  return b === "taken" ? "second" : "off";
}

/** Return what a node was in each run; `null` where that is the same. */
function describeDifference(a: NodeState, b: NodeState, one?: NodeSummary, other?: NodeSummary): [string, string] | null {
  if (a.word !== b.word || count(one) !== count(other)) return [describeState(a, one), describeState(b, other)];
  if (JSON.stringify(one?.first.decision ?? null) !== JSON.stringify(other?.first.decision ?? null)) return [a.line || a.word, b.line || b.word];
  return one?.result === other?.result ? null : [`${a.word.toLowerCase()}, one result`, "another"];
}

function describeState({ word }: NodeState, summary?: NodeSummary): string {
  return count(summary) > 1 ? `${word.toLowerCase()}, ${count(summary)} ×` : word.toLowerCase();
}

function haveDifferentSteps(one?: NodeSummary, other?: NodeSummary): boolean {
  return count(one) !== count(other) || one?.result !== other?.result;
}

function count(summary?: NodeSummary): number {
  return summary ? countSteps(summary) : 0;
}
