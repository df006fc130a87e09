// Words for the state and the trigger of a workflow.
import type { JsonObject, Workflow } from "../../data/types";
import type { IconName } from "../../parts/icon";
import type { Tone } from "../../parts/status";
import { formatDuration } from "../../parts/time";

export const STATES: Record<Workflow["status"], { word: string; tone: Tone; icon: IconName }> = {
  active: { word: "Active", tone: "ok", icon: "completed" },
  paused: { word: "Paused", tone: "wait", icon: "waiting" },
  draft: { word: "Draft", tone: "run", icon: "pending" },
  archived: { word: "Archived", tone: "off", icon: "cancelled" },
};

/** Return what starts a workflow. */
export function describeTrigger(trigger: JsonObject | null | undefined): string {
  switch (trigger?.type) {
    case "schedule":
      return trigger.cron ? `cron ${String(trigger.cron)}` : `every ${formatDuration(1000 * Number(trigger.interval_seconds))}`;
    case "event":
      return `event ${String(trigger.event)}`;
    case "webhook":
      return `webhook ${String(trigger.webhook_path)}`;
    default:
      return "by hand";
  }
}
