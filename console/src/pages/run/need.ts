// The one sentence on top of a run: what it does or waits for, since when, and what it needs.
import type { Run, Status, Wait } from "../../data/types";
import type { Tone } from "../../parts/status";
import { formatDuration } from "../../parts/time";

export interface Need {
  tone: Tone;
  headline: string;
  /** Why, or what comes next. */
  detail: string;
  since: string | null;
  until: string | null;
  wait: Wait | null;
}

type NameOf = (nodeId: string | null | undefined) => string;

const NOTHING = { detail: "", since: null, until: null, wait: null };

/** Return what a run needs: one entry for each open wait, else one for its state. */
export function describeNeeds(run: Run, nameOf: NameOf): Need[] {
  const waits = run.completed_at ? [] : run.waiting_for;
  if (waits.length > 0) return waits.map((wait) => describeWait(wait, run, nameOf));
  return [describeState(run, nameOf)];
}

function describeWait(wait: Wait, run: Run, nameOf: NameOf): Need {
  const step = run.steps.find(({ id }) => id === wait.step_id);
  const name = nameOf(wait.node_id);
  const need: Need = { ...NOTHING, tone: "wait", headline: "", since: step?.started_at ?? null, wait };
  if (typeof wait.until === "string") need.until = wait.until;
  const message = typeof wait.message === "string" ? wait.message : "";
  switch (wait.kind) {
    case "operator":
      return { ...need, tone: "bad", headline: `“${name}” failed and waits for your decision`, detail: message };
    case "event":
      return { ...need, headline: `“${name}” waits for the event ${listEvents(wait)}` };
    case "retry":
      return {
        ...need,
        tone: "run",
        headline: `“${name}” is being retried: attempt ${String(wait.attempt)}`,
        detail: message,
      };
    case "delay":
      return { ...need, headline: `“${name}” waits` };
    case "paused":
      return { ...need, headline: "Paused", detail: "The nodes that are running finish; the next ones wait." };
    case "branch":
      return { ...need, headline: `“${name}” waits for its branches`, detail: message };
    default:
      return { ...need, headline: message || `Waits: ${String(wait.kind)}` };
  }
}

function listEvents({ event }: Wait): string {
  return (Array.isArray(event) ? event : [event]).map((each) => `“${String(each)}”`).join(" or ");
}

function describeState(run: Run, nameOf: NameOf): Need {
  const open = run.steps.filter(({ completed_at }) => !completed_at);
  const names = open.map(({ node_id }) => `“${nameOf(node_id)}”`);
  const took = run.duration_ms === null ? "" : ` in ${formatDuration(run.duration_ms)}`;
  const by = run.cancelled_by ? ` by ${run.cancelled_by}` : "";
  const where = run.failure?.node_id ? ` at “${nameOf(run.failure.node_id)}”` : "";
  const states: Record<Status, Need> = {
    pending: { ...NOTHING, tone: "wait", headline: "No worker has taken this run yet", since: run.started_at },
    running: {
      ...NOTHING,
      tone: "run",
      headline: names.length > 0 ? `Runs ${summarizeNames(names)}` : "Running",
      since: open.at(-1)?.started_at ?? run.started_at,
    },
    waiting: { ...NOTHING, tone: "wait", headline: "Waiting" },
    retrying: { ...NOTHING, tone: "run", headline: "Retrying" },
    completed: { ...NOTHING, tone: "ok", headline: `Completed${took}` },
    failed: { ...NOTHING, tone: "bad", headline: `Failed${where}${took}`, detail: run.error ?? "" },
    cancelled: { ...NOTHING, tone: "off", headline: `Cancelled${by}`, detail: run.cancel_reason ?? "" },
    skipped: { ...NOTHING, tone: "off", headline: "Skipped" },
  };
  return states[run.status];
}

function summarizeNames(names: string[]): string {
  const distinct = [...new Set(names)];
  return distinct.length > 3 ? `${distinct.slice(0, 3).join(", ")} and ${distinct.length - 3} more` : distinct.join(", ");
}
