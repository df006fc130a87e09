// The one sentence on top of a run: what it does or waits for, since when, and what it needs.
import type { NodeSummary, Overview, Run, Status, Wait } from "../../data/types";
import { isOpen } from "../../graph/states";
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
export function describeNeeds({ run, nodes }: Overview, nameOf: NameOf): Need[] {
  const waits = run.completed_at ? [] : run.waiting_for;
  if (waits.length > 0) return groupWaits(waits).map((group) => describeGroup(group, nameOf));
  return [describeState(run, nodes.filter(isOpen), nameOf)];
}

/** Return the waits, with those together that the same event may end: branches of a parallel, other nodes, get copies. */
function groupWaits(waits: Wait[]): Wait[][] {
  const groups = new Map<string, Wait[]>();
  for (const [index, wait] of waits.entries()) {
    const isAlike = wait.kind === "event" && typeof wait.key !== "string";
    const name = isAlike ? JSON.stringify([wait.node_id, wait.event]) : String(index);
    groups.set(name, [...(groups.get(name) ?? []), wait]);
  }
  // A pause holds whatever else it waits for.
  return [...groups.values()].sort(([a], [b]) => Number(b?.kind === "paused") - Number(a?.kind === "paused"));
}

function describeGroup(waits: Wait[], nameOf: NameOf): Need {
  const [first, ...others] = waits as [Wait, ...Wait[]];
  const need = describeWait(first, nameOf);
  if (others.length === 0) return need;
  const headline = `${waits.length} items wait for ${listEvents(first)}; the first takes it`;
  return { ...need, headline, detail: nameOf(first.node_id) };
}

function describeWait(wait: Wait, nameOf: NameOf): Need {
  const name = nameOf(wait.node_id);
  const need: Need = { ...NOTHING, tone: "wait", headline: "", since: typeof wait.since === "string" ? wait.since : null, wait };
  if (typeof wait.until === "string") need.until = wait.until;
  const message = typeof wait.message === "string" ? wait.message : "";
  switch (wait.kind) {
    case "operator":
      return { ...need, tone: "bad", headline: `“${name}”${describePath(wait)} failed and waits for your decision`, detail: message };
    case "event":
      return { ...need, headline: `“${name}”${describePath(wait)} waits for the event ${listEvents(wait)}${describeKey(wait)}` };
    case "approval":
      return { ...need, headline: `“${name}”${describePath(wait)} ${describeApproval(wait)}`, detail: listAssignees(wait) };
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

/** Return the path of a step that is in a loop, a branch or an attempt of its own. */
function describePath({ step_id = "" }: Wait): string {
  const path = step_id.slice(0, Math.max(step_id.lastIndexOf("/"), 0));
  return path ? ` (${path})` : "";
}

function describeApproval(wait: Wait): string {
  const { title } = readApproval(wait);
  return title ? `asks: ${title}` : "waits for a decision";
}

function listAssignees(wait: Wait): string {
  const { assignees = [] } = readApproval(wait);
  return assignees.length > 0 ? `Asked: ${assignees.join(", ")}` : "";
}

/** Return who is asked what by an approval. */
export function readApproval({ approval }: Wait): { title?: string; assignees?: string[] } {
  return approval && typeof approval === "object" && !Array.isArray(approval) ? approval : {};
}

function describeKey({ key }: Wait): string {
  return typeof key === "string" ? ` with the key “${key}”` : "";
}

function listEvents({ event }: Wait): string {
  return (Array.isArray(event) ? event : [event]).map((each) => `“${String(each)}”`).join(" or ");
}

function describeState(run: Run, open: NodeSummary[], nameOf: NameOf): Need {
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
      since: open.at(-1)?.first.started_at ?? run.started_at,
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
  return names.length > 3 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
}
