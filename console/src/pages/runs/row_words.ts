// What a run does, waits for, or why it failed, in the words of a row.
import type { RunSummary, Wait } from "../../data/types";
import { formatMoment } from "../../parts/time";

/** Names of the reasons for which runs wait, the ones that need a person first. */
export const REASONS: Record<string, string> = {
  approval: "Waits for a decision",
  event: "Waits for an event",
  operator: "Paused on an error",
  no_worker: "No worker",
  delay: "Delay",
  paused: "Paused",
  child: "Waits for a called run",
};

/** Return the words; empty where the list does not know. */
export function describeRow(run: RunSummary): string {
  if (run.status === "cancelled") {
    return [run.cancelled_by && `by ${run.cancelled_by}`, run.cancel_reason].filter(Boolean).join(": ");
  }
  const wait = run.waiting_for?.[0];
  const words = run.error || (wait ? describeWait(wait) : (REASONS[run.reason ?? ""] ?? ""));
  return [run.node_id, words].filter(Boolean).join(": ");
}

function describeWait(wait: Wait): string {
  const until = typeof wait.until === "string" ? ` until ${formatMoment(wait.until)}` : "";
  if (wait.kind === "event") return `waits for ${[wait.event].flat().map(String).join(" or ")}${until}`;
  if (wait.kind === "approval") return `waits for a decision: ${String((wait.approval as { title?: string })?.title ?? "")}`;
  if (wait.kind === "delay") return `waits${until}`;
  if (wait.kind === "paused") return "paused";
  if (wait.kind === "operator") return `failed and waits for your decision: ${String(wait.error_type ?? "").replaceAll("_", " ")}`;
  return typeof wait.message === "string" ? wait.message : String(wait.kind);
}
