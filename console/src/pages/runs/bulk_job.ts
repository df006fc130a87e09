// One operation on many runs: a job of the server, which keeps going while nobody looks.
import { get, post } from "../../data/api";
import type { Page, RunSummary, Status } from "../../data/types";
import { buildQuery, type Filters } from "./run_query";

export type Operation = "rerun" | "resume" | "pause" | "cancel";

/** What `POST /bulk` selects runs by. */
export type Selection = Record<string, string | string[] | boolean>;

export interface BulkJob {
  id: string;
  operation: Operation;
  state: "running" | "completed" | "stopped";
  total: number;
  processed: number;
  outcomes: Record<string, number>;
  reruns: Record<string, number>;
}

export interface BulkItem {
  run_id: string;
  outcome: "done" | "refused" | "failed";
  message: string | null;
}

interface Words {
  verb: string;
  done: string;
  /** What happens to each run. */
  effect: string;
  /** Whether it can be done with a run, as far as the list knows. */
  applies: (run: RunSummary) => boolean;
  /** Selects those runs. */
  selection: Selection;
}

const OPEN: Status[] = ["pending", "running", "waiting", "retrying"];
const ENDED_BADLY: Status[] = ["failed", "cancelled"];

export const OPERATIONS: Record<Operation, Words> = {
  rerun: {
    verb: "Rerun",
    done: "rerun",
    effect: "starts again, from the node that failed, with what was done before it",
    applies: ({ status }) => ENDED_BADLY.includes(status),
    selection: { status: ENDED_BADLY, rerun: false },
  },
  resume: {
    verb: "Resume",
    done: "resumed",
    effect: "continues, if it is paused", // of a run that also waits for something else, the list does not know it
    applies: ({ status }) => OPEN.includes(status),
    selection: { status: OPEN },
  },
  pause: {
    verb: "Pause",
    done: "paused",
    effect: "pauses before its next node",
    applies: ({ status }) => OPEN.includes(status),
    selection: { status: OPEN },
  },
  cancel: {
    verb: "Cancel",
    done: "cancelled",
    effect: "is cancelled: its open steps end, then what was done is compensated",
    applies: ({ status }) => OPEN.includes(status),
    selection: { status: OPEN },
  },
};

/** Return the selection of all runs that a list with these filters shows; `null` where only the list can select them. */
export function selectFiltered(filters: Filters): Selection | null {
  if (filters.id) return null;
  const { status, key, id_prefix: _, ...others } = buildQuery(filters);
  const selection: Selection = {};
  for (const [name, value] of Object.entries(others)) if (value) selection[name] = String(value);
  if (status) selection.status = [String(status)];
  if (key) selection.key = [String(key)];
  return selection;
}

/** Return those runs of a selection that an operation can be done with; `null` where there are none. */
export function narrow(selection: Selection, operation: Operation): Selection | null {
  if (selection.ids) return selection;
  const own = OPERATIONS[operation].selection;
  const wanted = selection.status as Status[] | undefined;
  const status = (own.status as Status[]).filter((each) => wanted === undefined || wanted.includes(each));
  return status.length > 0 ? { ...selection, ...own, status } : null;
}

/** Return how many runs a job would take. */
export async function countSelected(operation: Operation, selection: Selection): Promise<number> {
  return (await post<{ total: number }>("bulk", { operation, filter: selection, dry_run: true })).total;
}

/** Start a job. */
export function startJob(operation: Operation, selection: Selection, reason: string): Promise<BulkJob> {
  return post("bulk", { operation, filter: selection, ...(operation === "cancel" && { reason }) });
}

/** Read a job. */
export function readJob(id: string, signal: AbortSignal): Promise<BulkJob> {
  return get(`bulk/${encodeURIComponent(id)}`, {}, signal);
}

/** Stop a job after the runs that are under way. */
export function stopJob(id: string): Promise<unknown> {
  return post(`bulk/${encodeURIComponent(id)}/stop`);
}

/** List the first runs with an outcome. */
export async function listOutcome(id: string, outcome: "refused" | "failed", limit: number): Promise<BulkItem[]> {
  return (await get<Page<BulkItem>>(`bulk/${encodeURIComponent(id)}/items`, { outcome, limit })).items;
}
