// What each node of a run shows on the graph, from the steps that the run has recorded.
import type { Edge, Layout } from "../data/layout";
import type { JsonObject, Run, Status, Step } from "../data/types";
import type { IconName } from "../parts/icon";
import { hasEnded, STATUSES, type Tone } from "../parts/status";
import { formatDuration, formatNumber } from "../parts/time";
import { portOf, summarizeDecision } from "./decisions";
import { isPicked, locate, type Picks } from "./paths";

export interface NodeState {
  tone: Tone | "none";
  icon: IconName | null;
  word: string;
  /** The line below the title; the layout's own where it is empty. */
  line: string;
  steps: Step[];
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
/** Decisions whether a node runs or a loop ends, not where to go on. */
const NO_PORTS = ["when", "skipped", "break"];
const TO_COME = { tone: "none", icon: null, word: "To come", line: "", steps: [] } as const;
const NOT_TAKEN = { tone: "off", icon: null, word: "Not taken", line: "not taken", steps: [] } as const;

/** Return the steps of the chosen iterations, by node. */
export function groupSteps(layout: Layout, run: Run, picks: Picks): Map<string, Step[]> {
  const loops = new Set(layout.boxes.filter(({ type }) => type === "loop").map(({ id }) => id));
  const groups = new Map<string, Step[]>();
  for (const step of run.steps) {
    if (!isPicked(locate(step.path, (id) => loops.has(id)), picks)) continue;
    const group = groups.get(step.node_id);
    if (group) group.push(step);
    else groups.set(step.node_id, [step]);
  }
  return groups;
}

/** Return the states of all nodes and edges. */
export function computeStates(layout: Layout, run: Run, picks: Picks): GraphStates {
  const groups = groupSteps(layout, run, picks);
  const pending = hasEnded(run.status) ? new Set<string>() : findReachable(layout.edges, groups);
  const nodes = new Map<string, NodeState>();
  for (const { id, type } of layout.boxes) {
    const steps = groups.get(id);
    if (steps) nodes.set(id, describeSteps(steps, type));
    else if (id === "trigger" || type === "trigger") nodes.set(id, describeStart(run));
    else nodes.set(id, pending.has(id) ? { ...TO_COME, steps: [] } : { ...NOT_TAKEN, steps: [] });
  }
  const isOff = (id: string) => nodes.get(id)?.tone === "off" && !groups.has(id);
  const edges = new Map<Edge, EdgeState>();
  for (const edge of layout.edges) edges.set(edge, isOff(edge.source) ? "off" : classifyEdge(edge, groups, run));
  return { nodes, edges };
}

function describeStart(run: Run): NodeState {
  return { tone: "ok", icon: "completed", word: "Started", line: `${run.trigger_type} start`, steps: [] };
}

/** Return the nodes that the run may still come to: what lies behind its open steps. */
function findReachable(edges: Edge[], groups: Map<string, Step[]>): Set<string> {
  const next = new Map<string, string[]>();
  for (const { source, target } of edges) next.set(source, [...(next.get(source) ?? []), target]);
  const isOpen = (steps: Step[]) => steps.some(({ status }) => !hasEnded(status));
  let front = [...groups].filter(([, steps]) => isOpen(steps)).map(([id]) => id);
  if (front.length === 0) front = ["trigger", ...groups.keys()];
  const reached = new Set<string>();
  while (front.length > 0) {
    const targets = front.flatMap((id) => next.get(id) ?? []).filter((id) => !reached.has(id));
    for (const id of targets) reached.add(id);
    front = [...new Set(targets)];
  }
  return reached;
}

function describeSteps(steps: Step[], type: string): NodeState {
  const byStatus = new Map<Status, number>();
  for (const { status } of steps) byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
  const last = steps[steps.length - 1] as Step;
  const status = steps.length > 1 ? (URGENCY.find((each) => byStatus.has(each)) ?? last.status) : last.status;
  const { word, tone, icon } = STATUSES[status];
  const shown = steps.length > 1 ? describeMany(byStatus, steps.length) : describeOne(last, type);
  return { tone, icon, word, line: shown, steps };
}

function describeMany(byStatus: Map<Status, number>, total: number): string {
  const others = URGENCY.filter((each) => each !== "completed" && byStatus.has(each));
  const parts = others.map((each) => `${formatNumber(byStatus.get(each) ?? 0)} ${STATUSES[each].word.toLowerCase()}`);
  return [`${formatNumber(total)} ×`, ...parts].join(" · ");
}

function describeOne(step: Step, type: string): string {
  const decided = summarizeDecision(step.decision);
  if (decided) return decided;
  if (type === "loop") return describeLoop(step);
  const attempts = step.retry_count > 0 ? `attempt ${step.retry_count + 1}` : "";
  const error = step.error && step.status !== "completed" ? step.error.error_type.replaceAll("_", " ") : "";
  const took = hasEnded(step.status) && step.duration_ms ? formatDuration(step.duration_ms) : "";
  const word = STATUSES[step.status].word;
  return [step.status === "completed" && took ? "" : word, error, attempts, took].filter(Boolean).join(" · ");
}

function describeLoop(step: Step): string {
  const output = (step.output_data ?? {}) as JsonObject;
  if (typeof output.count !== "number") return STATUSES[step.status].word;
  const failed = Number(output.failed) > 0 ? `, ${formatNumber(Number(output.failed))} failed` : "";
  return `${formatNumber(Number(output.succeeded ?? output.count))} of ${formatNumber(output.count)}${failed}`;
}

function classifyEdge(edge: Edge, groups: Map<string, Step[]>, run: Run): EdgeState {
  const sources = groups.get(edge.source) ?? [];
  const isReached = groups.has(edge.target);
  if (edge.source === "trigger") return isReached ? "taken" : hasEnded(run.status) ? "off" : "open";
  if (sources.length === 0) return hasEnded(run.status) ? "off" : "open";
  if (edge.kind === "entry") return isReached ? "taken" : "open";
  const ended = sources.filter(({ status }) => hasEnded(status));
  const isTaken = ended.some((step) => edge.kind === "onward" || leavesBy(step, edge.port));
  if (edge.kind === "exit") return isTaken ? "taken" : "open";
  if (isTaken) return isReached ? "taken" : hasEnded(run.status) ? "off" : "open";
  return ended.length === sources.length ? "off" : "open";
}

function leavesBy(step: Step, port: string): boolean {
  const decided = portOf(step.decision);
  if (decided !== null && !NO_PORTS.includes(decided)) return decided === port;
  const output = (step.output_data ?? {}) as JsonObject;
  if (output.timed_out === true) return port === "timeout";
  if (step.error && step.status === "failed") return port === "error";
  return port !== "error" && port !== "timeout" && step.status !== "cancelled";
}
