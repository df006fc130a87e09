// The steps of a simulated run by node, as the API sums up those of a recorded one.
import type { JsonObject, NodeSummary, Run, Step, StepLine } from "../../data/types";
import { portOf } from "../../graph/decisions";

export interface SimulatedRun extends Run {
  steps: Step[];
}

/** Decisions whether a node runs or a loop ends, not where to continue. */
const NO_PORTS = ["when", "skipped", "break"];

/** Return the steps by node. */
export function summarizeSteps(steps: Step[]): NodeSummary[] {
  const nodes = new Map<string, NodeSummary>();
  for (const step of steps) {
    const { node_id, status } = step;
    const summary = nodes.get(node_id) ?? { node_id, statuses: {}, ports: {}, first: toLine(step), result: "" };
    summary.statuses[status] = (summary.statuses[status] ?? 0) + 1;
    const port = findPort(step);
    if (port) summary.ports[port] = (summary.ports[port] ?? 0) + 1;
    if (status === "failed") summary.first = toLine(step);
    nodes.set(node_id, summary);
  }
  return [...nodes.values()];
}

function toLine(step: Step): StepLine {
  const { count, succeeded, failed } = (step.output_data ?? {}) as { count?: number; succeeded?: number; failed?: number };
  const items = typeof count === "number" ? { count, succeeded: succeeded ?? count, failed: failed ?? 0 } : null;
  return { ...step, error: step.error?.message ?? null, error_type: step.error?.error_type ?? null, items };
}

function findPort({ status, completed_at, decision, output_data }: Step): string | null {
  if (!completed_at || status === "cancelled") return null;
  const port = portOf(decision);
  if (port && !NO_PORTS.includes(port)) return port;
  if (((output_data ?? {}) as JsonObject).timed_out === true) return "timeout";
  return status === "failed" ? "error" : "next";
}
