// What a run does, waits for, or why it failed, in the words of a row.
import type { RunSummary } from "../../data/types";

/** Return the words; empty where the list does not know. */
export function describeRow(run: RunSummary): string {
  if (run.status === "cancelled") {
    return [run.cancelled_by && `by ${run.cancelled_by}`, run.cancel_reason].filter(Boolean).join(": ");
  }
  const where = run.node_name ?? run.node_id ?? "";
  const why = run.error ?? run.waits_for ?? "";
  return [where, why].filter(Boolean).join(": ");
}
