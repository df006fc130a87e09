// What runs have used, for people.
import type { Usage } from "../data/types";
import { formatCount, formatDuration, formatNumber } from "./time";

/** Return in one line what runs have used: `1 execution, 40 events, 12 kB of history, 8 steps, 1.5 s of worker time`. */
export function formatUsage({ executions, events, bytes, steps, worker_seconds, complete }: Usage): string {
  const facts = [
    formatCount(executions, "execution"),
    formatCount(events, "event"),
    `${formatSize(bytes)} of history`,
    formatCount(steps, "step"),
    `${formatDuration(worker_seconds * 1000)} of worker time`,
  ];
  return `${complete ? "" : "at least "}${facts.join(", ")}`;
}

/** Return a number of bytes: `900 B`, `12 kB`, `3.4 MB`. */
function formatSize(bytes: number): string {
  if (bytes < 1_000) return `${formatNumber(bytes)} B`;
  return bytes < 1_000_000 ? `${formatNumber(Math.round(bytes / 1_000))} kB` : `${formatNumber(Math.round(bytes / 100_000) / 10)} MB`;
}
