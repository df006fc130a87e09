// A status by colour, icon and word.
import type { Status } from "../data/types";
import { Icon, type IconName } from "./icon";

export type Tone = "ok" | "run" | "wait" | "bad" | "off";

export const STATUSES: Record<Status, { word: string; tone: Tone; icon: IconName }> = {
  failed: { word: "Failed", tone: "bad", icon: "failed" },
  retrying: { word: "Retrying", tone: "run", icon: "retrying" },
  waiting: { word: "Waiting", tone: "wait", icon: "waiting" },
  pending: { word: "Pending", tone: "wait", icon: "pending" },
  running: { word: "Running", tone: "run", icon: "running" },
  completed: { word: "Completed", tone: "ok", icon: "completed" },
  cancelled: { word: "Cancelled", tone: "off", icon: "cancelled" },
  skipped: { word: "Skipped", tone: "off", icon: "skipped" },
};

export const ENDED: readonly Status[] = ["completed", "failed", "cancelled", "skipped"];

/** Return whether a run or step with this status has ended. */
export function hasEnded(status: Status): boolean {
  return ENDED.includes(status);
}

/** The status of a run or a step. */
export function StatusPill({ status }: { status: Status }) {
  const { word, tone, icon } = STATUSES[status];
  return (
    <span class={`pill ${tone}`}>
      <Icon name={icon} />
      {word}
    </span>
  );
}

/** A short label with the colour of a tone. */
export function Pill({ tone, icon, text }: { tone: Tone; icon?: IconName; text: string }) {
  return (
    <span class={`pill ${tone}`}>
      {icon && <Icon name={icon} />}
      {text}
    </span>
  );
}
