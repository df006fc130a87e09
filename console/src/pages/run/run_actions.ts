// What the page asks the API to do with a run.
import { post } from "../../data/api";
import type { Json } from "../../data/types";

export type Resolution = "retry" | "skip" | "fallback" | "abort" | "retry_from";

export interface RerunPlan {
  from_node: string;
  version: number;
  reused: string[];
  again: string[];
}

interface Started {
  id: string;
}

function pathOf(runId: string, operation: string): string {
  return `runs/${encodeURIComponent(runId)}/${operation}`;
}

/** Send an event to a run; the key keeps a second click from sending it twice. */
export function sendEvent(runId: string, name: string, payload: Json): Promise<unknown> {
  return post(pathOf(runId, `events/${encodeURIComponent(name)}`), payload);
}

/** Resolve a step that waits for an operator. */
export function resolveStep(runId: string, nodeId: string, action: Resolution, more: object = {}): Promise<unknown> {
  return post(pathOf(runId, "resolve"), { node_id: nodeId, action, ...more });
}

/** Pause, resume, cancel or terminate a run. */
export function operate(runId: string, operation: "pause" | "resume" | "cancel" | "terminate", body?: object): Promise<unknown> {
  return post(pathOf(runId, operation), body);
}

/** Return what a rerun would reuse and run again. */
export function planRerun(runId: string, fromNode?: string): Promise<RerunPlan> {
  return post(pathOf(runId, "rerun"), { ...(fromNode && { from_node: fromNode }), dry_run: true });
}

/** Start a rerun, once for each key, and return the ID of the new run. */
export async function startRerun(runId: string, key: string, fromNode?: string): Promise<string> {
  const body = fromNode ? { from_node: fromNode } : {};
  return (await post<Started>(pathOf(runId, "rerun"), body, { "Idempotency-Key": key })).id;
}

/** Return a key under which a start happens once. */
export function makeKey(): string {
  return `console-${crypto.randomUUID()}`;
}
