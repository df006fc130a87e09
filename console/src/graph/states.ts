// What each node of a run shows on the graph, from the steps that the run has recorded.
import type { Edge, Layout } from "../data/layout";
import type { NodeSummary, Run, Status, StepLine } from "../data/types";
import type { IconName } from "../parts/icon";
import { hasEnded, STATUSES, type Tone } from "../parts/status";
import { formatDuration, formatNumber } from "../parts/time";
import { summarizeDecision } from "./decisions";

export interface NodeState {
  tone: Tone | "none";
  icon: IconName | null;
  word: string;
  /** The line below the title; the layout's own where it is empty. */
  line: string;
}

/** `unusual` is taken by few runs; `first` and `second` by one of two runs that are compared. */
export type EdgeState = "taken" | "off" | "open" | "unusual" | "first" | "second";

export interface GraphStates {
  nodes: Map<string, NodeState>;
  edges: Map<Edge, EdgeState>;
  /** Words beside edges. */
  notes?: Map<Edge, string>;
}

/** Statuses from the one that a person wants to see first, where a node has run several times. */
const URGENCY: Status[] = ["failed", "retrying", "waiting", "pending", "running", "cancelled", "skipped", "completed"];
const TO_COME = { tone: "none", icon: null, word: "To come", line: "" } as const;
const NOT_TAKEN = { tone: "off", icon: null, word: "Not taken", line: "not taken" } as const;

/** Return the states of all nodes and edges. */
export function computeStates(layout: Layout, run: Run, summaries: NodeSummary[]): GraphStates {
  const groups = new Map(summaries.map((each) => [each.node_id, each]));
  const pending = hasEnded(run.status) ? new Set<string>() : findReachable(layout.edges, groups);
  const nodes = new Map<string, NodeState>();
  for (const { id, type } of layout.boxes) {
    const summary = groups.get(id);
    if (summary) nodes.set(id, describeSteps(summary, type));
    else if (id === "trigger" || type === "trigger") nodes.set(id, describeStart(run));
    else nodes.set(id, pending.has(id) ? TO_COME : NOT_TAKEN);
  }
  const isOff = (id: string) => nodes.get(id)?.tone === "off" && !groups.has(id);
  const edges = new Map<Edge, EdgeState>();
  for (const edge of layout.edges) edges.set(edge, isOff(edge.source) ? "off" : classifyEdge(edge, groups, run));
  return { nodes, edges };
}

/** Return the number of steps that a node has, of some statuses or of all. */
export function countSteps({ statuses }: NodeSummary, isCounted: (status: Status) => boolean = () => true): number {
  return Object.entries(statuses).reduce((total, [status, number]) => (isCounted(status as Status) ? total + number : total), 0);
}

/** Return whether a node has steps that have not ended. */
export function isOpen(summary: NodeSummary): boolean {
  return countSteps(summary, (status) => !hasEnded(status)) > 0;
}

function describeStart(run: Run): NodeState {
  return { tone: "ok", icon: "completed", word: "Started", line: `${run.trigger_type} start` };
}

/** Return the nodes that the run may still come to: what lies behind its open steps. */
function findReachable(edges: Edge[], groups: Map<string, NodeSummary>): Set<string> {
  const next = new Map<string, string[]>();
  for (const { source, target } of edges) next.set(source, [...(next.get(source) ?? []), target]);
  let front = [...groups.values()].filter(isOpen).map(({ node_id }) => node_id);
  if (front.length === 0) front = ["trigger", ...groups.keys()];
  const reached = new Set<string>();
  while (front.length > 0) {
    const targets = front.flatMap((id) => next.get(id) ?? []).filter((id) => !reached.has(id));
    for (const id of targets) reached.add(id);
    front = [...new Set(targets)];
  }
  return reached;
}

function describeSteps(summary: NodeSummary, type: string): NodeState {
  const { word, tone, icon } = STATUSES[summary.first.status];
  const total = countSteps(summary);
  const line = total > 1 ? describeMany(summary, total) : describeOne(summary.first, type);
  return { tone, icon, word, line };
}

function describeMany({ statuses }: NodeSummary, total: number): string {
  const others = URGENCY.filter((each) => each !== "completed" && statuses[each]);
  const parts = others.map((each) => `${formatNumber(statuses[each] ?? 0)} ${STATUSES[each].word.toLowerCase()}`);
  return [`${formatNumber(total)} ×`, ...parts].join(" · ");
}

function describeOne(step: StepLine, type: string): string {
  const decided = summarizeDecision(step.decision);
  if (decided) return decided;
  if (type === "loop") return describeLoop(step);
  const attempts = step.retry_count > 0 ? `attempt ${step.retry_count + 1}` : "";
  const error = step.error_type && step.status !== "completed" ? step.error_type.replaceAll("_", " ") : "";
  const took = hasEnded(step.status) && step.duration_ms ? formatDuration(step.duration_ms) : "";
  const word = STATUSES[step.status].word;
  return [step.status === "completed" && took ? "" : word, error, attempts, took].filter(Boolean).join(" · ");
}

function describeLoop({ items, status }: StepLine): string {
  if (!items) return STATUSES[status].word;
  const failed = items.failed ? `, ${formatNumber(items.failed)} failed` : "";
  return `${formatNumber(items.succeeded ?? items.count)} of ${formatNumber(items.count)}${failed}`;
}

function classifyEdge(edge: Edge, groups: Map<string, NodeSummary>, run: Run): EdgeState {
  const source = groups.get(edge.source);
  const isReached = groups.has(edge.target);
  const unknown = hasEnded(run.status) ? "off" : "open";
  if (edge.source === "trigger") return isReached ? "taken" : unknown;
  if (!source) return unknown;
  if (edge.kind === "entry") return isReached ? "taken" : "open";
  const isTaken = edge.kind === "onward" ? countSteps(source, hasEnded) > 0 : leavesBy(source, edge.port);
  if (edge.kind === "exit") return isTaken ? "taken" : "open";
  if (isTaken) return isReached ? "taken" : unknown;
  return isOpen(source) ? "open" : "off";
}

function leavesBy({ ports }: NodeSummary, port: string): boolean {
  return Boolean(ports[port]) || (Boolean(ports.next) && port !== "error" && port !== "timeout");
}
