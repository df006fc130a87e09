// What the page asks the API to do with a run.
import { post, send } from "../../data/api";
import type { Json } from "../../data/types";

export type Resolution = "retry" | "skip" | "fallback" | "abort" | "retry_from";

/** Where a rerun begins; without a node, where the run has stopped. */
export interface RerunTarget {
  fromNode?: string | undefined;
  /** The iteration or branch that the node is in. */
  path?: string | undefined;
  /** Whether only the failed items of a loop run again. */
  failedItems?: boolean;
}

export interface RerunPlan {
  from_node: string;
  /** IDs of the steps that run first. */
  begins_at: string[];
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

export interface SentEvent {
  name: string;
  /** Which of several waits for this name it is for. */
  key: string | null;
  payload: Json;
}

/** Send an event to a run, once for each idempotency key. */
export async function sendEvent(runId: string, { name, key, payload }: SentEvent, idempotencyKey: string): Promise<void> {
  const headers = { "Idempotency-Key": idempotencyKey };
  await send("POST", pathOf(runId, `events/${encodeURIComponent(name)}`), { query: { key }, body: payload, headers });
}

/** Resolve a step that waits for an operator. */
export function resolveStep(runId: string, stepId: string, action: Resolution, more: object = {}): Promise<unknown> {
  return post(pathOf(runId, "resolve"), { step_id: stepId, action, ...more });
}

/** Pause, resume, cancel or terminate a run. */
export function operate(runId: string, operation: "pause" | "resume" | "cancel" | "terminate", body?: object): Promise<unknown> {
  return post(pathOf(runId, operation), body);
}

/** Return what a rerun would reuse and run again. */
export function planRerun(runId: string, target: RerunTarget): Promise<RerunPlan> {
  return post(pathOf(runId, "rerun"), { ...describeTarget(target), dry_run: true });
}

function describeTarget({ fromNode, path, failedItems }: RerunTarget): object {
  return { ...(fromNode && { from_node: fromNode }), ...(path && { path }), ...(failedItems && { failed_items: true }) };
}

/** Start a rerun, once for each key, and return the ID of the new run. */
export async function startRerun(runId: string, key: string, target: RerunTarget): Promise<string> {
  return (await post<Started>(pathOf(runId, "rerun"), describeTarget(target), { "Idempotency-Key": key })).id;
}
